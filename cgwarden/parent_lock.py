"""One daemon for one cgroup parent: two with directories of their own would each undo the other's containers.

The lock is a file by the parent's name, not the cgroup's directory: that goes and comes with its containers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from typing import Final

LOCKS: Final = "/run/lock/cgwarden"


class ParentTaken(Exception):
    """Another daemon has this parent; `str` names its pid."""


class ParentLock:
    """Held for life; a stale file without a lock means nothing."""

    def __init__(self, parent: str, directory: str = LOCKS) -> None:
        """Raises ParentTaken, or OSError where the lock cannot be made."""
        self.path = f"{directory}/{parent.strip('/').replace('/', ':')}"
        try:
            os.makedirs(directory, 0o700, exist_ok=True)
        except OSError as e:
            if e.errno != errno.EROFS:
                raise
            # In a pod with a read-only root: nobody else could see a lock of ours there either.
            self._fd = -1
            return
        self._fd = self._lock()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def _lock(self) -> int:
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
                os.close(fd)
                raise ParentTaken(holder or "unknown") from None
            # A daemon that has just ended may have taken the file away between our two steps.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    return fd
            os.close(fd)

    def release(self) -> None:
        """The file goes while it is still locked, so nobody loses theirs."""
        if self._fd < 0:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        os.close(self._fd)
