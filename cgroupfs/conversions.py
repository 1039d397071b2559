"""The formulas between the values of the older and the newer interface, each exact and under its own name.

Nothing here is applied in silence: raw values are stored and shown, and a converted one names its formula.
Out of range is a `ValueError`, not a clamp, except where the formula itself clamps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Protocol

from cgroupfs.errors import BadLimit
from cgroupfs.values import UNLIMITED, Limit

LEAST_SHARES, MOST_SHARES = 2, 262_144  # "cpu.shares"
LEAST_WEIGHT, DEFAULT_WEIGHT, MOST_WEIGHT = 1, 100, 10_000  # "cpu.weight", "io.weight"
LEAST_BLKIO, MOST_BLKIO = 10, 1_000  # "blkio.weight" of cfq and of the OCI specification
LEAST_BFQ, DEFAULT_BFQ, MOST_BFQ = 1, 100, 1_000  # "blkio.bfq.weight", "io.bfq.weight"


class SharesFormula(Protocol):
    """Between ``cpu.shares`` and ``cpu.weight``."""

    @property
    def name(self) -> str: ...
    def to_weight(self, shares: int) -> int:
        """Shares, 2 to 262144, as a weight."""
        ...

    def to_shares(self, weight: int) -> int:
        """A weight, 1 to 10000, as shares."""
        ...


@dataclass(frozen=True, slots=True)
class Quadratic:
    """That of runc since 1.3.2 and crun since 1.23: 1024 is 100, and both ends meet.

    ``weight = ceil(10 ** ((L*L + 125*L) / 612 - 7/34))`` with ``L = log2(shares)``. Ratios of siblings are
    not kept. The way back gives the most shares that come to the weight.
    """

    name: str = "quadratic"

    def to_weight(self, shares: int) -> int:
        _check("shares", shares, LEAST_SHARES, MOST_SHARES)
        if shares == LEAST_SHARES:
            return LEAST_WEIGHT
        if shares == MOST_SHARES:
            return MOST_WEIGHT
        octaves = math.log2(shares)
        return math.ceil(10 ** ((octaves * octaves + 125 * octaves) / 612 - 7 / 34))

    def to_shares(self, weight: int) -> int:
        _check("weight", weight, LEAST_WEIGHT, MOST_WEIGHT)
        octaves = (-125 + math.sqrt(15_625 + 2_448 * (math.log10(weight) + 7 / 34))) / 2
        shares = min(math.ceil(2**octaves), MOST_SHARES)
        while self.to_weight(shares) > weight:
            shares -= 1
        return shares


@dataclass(frozen=True, slots=True)
class Proportional:
    """The kernel's own identity: both name the same scheduler weight, 1024 shares being 100; ratios are kept.

    kernel/sched/core.c, ``cpu_weight_read_u64`` and ``cpu_weight_write_u64``, rounding to the closest. Shares
    beyond 102400 are more than any weight, and those below 6 come to the least.
    """

    name: str = "proportional"

    def to_weight(self, shares: int) -> int:
        _check("shares", shares, LEAST_SHARES, MOST_SHARES)
        return min(max(_closest(shares * DEFAULT_WEIGHT, 1024), LEAST_WEIGHT), MOST_WEIGHT)

    def to_shares(self, weight: int) -> int:
        _check("weight", weight, LEAST_WEIGHT, MOST_WEIGHT)
        return _closest(weight * 1024, DEFAULT_WEIGHT)


@dataclass(frozen=True, slots=True)
class Linear:
    """What runtimes wrote before: the ends meet, but 1024 becomes 39. Only to read what they have written."""

    name: str = "linear"

    def to_weight(self, shares: int) -> int:
        _check("shares", shares, LEAST_SHARES, MOST_SHARES)
        return 1 + (shares - 2) * 9_999 // 262_142

    def to_shares(self, weight: int) -> int:
        """Rounded down as those programs do, so that the way there again may come to one less."""
        _check("weight", weight, LEAST_WEIGHT, MOST_WEIGHT)
        return 2 + (weight - 1) * 262_142 // 9_999


QUADRATIC: Final = Quadratic()
PROPORTIONAL: Final = Proportional()
LINEAR: Final = Linear()
SHARES_FORMULAS: Final[tuple[SharesFormula, ...]] = (QUADRATIC, PROPORTIONAL, LINEAR)


def blkio_to_io_weight(weight: int) -> int:
    """``blkio.weight`` 10 to 1000 as ``io.weight`` 1 to 10000: ``1 + (w - 10) * 9999 // 990``."""
    _check("blkio weight", weight, LEAST_BLKIO, MOST_BLKIO)
    return 1 + (weight - 10) * 9_999 // 990


