"""Checks on wanted limits before anything is written: what no kernel could take is a `BadLimit`."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cgroupfs.errors import BadLimit, NotOffered, ParseError
from cgroupfs.statistic import Dirs
from cgroupfs.values import UNLIMITED, Limit, Ranges, Unlimited, format_list, is_within, parse_list

Wanted = Mapping[str, object]

LONGEST_LIST = 4096


def check_offered(
    dirs: Dirs, controller: str, wanted: Wanted, offered: Mapping[str, tuple[str, bool]]
) -> None:
    """`NotOffered` for a wanted field that this kernel lacks; `offered`: field -> file, and is it here."""
    for field, (file, is_here) in offered.items():
        if field in wanted and not is_here:
            raise NotOffered(dirs[controller].path if controller in dirs else controller, file)


def is_lifted(value: object) -> bool:
    """Is the wish "no limit": `UNLIMITED`, its word "max", or None (null in a merge patch)?"""
    return value is None or value is UNLIMITED or value == "max"


def check_whole(field: str, value: object, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadLimit(field, f"{_shown(value)} is not a whole number")
    if not low <= value <= high:
        raise BadLimit(field, f"{_shown(value)} is outside {low} to {high}")
    return value


def check_limit(field: str, value: object, low: int, high: int) -> Limit:
    """A whole number from `low` to `high`, or no limit."""
    return UNLIMITED if is_lifted(value) else check_whole(field, value, low, high)


def check_number(field: str, value: object, low: float, high: float) -> float:
    """A finite number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadLimit(field, f"{_shown(value)} is not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadLimit(field, f"{_shown(value)} is not a finite number")
    if not low <= value <= high:
        raise BadLimit(field, f"{_shown(value)} is outside {low:g} to {high:g}")
    return float(value)


def check_flag(field: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise BadLimit(field, f"{_shown(value)} is neither true nor false")
    return value


def check_list(field: str, value: object, offered: Ranges, what: str) -> str:
    """A list such as ``0-1,4`` that names something, and nothing that the host lacks; in kernel form."""
    if not isinstance(value, str) or len(value) > LONGEST_LIST:
        raise BadLimit(field, f"{_shown(value)} is not a list such as 0-1,4")
    try:
        ranges = parse_list(value, field)
    except ParseError as e:
        raise BadLimit(field, f"{_shown(value)} is not a list such as 0-1,4") from e
    if not ranges:
        raise BadLimit(field, f"a container needs at least one {what}")
    if not is_within(ranges, offered):
        raise BadLimit(
            field, f"{_shown(value)} names a {what} that is not here; there are {format_list(offered)}"
        )
    return format_list(ranges)


def _shown(value: object) -> str:
    text = (
        value.value if isinstance(value, Unlimited) else repr(value) if not _is_huge(value) else "that number"
    )
    return text if len(text) <= 60 else text[:57] + "..."


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() > 1024  # repr of those is slow, or an error
