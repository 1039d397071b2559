"""What the Makefile calls: set-up and checks, written in the standard library alone so that python3 suffices."""
