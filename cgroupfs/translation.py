"""Wishes under a name that only the other interface has, converted because they were asked for by that name.

Readings are never converted: what such a wish became is shown under the name that the kernel has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from cgroupfs.conversions import LEAST_SHARES, MOST_SHARES, QUADRATIC
from cgroupfs.cpu import CpuV1, CpuV2
from cgroupfs.errors import BadLimit
from cgroupfs.wishes import Wanted, check_whole, is_lifted

SHARES: Final = "cpu_shares"
WEIGHT: Final = "cpu_weight"


class Translated(NamedTuple):
    """A wish as this kernel has it, and a line for people on each field that was converted."""

    wanted: Mapping[str, object]
    notes: tuple[str, ...]


def translate(cpu: CpuV1 | CpuV2, wanted: Wanted) -> Translated:
    """``cpu_shares`` as ``cpu_weight`` where the kernel has weights, by the formula of runc and crun."""
    if SHARES not in wanted or isinstance(cpu, CpuV1):
        return Translated(wanted, ())
    if WEIGHT in wanted:
        raise BadLimit(SHARES, f"here it is the same as {WEIGHT}; give one of them")
    others = {field: value for field, value in wanted.items() if field != SHARES}
    if is_lifted(wanted[SHARES]):
        return Translated(others | {WEIGHT: None}, ())
    shares = check_whole(SHARES, wanted[SHARES], LEAST_SHARES, MOST_SHARES)
    weight = QUADRATIC.to_weight(shares)
    note = f"{SHARES} {shares} is {WEIGHT} {weight} here ({QUADRATIC.name} formula)"
    return Translated(others | {WEIGHT: weight}, (note,))
