"""Every parser of cgroupfs on anything at all: the one list of parsers, their seeds, and what drives them."""
