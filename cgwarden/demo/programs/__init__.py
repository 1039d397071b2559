"""What the demo's containers run: plain scripts for any Python 3, handed over as text."""
