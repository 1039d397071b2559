"""``python -m tests.fuzz.huge [NAME ...]``: parsers on inputs of many megabytes, in bounded time and memory.

Time is that of the CPU, which a busy machine does not change; at the bound the kernel ends the process.
"""

from __future__ import annotations

import re
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Final

from tests.fuzz.harness import parse_once, read_seeds
from tests.fuzz.targets import TARGETS, Target

MANY: Final = 1_000_000  # keys, or spans of a list
LINES: Final = 100_000
DIGITS: Final = 100_000  # Python itself refuses to read more than 4,300
MOST_CPU_SEC: Final = 20  # for all inputs of one target
MOST_BYTES: Final = 2 << 30
_NUMBER: Final = re.compile(rb"\d+")

COMMON: Final = (
    b"9" * DIGITS,
    b"".join(b"key%d %d\n" % (number, number) for number in range(MANY)),
    b",".join(b"%d-%d" % (low, low + 1) for low in range(0, 2 * MANY, 2)),
    b"0," * MANY,
    *(piece * LINES for piece in (b"\n", b" ", b"a=", b"8:0 ", b"\\040", b"\0")),
)


def make_inputs(target: Target) -> Iterator[bytes]:
    """What a broken kernel, or a file of another kind, could hold at worst."""
    for seed in read_seeds(target):
        yield seed * (LINES // (seed.count(b"\n") or 1))
        yield _NUMBER.sub(b"7" * DIGITS, seed, count=10)
    yield from COMMON


def main() -> int:
    """0 if each input gave a value or a ParseError; the names of the targets as they begin."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    for name in sys.argv[1:] or TARGETS:
        print(name, flush=True)
        signal.setitimer(
            signal.ITIMER_PROF, MOST_CPU_SEC
        )  # SIGPROF is not caught: not even C code outlasts it
        for data in make_inputs(TARGETS[name]):
            parse_once(TARGETS[name].make(), data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
