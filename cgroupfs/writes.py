"""What is written and what came of it, as data: a dry run, the journal and the writer all show the same thing."""

from __future__ import annotations

from typing import NamedTuple


class Write(NamedTuple):
    """One value for one kernel file; `key` is the device of a keyed file, so that undoing touches that device alone."""

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
