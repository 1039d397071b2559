"""A launch under way goes on when its daemon dies; the next daemon waits until it is settled what it is.

The starter holds a lock on the container's directory until it ends: by then the container runs and is on
record, or nothing of it is left. Without it, a record could appear just after somebody looked for one.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import Final

SETTLED_SEC: Final = 10.0
POLL_SEC: Final = 0.005


def hold_launch(state_dir: str) -> None:
    """For the rest of this process's life, and for that of a first process until it is the program."""
    fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX)


def await_settled(state_dir: str, timeout_sec: float = SETTLED_SEC) -> bool:
    """False if a launch is still under way there."""
    fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    deadline = time.monotonic() + timeout_sec
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
            time.sleep(POLL_SEC)
    finally:
        os.close(fd)
