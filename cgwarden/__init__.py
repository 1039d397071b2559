"""cgwarden starts containers, watches what they use, and keeps them within limits, on one Linux host."""

__version__ = "0.1.0"
