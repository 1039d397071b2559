"""Processes by identity: a pid counts only together with its start time, and signals go by pidfd."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from launcher import records


def is_alive(pid: int | None, start_ticks: int | None) -> bool:
    """The very process on record, and no zombie."""
    return pid is not None and start_ticks is not None and records.read_start_ticks(pid) == start_ticks


@contextlib.contextmanager
def held_process(pid: int, start_ticks: int | None) -> Iterator[int]:
    """A pidfd of the process on record; `ProcessLookupError` if it has ended and the number is another's."""
    fd = os.pidfd_open(pid)
    try:
        if not is_alive(pid, start_ticks):
            raise ProcessLookupError(pid)
        yield fd
    finally:
        os.close(fd)
