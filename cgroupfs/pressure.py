"""Pressure stall information: the share of time in which tasks waited for CPU, memory or disk.

Only the unified tree has it, with or without controllers. Documentation/accounting/psi.rst.
"""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from cgroupfs.errors import ParseError
from cgroupfs.statistic import Source

RESOURCES: Final = ("cpu", "memory", "io")


class Psi(NamedTuple):
    """``some``: at least one task waited; ``full``: all did. Fractions are 0..1, times since the start."""

    some_avg10_fraction: float
    some_avg60_fraction: float
    some_avg300_fraction: float
    some_usec: int
    full_avg10_fraction: float | None
    full_avg60_fraction: float | None
    full_avg300_fraction: float | None
    full_usec: int | None


class PressureStat(NamedTuple):
    """None: not offered."""

    cpu: Psi | None
    memory: Psi | None
    io: Psi | None


_PERCENT: Final = rb"\d{1,3}\.\d\d"
_LINE: Final = rb" avg10=(%b avg60=%b avg300=%b) total=(\d{1,20})\n" % (_PERCENT, _PERCENT, _PERCENT)
_SOME: Final = re.compile(b"some" + _LINE)
_SOME_AND_FULL: Final = re.compile(b"some" + _LINE + b"full" + _LINE)


@functools.lru_cache(maxsize=1 << 12)  # most are 0.00, and the two lines of a file are often alike
def _parse_averages(text: bytes) -> tuple[float, float, float]:
    ten, sixty, three_hundred = text.split()
    return (
        float(ten) / 100,
        float(sixty.removeprefix(b"avg60=")) / 100,
        float(three_hundred.removeprefix(b"avg300=")) / 100,
    )


def parse_pressure(raw: bytes) -> Psi:
    """A ``*.pressure`` file; percentages become fractions. Before 5.13 cpu has no ``full`` line."""
    match = _SOME_AND_FULL.fullmatch(raw)
    if match is not None:
        some, some_usec, full, full_usec = match.groups()
        return Psi(*_parse_averages(some), int(some_usec), *_parse_averages(full), int(full_usec))
    match = _SOME.fullmatch(raw)
    if match is None:
        raise ParseError("pressure", raw[:81])
    some, some_usec = match.groups()
    return Psi(*_parse_averages(some), int(some_usec), None, None, None, None)


class Pressure:
    """``cpu.pressure``, ``memory.pressure`` and ``io.pressure`` of the unified tree."""

    def __init__(self) -> None:
        self.sources = tuple(
            Source("unified", f"{resource}.pressure", parse_pressure) for resource in RESOURCES
        )

    def build(self, values: Sequence[Any]) -> PressureStat | None:
        cpu, memory, io = values
        return None if cpu is memory is io is None else PressureStat(cpu, memory, io)


def read_host_pressure(root: str = "/") -> PressureStat:
    """The whole host's pressure, from ``/proc/pressure``; None where the kernel has none."""
    return PressureStat(*(_read_proc(Path(root, "proc/pressure", resource)) for resource in RESOURCES))


def _read_proc(path: Path) -> Psi | None:
    try:
        return parse_pressure(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as e:
        if e.errno == errno.EOPNOTSUPP:  # the kernel was started with psi=0
            return None
        raise
