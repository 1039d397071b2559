"""How a process ended, asked in the ways that there are: as its parent, by pidfd after others reaped it, as
a zombie.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final

from launcher import records, syscalls

REAPED_SEC: Final = 2.0


def read_exit_record(pidfd: int, pid: int, start_ticks: int | None) -> dict[str, Any]:
    """The record of an end: code as shells count it, signal, moment. The code is None where nobody knows.

    Reaps the process if it is a child of ours. If it is another's child, its status is to be had while it is
    a zombie, and by pidfd once it was reaped (Linux 6.15): between the two this waits a moment.
    """
    status = _wait_for_status(pidfd, pid, start_ticks)
    return {**exit_of_status(status), "finished_at": records.rfc3339()}


def exit_of_status(status: int | None) -> dict[str, Any]:
    """From a wait status: 128 + the signal's number for a death by signal."""
    if status is None:
        return {"exit_code": None, "signal": None}
    if os.WIFSIGNALED(status):
        return {"exit_code": 128 + os.WTERMSIG(status), "signal": os.WTERMSIG(status)}
    return {"exit_code": os.WEXITSTATUS(status), "signal": None}


def _wait_for_status(pidfd: int, pid: int, start_ticks: int | None) -> int | None:
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        deadline = time.monotonic() + REAPED_SEC
    while time.monotonic() < deadline:
        status = syscalls.pidfd_exit_status(pidfd)
        if status is None:
            status = records.read_zombie_status(pid, start_ticks)
        if status is not None:
            return status
        time.sleep(0.005)
    return None
