"""The second kernel of the tests: a guest with the unified tree alone and two memory nodes."""
