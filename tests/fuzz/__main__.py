"""``python -m tests.fuzz [--seconds N] [NAME ...]``: every parser, two at a time, a line each."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import subprocess
import sys
from typing import NamedTuple

from tests.fuzz.one import EXECUTED, FOUND, ROOT, is_guided
from tests.fuzz.targets import TARGETS

LINES_SHOWN = 30


class Outcome(NamedTuple):
    """How one target ended."""

    name: str
    passed: bool
    output: str


def main() -> int:
    """0 if no target was broken; what broke one is told, and its input kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("--seconds", type=int, default=30, help="for each target (default 30)")
    options = parser.parse_args()
    if unknown := set(options.names) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    print("guided by atheris" if is_guided() else "blindly: this interpreter has no atheris", flush=True)
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        running = [pool.submit(_run, name, options.seconds) for name in options.names or TARGETS]
        outcomes = [_tell(done.result()) for done in concurrent.futures.as_completed(running)]
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        print(f"\n--- {outcome.name}: its input is {FOUND.relative_to(ROOT)}/{outcome.name}.*")
        print("\n".join(outcome.output.splitlines()[-LINES_SHOWN:]))
    print(f"\nfuzz: {len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _run(name: str, seconds: int) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.one", name, "--seconds", str(seconds)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return Outcome(name, done.returncode == 0, done.stdout)


def _tell(outcome: Outcome) -> Outcome:
    counts = [line.split()[-1] for line in outcome.output.splitlines() if line.startswith(EXECUTED)]
    print(
        f"{outcome.name:40} {'ok' if outcome.passed else 'FAILED'}  {counts[0] if counts else '?'} inputs",
        flush=True,
    )
    return outcome


if __name__ == "__main__":
    sys.exit(main())
