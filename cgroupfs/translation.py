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
from cgroupfs.memory_limits import MOST_BYTES
from cgroupfs.wishes import Wanted, check_whole, is_lifted


class Translated(NamedTuple):
    """A wish as this kernel has it, and a line for people on each field that was converted."""

    wanted: Mapping[str, object]
    notes: tuple[str, ...]


class Counterpart(NamedTuple):
    """The field that stands for another, and how its value is told."""

    field: str
    convert: Callable[[Any], Any]
    formula: str
    lifted: int | None = None
    """What "no limit" becomes; None: the kernel's own default."""


COUNTERPARTS: Final[Mapping[str, Counterpart]] = {
    "cpu_shares": Counterpart("cpu_weight", QUADRATIC.to_weight, "quadratic formula"),
    "cpu_weight": Counterpart("cpu_shares", QUADRATIC.to_shares, "quadratic formula"),
    "blkio_weight": Counterpart("io_weight", blkio_to_io_weight, "1 + (w - 10) * 9999 / 990"),
    "io_weight": Counterpart("blkio_weight", io_to_blkio_weight, "10 + (w - 1) * 990 / 9999"),
    "memory_soft_limit_bytes": Counterpart("memory_low_bytes", int, "as docker", 0),
}


def is_translated(wanted: Wanted) -> bool:
    """Might one of the wishes go by another name here?"""
    return not COUNTERPARTS.keys().isdisjoint(wanted)


def translate(wanted: Wanted, offered: Limits) -> Translated:
    """The wishes under the names that this kernel has, and a note for each that was converted.

    `BadLimit` for a value that the formula does not take, or where both names of one limit are given.
    """
    meant, notes = dict(wanted), []
    for field, other in COUNTERPARTS.items():
        if field not in wanted or getattr(offered, field) is not None:
            continue
        if getattr(offered, other.field) is None:
            continue
        if other.field in wanted:
            raise BadLimit(field, f"here it is the same as {other.field}; give one of them")
        wish = meant.pop(field)
        meant[other.field] = _convert(field, wish, other)
        if not is_lifted(wish):
            notes.append(f"{field} {wish} is {other.field} {meant[other.field]} here ({other.formula})")
    return Translated(meant, tuple(notes))


def _convert(field: str, wish: object, other: Counterpart) -> object:
    if is_lifted(wish):
        return other.lifted
    if other.field == "memory_low_bytes":
        return check_whole(field, wish, 0, MOST_BYTES)
    if isinstance(wish, bool) or not isinstance(wish, int):
        raise BadLimit(field, f"{wish!r} is not a whole number")
    try:
        return other.convert(wish)
    except ValueError as e:
        raise BadLimit(field, str(e)) from e
