"""``python3 -m tools.prepare GOAL``: make this checkout ready for the make target of that name."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this has not read pyproject.toml
    found = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit(f"set-up: Python 3.11 or newer is needed and this is {found}: make PYTHON=python3.11 …")

import argparse

from tools.prepare.goals import steps_for
from tools.prepare.steps import SetupFailed, run_pending


def main() -> int:
    """Run what is not up to date; one line says what went wrong."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.prepare", description=__doc__)
    parser.add_argument("goal", choices=("run", "check", "test", "guest", "fuzz", "bench"))
    goal = parser.parse_args().goal
    try:
        run_pending(steps_for(goal))
    except SetupFailed as e:
        print(f"set-up: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up: interrupted; the next run goes on where this one stopped", file=sys.stderr)
        return 130
    return 0


sys.exit(main())
