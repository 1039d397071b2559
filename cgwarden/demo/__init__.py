"""The demo: a daemon of its own, four containers, three policies, and proof that they changed limits."""
