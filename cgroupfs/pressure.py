"""Pressure stall information: the share of time in which tasks waited for CPU, memory or disk.

Only the unified tree has it, with or without controllers. Documentation/accounting/psi.rst.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cgroupfs.errors import ParseError
from cgroupfs.statistic import Source

RESOURCES = ("cpu", "memory", "io")


class Psi(NamedTuple):
    """``some``: at least one task waited; ``full``: all that could run did. Fractions 0..1; microseconds since start."""

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


def parse_pressure(raw: bytes) -> Psi:
    """A ``*.pressure`` file; percentages become fractions. Kernels before 5.13 have no ``full`` line for cpu."""
    words = raw.split()
    try:
        if len(words) == 10:
            some, s10, s60, s300, s_total, full, f10, f60, f300, f_total = words
            if some == b"some" and full == b"full":
                return Psi(
                    _percent(s10, b"avg10="),
                    _percent(s60, b"avg60="),
                    _percent(s300, b"avg300="),
                    _total(s_total),
                    _percent(f10, b"avg10="),
                    _percent(f60, b"avg60="),
                    _percent(f300, b"avg300="),
                    _total(f_total),
                )
        if len(words) == 5 and words[0] == b"some":
            averages = (
                _percent(words[1], b"avg10="),
                _percent(words[2], b"avg60="),
                _percent(words[3], b"avg300="),
            )
            return Psi(*averages, _total(words[4]), None, None, None, None)
    except ValueError as e:
        raise ParseError("pressure", repr(raw[:80])) from e
    raise ParseError("pressure", repr(raw[:80]))


def _percent(word: bytes, key: bytes) -> float:
    if not word.startswith(key):
        raise ValueError(word)
    number = word[len(key) :]
    return 0.0 if number == b"0.00" else float(number) / 100


def _total(word: bytes) -> int:
    if not word.startswith(b"total="):
        raise ValueError(word)
    return int(word[6:])


class Pressure:
    """``cpu.pressure``, ``memory.pressure`` and ``io.pressure`` of the unified tree."""

    def __init__(self) -> None:
        self.sources = tuple(
            Source("unified", f"{resource}.pressure", parse_pressure) for resource in RESOURCES
        )

    def build(self, values: Sequence[Any]) -> PressureStat | None:
        return None if all(value is None for value in values) else PressureStat(*values)


def read_host_pressure(root: str = "/") -> PressureStat:
    """The whole host's pressure, from ``/proc/pressure``; None where the kernel has none."""
    return PressureStat(*(_read_proc(Path(root, "proc/pressure", resource)) for resource in RESOURCES))


def _read_proc(path: Path) -> Psi | None:
    try:
        return parse_pressure(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as e:
        # EOPNOTSUPP: the kernel has the files but was started with psi=0.
        if e.errno == 95:
            return None
        raise
