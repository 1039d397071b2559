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


_AVERAGES: Final = rb" avg10=(\d{1,3}\.\d\d) avg60=(\d{1,3}\.\d\d) avg300=(\d{1,3}\.\d\d) total=(\d{1,20})\n"
_SOME: Final = re.compile(b"some" + _AVERAGES)
_SOME_AND_FULL: Final = re.compile(b"some" + _AVERAGES + b"full" + _AVERAGES)


@functools.lru_cache(maxsize=1 << 14)  # there are 10,001 percentages with two decimals, and most are 0.00
def _parse_percent(text: bytes) -> float:
    return float(text) / 100


def parse_pressure(raw: bytes) -> Psi:
    """A ``*.pressure`` file; percentages become fractions. Before 5.13 cpu has no ``full`` line."""
    percent = _parse_percent
    match = _SOME_AND_FULL.fullmatch(raw)
    if match is not None:
        s10, s60, s300, some, f10, f60, f300, full = match.groups()
        return Psi(
            percent(s10),
            percent(s60),
            percent(s300),
            int(some),
            percent(f10),
            percent(f60),
            percent(f300),
            int(full),
        )
    match = _SOME.fullmatch(raw)
    if match is None:
        raise ParseError("pressure", raw[:81])
    s10, s60, s300, some = match.groups()
    return Psi(percent(s10), percent(s60), percent(s300), int(some), None, None, None, None)


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
