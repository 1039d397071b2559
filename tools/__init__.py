"""What the Makefile calls: set-up and checks, in the standard library alone so that python3 suffices."""
