"""The system calls by which the kernel gives notice, those that Python lacks by ctypes: inotify and timerfd.

A `Kernel` is passed to the watcher, so that a test can pass one that refuses.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final, NamedTuple

from cgroupfs.files import ControlDir

IN_MODIFY: Final = 0x2
IN_DELETE: Final = 0x200
OVERFLOW: Final = -1  # the watch descriptor of the notice that notices were lost
_HEADER: Final = struct.Struct("iIII")
_TIMES: Final = struct.Struct("qqqq")
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Notice(NamedTuple):
    """One notice of inotify: which watch, and of which name in a watched directory."""

    watch: int
    name: str


def parse_notices(data: bytes) -> list[Notice]:
    """What one read of an inotify fd gave."""
    notices, at = [], 0
    while at + _HEADER.size <= len(data):
        watch, _, _, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        notices.append(Notice(watch, os.fsdecode(data[at : at + length].rstrip(b"\0"))))
        at += length
    return notices


class Kernel:
    """The calls, each raising OSError where the kernel refuses."""

    def inotify(self) -> int:
        """An inotify instance: few are allowed to a user, so one serves for everything."""
        return _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")

    def watch(self, inotify: int, fd: int, mask: int) -> int:
        """Watch what `fd` is open on; the same file gives the same number again."""
        path = f"/proc/self/fd/{fd}".encode()
        return _checked(_libc.inotify_add_watch(inotify, path, ctypes.c_uint32(mask)), "inotify watch")

    def unwatch(self, inotify: int, watch: int) -> None:
        """End a watch; one whose file is gone has ended by itself."""
        _libc.inotify_rm_watch(inotify, watch)

    def read_notices(self, inotify: int) -> list[Notice]:
        """All that wait."""
        notices: list[Notice] = []
        while True:
            try:
                notices += parse_notices(os.read(inotify, 65536))
            except BlockingIOError:
                return notices

    def timer(self) -> int:
        """A timer on the monotonic clock."""
        return _checked(_libc.timerfd_create(1, os.O_NONBLOCK | os.O_CLOEXEC), "timerfd")

    def set_timer(self, timer: int, at: float | None) -> None:
        """Let the timer be readable from `at` on (seconds of the monotonic clock); None: never."""
        # All zeros would disarm, and an instant that has passed fires at once.
        nsec = 0 if at is None else max(1, int(at * 1e9))
        value = _TIMES.pack(0, 0, *divmod(nsec, 1_000_000_000))
        absolute = 1
        _checked(_libc.timerfd_settime(timer, absolute, value, None), "timerfd")

    def eventfd(self) -> int:
        """A counter that older kernel interfaces raise."""
        return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def register(self, directory: ControlDir, eventfd: int, file: str, arguments: str) -> None:
        """``cgroup.event_control``: have `eventfd` raised for what `file` tells of."""
        target = directory.open_file(file, os.O_RDONLY)
        try:
            directory.write("cgroup.event_control", f"{eventfd} {target} {arguments}".rstrip())
        finally:
            os.close(target)

    def trigger(self, path: str, directory: ControlDir | None, text: str) -> int:
        """A pressure trigger, which lives as long as its fd; `directory` None: `path` is the host's file."""
        flags = os.O_RDWR | os.O_NONBLOCK
        fd = os.open(path, flags | os.O_CLOEXEC) if directory is None else directory.open_file(path, flags)
        try:
            # The files of the host overwrite the last byte, so it must be one that does not count.
            os.write(fd, f"{text}\n".encode())
        except OSError:
            os.close(fd)
            raise
        return fd

    def pidfd(self, pid: int) -> int:
        """An fd that is readable once the process has ended."""
        return os.pidfd_open(pid)


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
