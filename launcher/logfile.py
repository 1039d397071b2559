"""A container's output on disk: `time stream F|P text` lines (the CRI form), rotated by size.

`log` is written to, `log.1` is the one before it, `log.2` the one before that.
`F` ends a line of the program's output, `P` is a piece of one: what the program printed can be rebuilt byte
by byte.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from typing import Final, NamedTuple

from launcher.records import rfc3339

LOG: Final = "log"
MAX_BYTES: Final = 10 << 20
MAX_FILES: Final = 2
PATIENCE: Final = 8
"""How many times its size a file may grow to while a reader still is at the one before."""
LONGEST_PIECE: Final = 16 << 10
_HEAD: Final = re.compile(rb"(\d{4}-\d\d-\d\dT[0-9:.]+Z) (stdout|stderr) ([FP]) ")


class LogLine(NamedTuple):
    """A line, or with `partial` a piece of one, without its newline. `time` is RFC 3339."""

    time: str
    stream: str
    partial: bool
    data: bytes


def log_name(age: int) -> str:
    """The file's name; 0 is the newest."""
    return f"{LOG}.{age}" if age else LOG


class LogWriter:
    """The supervisor's side. A full disk loses output and counts it; it never blocks the container."""

    def __init__(self, dir_fd: int, max_bytes: int | None = None, max_files: int | None = None) -> None:
        self._dir_fd = dir_fd
        self._max_bytes = max_bytes or MAX_BYTES
        self._max_files = max_files or MAX_FILES
        self._pending = {"stdout": b"", "stderr": b""}
        self._fd = -1
        self.lost_bytes = 0
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(LOG, flags, 0o600, dir_fd=self._dir_fd)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: str, data: bytes) -> None:
        """Complete lines go out at once; the piece after the last newline waits for more, or for `flush`."""
        *lines, rest = (self._pending[stream] + data).split(b"\n")
        while len(rest) >= LONGEST_PIECE:
            lines.append(rest[:LONGEST_PIECE])
            rest = rest[LONGEST_PIECE:]
            self._pending[stream] = rest
            self._append(stream, lines[:-1], lines[-1])
            lines = []
        self._pending[stream] = rest
        if lines:
            self._append(stream, lines, None)

    def flush(self) -> None:
        """Write what has no newline yet."""
        for stream, rest in self._pending.items():
            if rest:
                self._pending[stream] = b""
                self._append(stream, [], rest)

    def close(self) -> None:
        os.close(self._fd)

    @property
    def has_pending(self) -> bool:
        return any(self._pending.values())

    def _append(self, stream: str, lines: list[bytes], piece: bytes | None) -> None:
        head = f"{rfc3339()} {stream} ".encode()
        told = [head + b"F " + line + b"\n" for line in lines]
        if piece is not None:
            told.append(head + b"P " + piece + b"\n")
        if told:
            self._put(told)

    def _put(self, told: list[bytes]) -> None:
        """No more at once than a file shall have; a single line is written however long it is."""
        text = b"".join(told)
        if len(text) <= self._max_bytes or len(told) == 1:
            self._write(text)
        else:
            half = len(told) // 2
            self._put(told[:half])
            self._put(told[half:])

    def _write(self, text: bytes) -> None:
        try:
            if self._is_full(len(text)):
                self._rotate()
            written = os.write(self._fd, text)
            if written < len(text):
                # The disk is full: half a line would spoil the next one.
                os.ftruncate(self._fd, self._size)
                self.lost_bytes += len(text)
            else:
                self._size += written
        except OSError:
            self.lost_bytes += len(text)

    def _is_full(self, more_bytes: int) -> bool:
        size = self._size + more_bytes
        if not self._size or size <= self._max_bytes:
            return False
        return size > PATIENCE * self._max_bytes or not self._is_eldest_read()

    def _is_eldest_read(self) -> bool:
        """Readers lock what they have not read to its end; a rotation would take it from them."""
        eldest = log_name(self._max_files - 1)
        try:
            fd = os.open(eldest, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._dir_fd)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def _rotate(self) -> None:
        """Each file becomes one older, and the eldest goes."""
        if self._max_files == 1:
            os.unlink(LOG, dir_fd=self._dir_fd)
        for age in range(self._max_files - 2, -1, -1):
            with contextlib.suppress(FileNotFoundError):
                newer, older = log_name(age), log_name(age + 1)
                os.rename(newer, older, src_dir_fd=self._dir_fd, dst_dir_fd=self._dir_fd)
        before = self._fd
        self._open()
        os.close(before)


def parse_log_line(line: bytes) -> LogLine | None:
    """None for what is no line of ours (the torn end of a file after a crash of the host)."""
    match = _HEAD.match(line)
    if match is None:
        return None
    time, stream, kind = match.groups()
    return LogLine(time.decode(), stream.decode(), kind == b"P", line[match.end() :])
