"""Memory in use, what it is made of, and its limits: controller ``memory``.

v1 limits memory, and memory *plus* swap; the unified tree limits memory, and swap alone. Above this module
there is swap alone. Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst, "Memory".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from cgroupfs.memory_events import (
    MemoryEvents,
    MemoryReclaim,
    directory,
    parse_memory_events,
    parse_memory_reclaim,
    parse_oom_control,
    read_file,
    read_number,
)
from cgroupfs.memory_limits import (
    MOST_BYTES,
    MemoryLimits,
    plan_memory,
    plan_soft_limit,
    plan_swappiness,
    plan_unified_memory,
    swap_alone,
)
from cgroupfs.memory_reclaim import read_current, reclaim
from cgroupfs.statistic import Dirs, Picker, Source, parse_number
from cgroupfs.values import parse_flag, parse_flat, parse_limit, parse_v1_limit
from cgroupfs.wishes import Wanted, check_limit, check_offered
from cgroupfs.writes import Write


class MemoryStat(NamedTuple):
    """Bytes of the cgroup and all below it; None: this kernel does not tell, or not in these files."""

    usage_bytes: int
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int | None
    mapped_bytes: int
    dirty_bytes: int | None
    writeback_bytes: int | None
    inactive_file_bytes: int
    active_file_bytes: int
    swap_bytes: int | None
    kernel_bytes: int | None
    faults: int
    major_faults: int

    @property
    def working_set_bytes(self) -> int:
        """What cannot be dropped at no cost: usage without the inactive page cache."""
        return max(0, self.usage_bytes - self.inactive_file_bytes)


_V1_STAT_KEYS: Final = [
    "total_rss",
    "total_cache",
    "total_shmem",
    "total_mapped_file",
    "total_dirty",
    "total_writeback",
    "total_inactive_file",
    "total_active_file",
    "total_swap",
    "total_pgfault",
    "total_pgmajfault",
]
_V2_STAT_KEYS: Final = [
    "anon",
    "file",
    "shmem",
    "file_mapped",
    "file_dirty",
    "file_writeback",
    "inactive_file",
    "active_file",
    "kernel",
    "pgfault",
    "pgmajfault",
]


def make_v1_stat_parser() -> Picker[tuple[int | None, ...]]:
    """v1 ``memory.stat``: the ``total_`` keys, with child groups; swap only with swap accounting.

    Linux 3.10 counts neither dirty pages nor writeback nor shared memory by cgroup, and 4.9 all but the last.
    """
    later = ["total_swap", "total_writeback", "total_dirty", "total_shmem"]
    return Picker("memory.stat", tuple, _V1_STAT_KEYS, optional=later, start="total_cache")


def make_v2_stat_parser() -> Picker[tuple[int | None, ...]]:
    """v2 ``memory.stat``; ``shmem`` came with Linux 4.12 and ``kernel`` with 5.18."""
    return Picker("memory.stat", tuple, _V2_STAT_KEYS, optional=["shmem", "kernel"])


class MemoryV1:
    """The memory hierarchy."""

    limit_files: tuple[str, ...] = (
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        "memory.soft_limit_in_bytes",
        "memory.swappiness",
    )
    slow_files: tuple[str, ...] = ("memory.max_usage_in_bytes", "memory.failcnt", "memory.oom_control")
    kernel_file = "memory.kmem.usage_in_bytes"
    reclaim_file = "memory.force_empty"

    def __init__(self) -> None:
        self.sources: tuple[Source, ...] = (
            Source("memory", "memory.usage_in_bytes", parse_number("memory.usage_in_bytes")),
            Source("memory", "memory.stat", make_v1_stat_parser()),
        )

    def build(self, values: Sequence[Any]) -> MemoryStat | None:
        usage, stat = values
        if usage is None or stat is None:
            return None
        anon, file, shmem, mapped, dirty, writeback, inactive, active, swap, faults, major = stat
        return MemoryStat(
            usage, anon, file, shmem, mapped, dirty, writeback, inactive, active, swap, None, faults, major
        )

    def read_kernel_bytes(self, dirs: Dirs) -> int | None:
        """Kernel memory has a file of its own here, which is not worth a kept fd."""
        return read_number(dirs, self.kernel_file)

    def read_reclaim(self, dirs: Dirs) -> MemoryReclaim | None:
        text = read_file(dirs, "memory.stat")
        return None if text is None else parse_memory_reclaim(text, "total_")

    def read_events(self, dirs: Dirs) -> MemoryEvents:
        control = read_file(dirs, "memory.oom_control")
        events = MemoryEvents() if control is None else parse_oom_control(control)
        return events._replace(
            peak_bytes=read_number(dirs, "memory.max_usage_in_bytes"),
            limit_hits=read_number(dirs, "memory.failcnt"),
        )

    def read_limits(self, dirs: Dirs) -> MemoryLimits:
        memory, both, soft = (
            None if text is None else parse_v1_limit(text, file)
            for file, text in ((file, read_file(dirs, file)) for file in self.limit_files[:3])
        )
        return MemoryLimits(
            max_bytes=memory,
            swap_max_bytes=swap_alone(memory, both),
            soft_limit_bytes=soft,
            swappiness=read_number(dirs, "memory.swappiness"),
        )

    def plan_limits(self, dirs: Dirs, wanted: Wanted) -> list[Write]:
        """Writes for the ``memory_*`` fields in `wanted`; BadLimit, NotOffered."""
        now = self.read_limits(dirs)
        files = _V2_FILES | _V1_FILES
        _check(dirs, wanted, now, files)
        return plan_memory(now, wanted) + plan_soft_limit(now, wanted) + plan_swappiness(now, wanted)

    def reclaim(self, dirs: Dirs, wanted_bytes: int) -> int:
        """Ask the kernel to free memory, which here means all that it can; how many bytes it freed."""
        before = read_number(dirs, "memory.usage_in_bytes")
        directory(dirs).write("memory.force_empty", "0")
        return max(0, (before or 0) - (read_number(dirs, "memory.usage_in_bytes") or 0))


class MemoryV2:
    """The memory controller of the unified tree."""

    limit_files: tuple[str, ...] = (
        "memory.max",
        "memory.swap.max",
        "memory.high",
        "memory.low",
        "memory.min",
        "memory.oom.group",
    )
    slow_files: tuple[str, ...] = ("memory.peak", "memory.swap.peak", "memory.events", "memory.events.local")
    kernel_file = "memory.stat"
    reclaim_file = "memory.reclaim"

    def __init__(self) -> None:
        self.sources: tuple[Source, ...] = (
            Source("memory", "memory.current", parse_number("memory.current")),
            Source("memory", "memory.stat", make_v2_stat_parser()),
            Source("memory", "memory.swap.current", parse_number("memory.swap.current")),
        )

    def build(self, values: Sequence[Any]) -> MemoryStat | None:
        usage, stat, swap = values
        if usage is None or stat is None:
            return None
        anon, file, shmem, mapped, dirty, writeback, inactive, active, kernel, faults, major = stat
        return MemoryStat(
            usage, anon, file, shmem, mapped, dirty, writeback, inactive, active, swap, kernel, faults, major
        )

    def read_kernel_bytes(self, dirs: Dirs) -> int | None:
        text = read_file(dirs, "memory.stat")
        return None if text is None else parse_flat(text, "memory.stat").get("kernel")

    def read_reclaim(self, dirs: Dirs) -> MemoryReclaim | None:
        text = read_file(dirs, "memory.stat")
        return None if text is None else parse_memory_reclaim(text, "")

    def read_events(self, dirs: Dirs) -> MemoryEvents:
        events, local = (read_file(dirs, file) for file in self.slow_files[2:])
        return parse_memory_events(events, local)._replace(
            peak_bytes=read_number(dirs, "memory.peak"), swap_peak_bytes=read_number(dirs, "memory.swap.peak")
        )

    def read_limits(self, dirs: Dirs) -> MemoryLimits:
        texts = [(read_file(dirs, file), file) for file in self.limit_files]
        memory, swap, high, low, least = (
            None if text is None else parse_limit(text, file) for text, file in texts[:5]
        )
        oom_group = texts[5][0]
        return MemoryLimits(
            max_bytes=memory,
            swap_max_bytes=swap,
            high_bytes=high,
            low_bytes=low,
            min_bytes=least,
            oom_group=None if oom_group is None else parse_flag(oom_group, "memory.oom.group"),
        )

    def plan_limits(self, dirs: Dirs, wanted: Wanted) -> list[Write]:
        """Writes for the ``memory_*`` fields in `wanted`; BadLimit, NotOffered."""
        now = self.read_limits(dirs)
        _check(dirs, wanted, now, _V1_FILES | _V2_FILES)
        return plan_unified_memory(now, wanted)

    def reclaim(self, dirs: Dirs, wanted_bytes: int) -> int:
        """Ask the kernel to free `wanted_bytes`; how many it freed, which may be fewer."""
        before = read_current(directory(dirs))
        return max(0, before - reclaim(directory(dirs), wanted_bytes))


_V1_FILES: Final = {
    "memory_max_bytes": "memory.limit_in_bytes",
    "memory_swap_max_bytes": "memory.memsw.limit_in_bytes",
    "memory_soft_limit_bytes": "memory.soft_limit_in_bytes",
    "memory_swappiness": "memory.swappiness",
}
_V2_FILES: Final = {
    "memory_max_bytes": "memory.max",
    "memory_swap_max_bytes": "memory.swap.max",
    "memory_high_bytes": "memory.high",
    "memory_low_bytes": "memory.low",
    "memory_min_bytes": "memory.min",
    "memory_oom_group": "memory.oom.group",
}


def _check(dirs: Dirs, wanted: Wanted, now: MemoryLimits, files: Mapping[str, str]) -> None:
    """Nonsense before what is not offered: the user should hear of the nearer mistake."""
    for field in files.keys() & wanted.keys():
        if field.endswith("_bytes"):
            check_limit(field, wanted[field], 0, MOST_BYTES)
    offered = {
        field: (file, getattr(now, field.removeprefix("memory_")) is not None)
        for field, file in files.items()
    }
    check_offered(dirs, "memory", wanted, offered)
