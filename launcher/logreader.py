"""Reads a container's log back: what is on record, what comes, over rotations, and after it was removed.

The files are held open, so they can be read to the end whatever becomes of their names; and locked, so that
the writer puts off a rotation that would drop one which somebody still reads.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final

from launcher.logfile import LOG, LogLine, log_name, parse_log_line

CHUNK_BYTES: Final = 256 << 10
LOOK_EVERY_SEC: Final = 0.1
MOST_FILES: Final = 128


@dataclass(slots=True)
class _File:
    """One file of the log; `offset` is behind the last whole line that was read."""

    fd: int
    inode: int
    offset: int = 0

    def read_lines(self) -> list[bytes]:
        """The next whole lines without their ends; none at the end of what is written so far."""
        size = CHUNK_BYTES
        while True:
            data = os.pread(self.fd, size, self.offset)
            whole = data.rfind(b"\n") + 1
            if whole or len(data) < size:
                break
            size *= 2
        self.offset += whole
        return data[:whole].split(b"\n")[:-1]


class LogReader:
    """The files of one log, oldest first; the last one is that which was written to when we looked."""

    def __init__(self, directory: str) -> None:
        self._lock = threading.Lock()
        self._files: deque[_File] = deque()
        self._closed = True
        self._dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._closed = False
        self.look()

    def look(self) -> None:
        """Open what a rotation has put there since; whoever removes the files calls this before, too."""
        with self._lock:
            if self._closed or (self._files and self._files[-1].inode == self._inode_of(LOG)):
                return
            self._files.extend(reversed(self._open_new()))

    def _open_new(self) -> list[_File]:
        """Newest first, down to the first that is known: in this order a rotation in between shows one file
        twice, and never hides one.
        """
        found: list[_File] = []
        for age in range(MOST_FILES):
            file = self._open(log_name(age))
            if file is None and age:
                break
            if file is None:
                continue
            if any(known.inode == file.inode for known in self._files):
                os.close(file.fd)
                break
            if any(known.inode == file.inode for known in found):
                os.close(file.fd)
            else:
                found.append(file)
        return found

    def read(
        self, tail: int | None, since: str | None, wait_for_end: Callable[[float], bool] | None
    ) -> Generator[LogLine, None, None]:
        """Lines on record, at most the last `tail`; then those to come, if there is an end to wait for.

        `wait_for_end(seconds)` waits that long at most and says whether the container has ended.
        """
        try:
            on_record = self._lines(since)
            yield from on_record if tail is None else deque(on_record, maxlen=tail)
            ended = wait_for_end is None
            while wait_for_end is not None and not ended:
                ended = wait_for_end(LOOK_EVERY_SEC)
                yield from self._lines(since)
        finally:
            self.close()

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for fd in (self._dir_fd, *(file.fd for file in self._files)):
                os.close(fd)
            self._files.clear()

    def __del__(self) -> None:
        # A generator that never was started runs no `finally`.
        self.close()

    def _lines(self, since: str | None) -> Iterator[LogLine]:
        """What is written so far and was not read yet."""
        if not self._files:
            self.look()
        while self._files:
            has_successor = len(self._files) > 1  # asked first: a file that has one is written to no more
            found = self._files[0].read_lines()
            for raw in found:
                line = parse_log_line(raw)
                if line is not None and (since is None or line.time >= since):
                    yield line
            if not found and has_successor:
                with self._lock:
                    os.close(self._files.popleft().fd)
            elif not found:
                self.look()
                if len(self._files) == 1:
                    return

    def _open(self, name: str) -> _File | None:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._dir_fd)
        except FileNotFoundError:
            return None
        fcntl.flock(fd, fcntl.LOCK_SH)
        return _File(fd, os.fstat(fd).st_ino)

    def _inode_of(self, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=self._dir_fd, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return None
