"""What the kernel says of a container's memory and CPUs now: its limits, those of the groups above it, its
use.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from cgroupfs import Cgroup, CgroupGone, CpuStat, Hierarchies, Limits, MemoryStat
from cgroupfs.statistic import read_statistic
from cgroupfs.values import parse_list

BOUNDS_SEC: Final = 1.0
_KEPT: Final = 256


class Bounds(NamedTuple):
    """The least of its own limits and of those above it; None: no limit."""

    memory_bytes: int | None
    swap_bytes: int | None
    cpu_cores: float | None
    cpus: str | None


class Numbers:
    """One container; each number is read when it is asked for, limits at most once a second."""

    def __init__(self, cgroups: list[Cgroup]) -> None:
        """`cgroups`: its own, then the groups above it."""
        self._cgroups = cgroups
        self._own = cgroups[0]
        self._bounds: Bounds | None = None
        self._bounds_at = -math.inf

    @property
    def alive(self) -> bool:
        """Is it still the cgroup of that name?"""
        return self._own.alive()

    def bounds(self, now: float) -> Bounds:
        """`now` in monotonic seconds. `CgroupGone` once it has ended; the same holds below."""
        if self._bounds is None or now - self._bounds_at >= BOUNDS_SEC:
            self._bounds = least([cgroup.read_limits() for cgroup in self._cgroups])
            self._bounds_at = now
        return self._bounds

    def memory(self) -> MemoryStat | None:
        """Its use of memory."""
        return read_statistic(self._own.readers.memory, self._own.dirs)

    def cpu(self) -> CpuStat | None:
        """CPU time since it was made."""
        return read_statistic(self._own.readers.cpu, self._own.dirs)

    def tasks(self) -> int:
        """Processes and threads."""
        pids = read_statistic(self._own.readers.pids, self._own.dirs)
        return len(self._own.procs()) if pids is None else pids.current

    def close(self) -> None:
        for cgroup in self._cgroups:
            cgroup.close()


class AllNumbers:
    """The containers that were asked about, held."""

    def __init__(self, hierarchies: Hierarchies) -> None:
        self._hierarchies = hierarchies
        self._held: dict[str, Numbers] = {}

    def of(self, path: str) -> Numbers:
        """`CgroupGone` where there is no such cgroup (any more)."""
        numbers = self._held.get(path)
        if numbers is not None and numbers.alive:
            return numbers
        if numbers is not None:
            del self._held[path]
            numbers.close()
        if len(self._held) >= _KEPT:
            self._held.pop(next(iter(self._held))).close()
        self._held[path] = Numbers(cgroups_from(self._hierarchies, path))
        return self._held[path]


def cgroups_from(hierarchies: Hierarchies, path: str) -> list[Cgroup]:
    """From the container up to the root, which has no limits."""
    found: list[Cgroup] = []
    try:
        while path != "/":
            found.append(hierarchies.cgroup(path))
            path = os.path.dirname(path)
    except CgroupGone:
        for cgroup in found:
            cgroup.close()
        raise
    return found


def least(limits: list[Limits]) -> Bounds:
    """Of the container's own limits and those above it."""
    return Bounds(
        memory_bytes=_smallest(one.memory_max_bytes for one in limits),
        swap_bytes=_smallest(one.memory_swap_max_bytes for one in limits),
        cpu_cores=_smallest(one.cpu_max_cores for one in limits),
        cpus=limits[0].cpuset_cpus_effective or limits[0].cpuset_cpus,
    )


def _smallest(values: Iterable[object]) -> Any:
    return min((value for value in values if isinstance(value, int | float)), default=None)


def visible_cpus(bounds: Bounds, host_cpus: list[int]) -> list[int]:
    """The CPUs that it may use, as many of them as its quota fills, at least one."""
    allowed = host_cpus
    if bounds.cpus:
        ranges = parse_list(bounds.cpus, "cpuset.cpus")
        allowed = [cpu for cpu in host_cpus if any(low <= cpu <= high for low, high in ranges)]
    most = len(allowed) if bounds.cpu_cores is None else max(1, math.ceil(bounds.cpu_cores - 1e-9))
    return allowed[:most] or host_cpus[:1]


def parse_cpu_list(text: str) -> set[int]:
    """`0-2,7` of the host as a set; what somebody wishes may be too long for one."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            cpus |= set(range(int(first), int(last or first) + 1))
    return cpus
