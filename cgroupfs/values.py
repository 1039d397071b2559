"""Text of kernel files to values: numbers, limits, flat keyed files and cpu lists, strictly.

A kernel file is plain ASCII decimals; whatever Python's ``int`` accepts beyond that (underscores, digits of
other scripts, signs) shows that we read the wrong file, and becomes a `ParseError`.
"""

from __future__ import annotations

import enum
from typing import Final, Literal, TypeAlias

from cgroupfs.errors import ParseError

NSEC_PER_USEC: Final = 1000
V1_UNLIMITED_FROM: Final = 1 << 62  # v1 shows "no limit" as 2**63-1 rounded down to a page; compare by size
HIGHEST_LISTED: Final = 1 << 16  # no kernel has as many CPUs or nodes
LONGEST_NUMBER: Final = 20


class Unlimited(enum.Enum):
    """The value "no limit", which is neither 0 nor absent."""

    UNLIMITED = "max"

    def __repr__(self) -> str:
        return "UNLIMITED"


UNLIMITED: Final = Unlimited.UNLIMITED
Limit: TypeAlias = int | Literal[Unlimited.UNLIMITED]
Ranges: TypeAlias = tuple[tuple[int, int], ...]


def parse_int(text: str, what: str) -> int:
    """A plain decimal, 0 or more."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_NUMBER):
        raise ParseError(what, text)
    return int(digits)


def parse_word(word: bytes, what: str) -> int:
    """The same for a word of a file that is read every tick, whose bytes need not become text."""
    if not word.isdigit() or len(word) > LONGEST_NUMBER:
        raise ParseError(what, word)
    return int(word)


def parse_signed(text: str, what: str) -> int:
    """A plain decimal that may carry a minus."""
    word = text.strip()
    return -parse_int(word[1:], what) if word.startswith("-") else parse_int(word, what)


def parse_limit(text: str, what: str) -> Limit:
    """A limit as newer files show it: ``max`` or a decimal."""
    return UNLIMITED if text.strip() == "max" else parse_int(text, what)


def parse_v1_limit(text: str, what: str) -> Limit:
    """A v1 limit: negative or page-rounded 2**63-1 means none."""
    number = parse_signed(text, what)
    return UNLIMITED if number < 0 or number >= V1_UNLIMITED_FROM else number


def parse_flag(text: str, what: str) -> bool:
    """``0`` or ``1``."""
    number = parse_int(text, what)
    if number > 1:
        raise ParseError(what, text)
    return number == 1


def split_lines(text: str) -> list[str]:
    r"""Lines of a kernel file: only ``\n`` ends one, as names may hold what else ends one in Python."""
    return text.removesuffix("\n").split("\n") if text else []


def parse_flat(text: str, what: str) -> dict[str, int]:
    """A flat keyed file: one ``key number`` a line."""
    fields: dict[str, int] = {}
    for line in split_lines(text):
        key, _, number = line.partition(" ")
        if not key:
            raise ParseError(what, line)
        fields[key] = parse_int(number, what)
    return fields


def parse_pids(text: str, what: str) -> list[int]:
    """One process a line; one of another pid namespace reads 0 and is left out."""
    return [pid for line in split_lines(text) if (pid := parse_int(line, what))]


def parse_list(text: str, what: str) -> Ranges:
    """A kernel list such as ``0-3,8`` as sorted, merged ranges; never expanded: a huge one costs nothing."""
    spans = sorted(_parse_span(part, what) for part in text.strip().split(",") if text.strip())
    merged: list[tuple[int, int]] = []
    for low, high in spans:
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _parse_span(part: str, what: str) -> tuple[int, int]:
    low_text, dash, high_text = part.partition("-")
    low = parse_int(low_text, what)
    high = parse_int(high_text, what) if dash else low
    if low > high or high >= HIGHEST_LISTED:
        raise ParseError(what, part)
    return low, high


def format_list(ranges: Ranges) -> str:
    """Ranges as the kernel prints them."""
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def is_within(inner: Ranges, outer: Ranges) -> bool:
    """Is every number of `inner` in `outer`? Both sorted and merged, as `parse_list` gives them."""
    return all(any(low >= start and high <= end for start, end in outer) for low, high in inner)


def count_listed(ranges: Ranges) -> int:
    """How many numbers the ranges hold."""
    return sum(high - low + 1 for low, high in ranges)
