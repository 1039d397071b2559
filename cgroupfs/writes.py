"""What is written and what came of it, as data: dry run, journal and writer all show the same thing."""

from __future__ import annotations

from typing import NamedTuple


class Write(NamedTuple):
    """One value for one kernel file; `key` is the device of a keyed file, whose undoing touches it alone."""

    controller: str
    file: str
    value: str
    key: str | None = None


class Written(NamedTuple):
    """A write that was done: the value `before`, what was written, and what the kernel then showed."""

    controller: str
    file: str
    before: str
    value: str
    read_back: str
