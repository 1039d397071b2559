"""``python -m tests.fuzz.one NAME --seconds N``: one target in a process of its own, which the fuzzer ends.

Guided by branches with atheris; by the plain mutator where this interpreter has none.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOUND: Final = ROOT / ".cache/fuzz"
EXECUTED: Final = "stat::number_of_executed_units:"
LONGEST_INPUT: Final = 16384
MOST_MB: Final = 1024
MOST_SECONDS: Final = 10  # for one input, on a busy machine


def main() -> int:
    """0 if every input gave a value or a ParseError; else the traceback, and the input in `FOUND`."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.one", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    scratch = FOUND / options.name
    scratch.mkdir(parents=True, exist_ok=True)
    fuzz = _fuzz_guided if is_guided() else _fuzz_blindly
    return fuzz(options.name, options.seconds, scratch)


def is_guided() -> bool:
    """Is atheris here?"""
    return importlib.util.find_spec("atheris") is not None


def _fuzz_guided(name: str, seconds: int, scratch: Path) -> int:
    import atheris

    with atheris.instrument_imports(include=["cgroupfs"]):
        from tests.fuzz import harness, plain, targets
    target = targets.TARGETS[name]
    dictionary = scratch.with_suffix(".dict")
    dictionary.write_text(_as_dictionary(plain.PIECES))
    flags = (
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_INPUT}",
        f"-timeout={MOST_SECONDS}",
        f"-rss_limit_mb={MOST_MB}",
        f"-dict={dictionary}",
        f"-artifact_prefix={FOUND}/{name}.",
        "-print_final_stats=1",
    )
    atheris.Setup(
        [name, *flags, str(scratch), str(harness.CORPUS / name)],
        lambda data: harness.check(target, data) and None,
    )
    atheris.Fuzz()
    return 0


def _as_dictionary(pieces: Sequence[bytes]) -> str:
    words = (piece for piece in pieces if len(piece) < 64)
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words)


def _fuzz_blindly(name: str, seconds: int, scratch: Path) -> int:
    from tests.fuzz import harness, plain, targets

    target, done = targets.TARGETS[name], 0
    seeds, deadline = harness.read_seeds(target), time.monotonic() + seconds
    for number in itertools.takewhile(lambda _: time.monotonic() < deadline, itertools.count()):
        for data in plain.mutate(seeds, f"{name} {number}", 1000):
            (FOUND / f"{name}.last").write_bytes(data)
            harness.check(target, data)
            done += 1
    print(EXECUTED, done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
