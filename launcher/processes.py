"""Processes by identity: a pid counts only together with its start time, and signals go by pidfd."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from launcher import records


def is_alive(pid: int | None, start_ticks: int | None) -> bool:
    """The very process on record, and no zombie."""
    return pid is not None and start_ticks is not None and records.read_start_ticks(pid) == start_ticks


def is_stopped(pid: int) -> bool:
    """By SIGSTOP or a debugger."""
    return records.read_process_state(pid) in ("T", "t")


@contextlib.contextmanager
def held_process(pid: int, start_ticks: int | None) -> Iterator[int]:
    """A pidfd of the process on record; `ProcessLookupError` if it has ended and the number is another's."""
    with opened_process(pid) as fd:
        if not is_alive(pid, start_ticks):
            raise ProcessLookupError(pid)
        yield fd


@contextlib.contextmanager
def opened_process(pid: int) -> Iterator[int]:
    """A pidfd of whatever process has that number, a zombie too; `ProcessLookupError` if none has."""
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)