def io_to_blkio_weight(weight: int) -> int:
    """The least ``blkio.weight`` that comes to `weight` or more; exact on what `blkio_to_io_weight` gives."""
    _check("io weight", weight, LEAST_WEIGHT, MOST_WEIGHT)
    return 10 + -(-(weight - 1) * 990 // 9_999)


def blkio_to_bfq_weight(weight: int) -> int:
    """``blkio.weight`` as ``io.bfq.weight`` or ``blkio.bfq.weight``: the raw value, as runtimes write it."""
    return _check("blkio weight", weight, LEAST_BLKIO, MOST_BLKIO)


def bfq_to_blkio_weight(weight: int) -> int:
    """The raw value; below 10 there is no such ``blkio.weight``, and the least stands for it."""
    return max(_check("bfq weight", weight, LEAST_BFQ, MOST_BFQ), LEAST_BLKIO)


def io_to_bfq_weight(weight: int) -> int:
    """``io.weight`` as ``io.bfq.weight``: both defaults meet, 1 to 100 is the same, the rest is stretched."""
    _check("io weight", weight, LEAST_WEIGHT, MOST_WEIGHT)
    above = max(weight - DEFAULT_WEIGHT, 0)
    return min(weight, DEFAULT_BFQ) + above * (MOST_BFQ - DEFAULT_BFQ) // (MOST_WEIGHT - DEFAULT_WEIGHT)


def bfq_to_io_weight(weight: int) -> int:
    """The least ``io.weight`` that comes to this ``io.bfq.weight``."""
    _check("bfq weight", weight, LEAST_BFQ, MOST_BFQ)
    above = max(weight - DEFAULT_BFQ, 0)
    return min(weight, DEFAULT_WEIGHT) + above * (MOST_WEIGHT - DEFAULT_WEIGHT) // (MOST_BFQ - DEFAULT_BFQ)


def memsw_to_swap(memory: Limit | None, memsw: Limit | None) -> Limit | None:
    """The limit of memory and swap together as one of swap alone, ``memory.swap.max``.

    ``swap = memsw - memory``; memory without a limit: memsw itself; memsw without one: none. None: not set.
    `BadLimit` if the memory limit is unknown, or more than both together.
    """
    if memsw is None or memsw is UNLIMITED or memory is UNLIMITED:
        return memsw
    if memory is None:
        raise BadLimit("memory_swap_max_bytes", "swap alone cannot be told without the memory limit")
    if memsw < memory:
        raise BadLimit(
            "memory_swap_max_bytes", f"{memsw} for memory and swap is less than {memory} for memory"
        )
    return memsw - memory


def swap_to_memsw(memory: Limit | None, swap: Limit | None) -> Limit | None:
    """The limit of swap alone as one of memory and swap together, ``memory.memsw.limit_in_bytes``.

    The other interface cannot limit swap while memory has no limit, nor can it tell: that is no limit at all.
    """
    if swap is None or swap is UNLIMITED or memory is UNLIMITED:
        return swap if swap is None else UNLIMITED
    if memory is None:
        raise BadLimit("memory_swap_max_bytes", "memory and swap cannot be added without the memory limit")
    return memory + swap


def _closest(numerator: int, denominator: int) -> int:
    return (numerator + denominator // 2) // denominator


def _check(what: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ValueError(f"{what} {value} is outside {least} to {most}")
    return value
