"""What `make check` runs: everything about the source that needs no kernel and no daemon."""
