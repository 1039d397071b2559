"""How things look: aligned tables, colour only on a terminal that wants it, hostile bytes made harmless."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

COLOURS = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def coloured(stream: TextIO | None = None) -> bool:
    """Whether colour is wanted: a terminal, and neither NO_COLOR nor TERM=dumb."""
    stream = stream or sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """`text` in a colour of COLOURS, or plain where colour is not wanted."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if colour and coloured(stream) else text


def bold(text: str) -> str:
    """`text` in bold on a terminal."""
    return paint(text, "bold")


def harmless(text: str) -> str:
    """`text` without what could move a cursor, change colours, or reorder what is read."""
    return "".join(
        char if char.isprintable() or char in "\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Aligned lines, header first; columns in `right` are flush right. Cells are made harmless here."""
    cells = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    lines = [_line(row, widths, right) for row in (header, *cells)]
    return [paint(lines[0], "dim"), *lines[1:]]


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if at in right else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    import json

    print(json.dumps(document, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))
