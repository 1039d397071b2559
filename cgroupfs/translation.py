"""Wishes in the words of the other interface, where a host has a limit under another name; never in silence.

Docker's flags name files of v1. Where a kernel offers only the counterpart, the wish becomes one for that, by
the formula that runtimes use today, and a note says so; a kernel that offers both, or neither, gets the wish
as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from cgroupfs.conversions import QUADRATIC, blkio_to_io_weight, io_to_blkio_weight
from cgroupfs.errors import BadLimit
from cgroupfs.limits import Limits
from cgroupfs.wishes import Wanted, is_lifted


class Counterpart(NamedTuple):
    """The field that stands for another, and how its value is told."""

    field: str
    convert: Callable[[Any], Any]
    formula: str


COUNTERPARTS: Final[Mapping[str, Counterpart]] = {
    "cpu_shares": Counterpart("cpu_weight", QUADRATIC.to_weight, "the quadratic formula"),
    "cpu_weight": Counterpart("cpu_shares", QUADRATIC.to_shares, "the quadratic formula"),
    "blkio_weight": Counterpart("io_weight", blkio_to_io_weight, "1 + (w - 10) * 9999 / 990"),
    "io_weight": Counterpart("blkio_weight", io_to_blkio_weight, "10 + (w - 1) * 990 / 9999"),
    "memory_soft_limit_bytes": Counterpart("memory_low_bytes", lambda wish: wish, "memory.low, as docker"),
}


def is_translated(wanted: Wanted) -> bool:
    """Might one of the wishes go by another name here?"""
    return not COUNTERPARTS.keys().isdisjoint(wanted)


def translate(wanted: Wanted, offered: Limits) -> tuple[dict[str, object], list[str]]:
    """The wishes under the names that this kernel has, and a note for each that was converted.

    `BadLimit` for a value that the formula does not take.
    """
    meant, notes = dict(wanted), []
    for field, other in COUNTERPARTS.items():
        if field not in wanted or getattr(offered, field) is not None or other.field in wanted:
            continue
        if getattr(offered, other.field) is None:
            continue
        wish = meant.pop(field)
        meant[other.field] = _convert(field, wish, other)
        notes.append(f"{other.field} is {meant[other.field]}, from {field} {wish} by {other.formula}")
    return meant, notes


def _convert(field: str, wish: object, other: Counterpart) -> object:
    if is_lifted(wish):
        return None
    if isinstance(wish, bool) or not isinstance(wish, int):
        raise BadLimit(field, f"{wish!r} is not a whole number")
    try:
        return other.convert(wish)
    except ValueError as e:
        raise BadLimit(field, str(e)) from e
