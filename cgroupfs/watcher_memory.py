"""What the older memory controller tells by eventfds: OOM, usage against a threshold, pressure of reclaim.

Documentation/admin-guide/cgroup-v1/memory.rst, sections 9 to 11. Without a notice the same is looked up,
except for reclaim, of which nothing but the notice is known.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from cgroupfs.errors import CgroupGone
from cgroupfs.events import Event, OutOfMemory, ReclaimPressure, UsageCrossed, Way, compare_memory
from cgroupfs.files import ControlDir
from cgroupfs.values import parse_flat, parse_int
from cgroupfs.watcher_sources import Source

if TYPE_CHECKING:
    from cgroupfs.cgroup import Cgroup

KILL_SOON_SEC: Final = 0.02  # an OOM is told before its victim is counted
KILL_LATEST_SEC: Final = 2.0


class Counted(Source):
    """An eventfd; every one of a group is raised once more when the group is removed."""

    def __init__(self, cgroup: Cgroup, directory: ControlDir, way: Way, fd: int) -> None:
        super().__init__(cgroup.path, cgroup.inode, way, fd)
        self.directory = directory

    def take(self) -> int:
        """How often it was raised. `CgroupGone` instead of what a removal would seem to tell."""
        times = 0
        if self.fd >= 0:
            with contextlib.suppress(BlockingIOError):
                times = os.eventfd_read(self.fd)
        if not self.directory.alive():
            raise CgroupGone(self.directory.path)
        return times

    def number(self, file: str) -> int:
        """A number of the group's."""
        return parse_int(self.directory.read(file) or "", file)


class OomCounted(Counted):
    """v1 ``memory.oom_control``: told at once, while the victim is counted only when it is killed."""

    def __init__(self, cgroup: Cgroup, directory: ControlDir, way: Way, fd: int) -> None:
        super().__init__(cgroup, directory, way, fd)
        self.kills = self._read_kills()
        self.until = 0.0

    def _read_kills(self) -> dict[str, int]:
        """The count of kills; before 4.13 there is none."""
        fields = parse_flat(self.directory.read("memory.oom_control") or "", "memory.oom_control")
        return {key: number for key, number in fields.items() if key == "oom_kill"}

    def look(self, now: float, woken: int) -> list[Event]:
        times = self.take()
        before, self.kills = self.kills, self._read_kills()
        killed = compare_memory(self.path, self.inode, before, self.kills)
        if times:
            self.until = now + KILL_LATEST_SEC
        self.due = now + KILL_SOON_SEC if not killed and now < self.until else None
        return [OutOfMemory(self.path, self.inode, times)] * bool(times) + killed


class UsageCounted(Counted):
    """Memory usage against a threshold: v1 tells of each crossing, elsewhere it is looked up."""

    def __init__(
        self, cgroup: Cgroup, directory: ControlDir, way: Way, fd: int, file: str, threshold_bytes: int
    ) -> None:
        super().__init__(cgroup, directory, way, fd)
        self.file = file
        self.threshold_bytes = threshold_bytes
        self.above = self.number(file) >= threshold_bytes

    def look(self, now: float, woken: int) -> list[Event]:
        times = self.take()
        usage = self.number(self.file)
        before, self.above = self.above, usage >= self.threshold_bytes
        if not times and before == self.above:
            return []
        return [
            UsageCrossed(self.path, self.inode, self.threshold_bytes, usage, self.above, max(times, 1)),
        ]


class ReclaimCounted(Counted):
    """v1 ``memory.pressure_level``: near a limit a hundred notices in 10 ms."""

    def __init__(self, cgroup: Cgroup, directory: ControlDir, way: Way, fd: int, level: str) -> None:
        super().__init__(cgroup, directory, way, fd)
        self.level = level

    def look(self, now: float, woken: int) -> list[Event]:
        times = self.take()
        return [ReclaimPressure(self.path, self.inode, self.level, times)] if times else []
