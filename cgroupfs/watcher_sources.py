"""Each thing that can be watched: how the kernel gives notice of it, and how to look where it gives none.

A source is asked to `look` when its fd has woken, when a watched file was changed, or when its time is `due`.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

from cgroupfs.errors import CgroupGone
from cgroupfs.events import (
    PIDFD,
    Event,
    Exited,
    Way,
    compare_group,
    compare_memory,
)
from cgroupfs.files import ControlDir
from cgroupfs.freezer import FROZEN, read_state
from cgroupfs.values import parse_flat

if TYPE_CHECKING:
    from cgroupfs.cgroup import Cgroup


class Source:
    """What all have: a place in the stream, an fd or none, and a time at which to look anyway."""

    mask: int = select.EPOLLIN
    patient: bool = True  # may what it tells be put together with what follows shortly?

    def __init__(self, path: str, inode: int, way: Way, fd: int = -1) -> None:
        self.path = path
        self.inode = inode
        self.way = way
        self.fd = fd
        self.watch = -1
        self.due: float | None = None
        self.last_told = -1e9
        self.muted = False
        self.finished = False

    def look(self, now: float, woken: int) -> list[Event]:
        """What is new; `woken` are the epoll flags, 0 where it was not the fd. `CgroupGone`."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the fd."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class _FlatFile(Source):
    """A flat keyed file of the unified tree, compared with what it last held."""

    file: str

    def __init__(self, cgroup: Cgroup, directory: ControlDir, way: Way) -> None:
        super().__init__(cgroup.path, cgroup.inode, way)
        self.directory = directory
        self.kept = directory.open_file(self.file, os.O_RDONLY)
        self.before = self._read()

    def _read(self) -> dict[str, int]:
        return parse_flat(self.directory.read_kept(self.kept), self.file)

    def close(self) -> None:
        super().close()
        kept, self.kept = self.kept, -1
        if kept >= 0:
            os.close(kept)


class GroupFile(_FlatFile):
    """``cgroup.events``: frozen and populated."""

    file = "cgroup.events"

    patient = False

    def look(self, now: float, woken: int) -> list[Event]:
        before, self.before = self.before, self._read()
        return compare_group(self.path, self.inode, before, self.before)


class MemoryFile(_FlatFile):
    """``memory.events``, children included."""

    file = "memory.events"

    def look(self, now: float, woken: int) -> list[Event]:
        before, self.before = self.before, self._read()
        return compare_memory(self.path, self.inode, before, self.before)


class GroupPolled(Source):
    """Frozen and populated where there is no unified tree."""

    def __init__(self, cgroup: Cgroup, way: Way) -> None:
        super().__init__(cgroup.path, cgroup.inode, way)
        self.cgroup = cgroup
        self.before = self._read()

    def _read(self) -> dict[str, int]:
        frozen = read_state(self.cgroup.dirs) == FROZEN
        return {"frozen": int(frozen), "populated": int(bool(self.cgroup.procs()))}

    def look(self, now: float, woken: int) -> list[Event]:
        before, self.before = self.before, self._read()
        return compare_group(self.path, self.inode, before, self.before)


class Exit(Source):
    """The end of one process; not by its number, which may be given to another."""

    def __init__(self, cgroup: Cgroup, pid: int, way: Way, fd: int) -> None:
        super().__init__(cgroup.path, cgroup.inode, way, fd)
        self.pid = pid
        self.born = None if way.by == PIDFD else read_birth(pid)

    patient = False

    def look(self, now: float, woken: int) -> list[Event]:
        if not woken and (
            self.way.by == PIDFD or (self.born is not None and read_birth(self.pid) == self.born)
        ):
            return []
        self.finished = True
        return [Exited(self.path, self.inode, self.pid)]


def read_birth(pid: int) -> str | None:
    """When the process began, in ticks since boot; None for one that has ended, reaped or not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            words = file.read().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if words[0] in "ZX" else words[19]


class Existence(Source):
    """Is the group still there? Files of a removed one wake nobody; its parent directory does."""

    def __init__(self, cgroup: Cgroup, directory: ControlDir, way: Way) -> None:
        super().__init__(cgroup.path, cgroup.inode, way)
        self.directory = directory

    patient = False

    def look(self, now: float, woken: int) -> list[Event]:
        if self.directory.alive():
            return []
        raise CgroupGone(self.directory.path)
