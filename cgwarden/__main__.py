"""``python -m cgwarden``: the same program as the ``cgwarden`` command, without an installed script."""

from cgwarden.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
