"""Which kernel file stands behind each field: ``fields.txt`` as values, and as the tables of a page.

One table serves docs/kernel-files.md, `doctor`, and the test that compares both with the readers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import resources
from typing import Final, NamedTuple

from cgroupfs.errors import ParseError

ABSENT: Final = "-"
_HEAD: Final = (
    "| Field | v1 file | v2 file | Unit, conversion | Since (v2) | Absent when |\n|---|---|---|---|---|---|"
)


class FileName(NamedTuple):
    """A file and the controller in whose directory it is; SIZE in it stands for a huge page size."""

    controller: str
    file: str


class Field(NamedTuple):
    """One row: `names` of one area that come from the same files."""

    area: str
    names: tuple[str, ...]
    v1: tuple[FileName, ...]
    v2: tuple[FileName, ...]
    unit: str
    since: str
    absent: str
    cost: str

    @property
    def action(self) -> bool:
        """Is it something done rather than something read?"""
        return self.names[0] == "(action)"

    def files(self, kind: str) -> tuple[FileName, ...]:
        """Those of the interface `kind`, "v1" or "v2"; a hybrid host's unified tree counts as "v1"."""
        return self.v1 if kind == "v1" else self.v2


@functools.cache
def read_fields() -> tuple[Field, ...]:
    """All rows, in the order of the page."""
    return parse_fields(resources.files("cgroupfs").joinpath("fields.txt").read_text(encoding="utf-8"))


def parse_fields(text: str) -> tuple[Field, ...]:
    """``[area]`` lines, and below each its rows of seven cells."""
    fields: list[Field] = []
    area = ""
    for line in text.splitlines():
        if line.startswith("["):
            area = line.strip("[]")
        elif line and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split(" | ")]
            if len(cells) != 7 or not area:
                raise ParseError("fields.txt", line)
            names, v1, v2, unit, since, absent, cost = cells
            cost = "" if cost == ABSENT else cost
            fields.append(
                Field(area, tuple(names.split()), _files(v1), _files(v2), unit, since, absent, cost)
            )
    return tuple(fields)


def _files(cell: str) -> tuple[FileName, ...]:
    words = (word.partition(":") for word in cell.split() if word != ABSENT)
    return tuple(FileName(controller, file) for controller, _, file in words)


def render_tables(fields: tuple[Field, ...]) -> Iterator[tuple[str, str]]:
    """Each area and its rows as a Markdown table."""
    for area in dict.fromkeys(field.area for field in fields):
        yield area, "\n".join([_HEAD, *(_render(field) for field in fields if field.area == area)])


def _render(field: Field) -> str:
    names = " ".join(field.names) if field.action else ", ".join(f"`{name}`" for name in field.names)
    cells = (names, _show(field.v1), _show(field.v2), field.unit, field.since, field.absent)
    return f"| {' | '.join(cells)} |"


def _show(files: tuple[FileName, ...]) -> str:
    """The name tells the controller, except where the unified tree helps out."""
    shown = (f"`{file}`" + (" (unified)" if place == "unified" else "") for place, file in files)
    return ", ".join(shown) or ABSENT
