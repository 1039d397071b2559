"""One row of the table of formats."""

from __future__ import annotations

from typing import NamedTuple


class Format(NamedTuple):
    """One text of one kernel for one parser; `seen` says what is particular about it."""

    kernel: str
    parser: str
    seen: str
    text: str
    value: object


def lines(*each: str) -> str:
    return "".join(f"{line}\n" for line in each)
