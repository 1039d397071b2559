"""``python -m tools.check [NAME …]``: the checks, two at a time, a line each, and what a failed one said."""

import concurrent.futures
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
_BIN: Final = str(Path(sys.executable).parent)
_PYTEST: Final = (sys.executable, "-m", "pytest", "-q")
_TYPED: Final = ("cgwarden", "web", "enforcer", "monitor", "launcher", "cgroupfs", "tools", "bench", "tests")


class Check(NamedTuple):
    """A named command; it passes when its exit status is 0."""

    name: str
    command: tuple[str, ...]


class Outcome(NamedTuple):
    """How a check ended and everything that it said."""

    check: Check
    passed: bool
    seconds: float
    output: str


# The slowest first: the others fill the second core beside it.
CHECKS: Final = (
    Check("types", (f"{_BIN}/mypy", *_TYPED, "hatch_build.py")),
    Check("chart and layers", (*_PYTEST, "-m", "not kernel", "tests/charts", "tests/test_architecture.py")),
    Check("branches", (sys.executable, "-m", "tools.check.branches")),
    Check("dashboard types", (sys.executable, "-m", "tools.npm", "run", "--silent", "check")),
    Check("lint", (f"{_BIN}/ruff", "check", ".")),
    Check("format", (f"{_BIN}/ruff", "format", "--check", ".")),
    Check("yaml", (f"{_BIN}/yamllint", "--strict", ".")),
)


def main(names: Sequence[str]) -> int:
    """0 if every check passed."""
    chosen = [check for check in CHECKS if not names or check.name in names]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        running = [pool.submit(_run, check) for check in chosen]
        outcomes = [_tell(done.result()) for done in concurrent.futures.as_completed(running)]
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        print(f"\n--- {outcome.check.name}: {' '.join(outcome.check.command)}\n{outcome.output.rstrip()}")
    print(f"\ncheck: {len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _run(check: Check) -> Outcome:
    started = time.monotonic()
    done = subprocess.run(
        check.command,
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(check, done.returncode == 0, time.monotonic() - started, done.stdout)


def _tell(outcome: Outcome) -> Outcome:
    print(
        f"{outcome.check.name:20} {'ok' if outcome.passed else 'FAILED'}  {outcome.seconds:.1f} s", flush=True
    )
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
