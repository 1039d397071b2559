"""``python -m tools.check.branches``: every branch of cgroupfs's pure parts is taken by a fast unit test.

Pure is what neither reads nor writes: there a branch that no test takes is one that nobody has thought about.
Only tests whose inputs are the same each time count, so that the figure is.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS_FAILED: Final = 1  # the tests themselves are for `make test` to tell of
TESTS: Final = ("tests/cgroupfs", "--ignore=tests/cgroupfs/test_parsers.py", "-m", "not kernel")
MODULES: Final = (
    *("all_limits", "conversions", "cpu_limits", "device_program", "device_rules", "errors", "events"),
    *("fields", "hugetlb", "io_limits", "io_settings", "io_traffic", "limits", "memory_events"),
    *("memory_limits", "misc", "mounts", "nested", "net_messages", "plan", "readers", "refusals", "report"),
    *("statistic", "translation", "values", "wishes", "writes"),
)
# Elsewhere, functions whose name says that they are pure, or planning, which reads but decides.
NAMES: Final = (
    r"(parse|plan|check|format|split)_\w+|make_\w+_parser|build|cores|decide|localise|own_bases|within"
)
FUNCTIONS: Final = re.compile(rf"(.*\.)?_?({NAMES})")


def main() -> int:
    """0 if no branch is left out; else a line for each module or function with those that are."""
    gaps = list(find_gaps(_measure()))
    for gap in gaps:
        print(gap)
    print(f"branches: {len(gaps)} of the pure parts of cgroupfs have some that no test takes")
    return 1 if gaps else 0


def find_gaps(report: dict[str, Any]) -> Iterator[str]:
    """Where a report of coverage.py tells of lines or branches not taken, in what is pure."""
    for file, measured in sorted(report["files"].items()):
        if Path(file).stem in MODULES:
            yield from _tell(file, "", measured)
            continue
        for name, function in measured["functions"].items():
            if FUNCTIONS.fullmatch(name):
                yield from _tell(file, f" {name}", function)


def _tell(file: str, name: str, measured: dict[str, Any]) -> Iterator[str]:
    lines = measured["missing_lines"]
    branches = [f"{start}->{end}" for start, end in measured["missing_branches"] if start not in lines]
    if lines or branches:
        yield f"{file}{name}: not taken: {', '.join([*map(str, lines), *branches])}"


def _measure() -> dict[str, Any]:
    """Run the tests under coverage.py, and read its report."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "COVERAGE_FILE": f"{scratch}/data"}
        coverage = (sys.executable, "-m", "coverage")
        run = (*coverage, "run", "--branch", "--source=cgroupfs", "-m", "pytest", "-q", *TESTS)
        for command in (run, (*coverage, "json", "-q", "-o", f"{scratch}/report.json")):
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode not in (0, TESTS_FAILED):
                sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        report: dict[str, Any] = json.loads(Path(scratch, "report.json").read_text())
    return report


if __name__ == "__main__":
    sys.exit(main())
