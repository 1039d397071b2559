"""Memory in use, what it is made of, and its limits: controller ``memory``.

v1 limits memory, and memory *plus* swap; the unified tree limits memory, and swap alone. Above this module
there is swap alone. Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst, "Memory".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from cgroupfs.errors import NotOffered
from cgroupfs.memory_limits import MOST_BYTES, MemoryLimits, plan_memory, plan_soft_limit, swap_alone
from cgroupfs.statistic import Dirs, Picker, Source, parse_number
from cgroupfs.values import (
    Limit,
    parse_flat,
    parse_int,
    parse_limit,
    parse_v1_limit,
)
from cgroupfs.wishes import Wanted, check_limit
from cgroupfs.writes import Write


class MemoryStat(NamedTuple):
    """Bytes of the cgroup and all below it; None: this kernel does not tell, or not in these files."""

    usage_bytes: int
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int
    mapped_bytes: int
    dirty_bytes: int
    writeback_bytes: int
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


class MemoryEvents(NamedTuple):
    """How often limits were felt; None: this kernel does not tell."""

    peak_bytes: int | None = None
    limit_hits: int | None = None
    oom_kills: int | None = None
    under_oom: bool | None = None


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
    """v1 ``memory.stat``: the ``total_`` keys, with child groups; swap only with swap accounting."""
    return Picker("memory.stat", tuple, _V1_STAT_KEYS, optional=["total_swap"], start="total_cache")


def make_v2_stat_parser() -> Picker[tuple[int | None, ...]]:
    """v2 ``memory.stat``; the ``kernel`` key came later than the others."""
    return Picker("memory.stat", tuple, _V2_STAT_KEYS, optional=["kernel"])


def parse_oom_control(text: str) -> MemoryEvents:
    """v1 ``memory.oom_control``; ``oom_kill`` came later than the others."""
    field = parse_flat(text, "memory.oom_control")
    under_oom = field.get("under_oom")
    return MemoryEvents(
        oom_kills=field.get("oom_kill"), under_oom=None if under_oom is None else under_oom != 0
    )


class MemoryV1:
    """The memory hierarchy."""

    limit_files = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes")
    slow_files = ("memory.max_usage_in_bytes", "memory.failcnt", "memory.oom_control")
    kernel_file = "memory.kmem.usage_in_bytes"

    def __init__(self) -> None:
        self.sources = (
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
        return _read_int(dirs, self.kernel_file)

    def read_events(self, dirs: Dirs) -> MemoryEvents:
        control = _read(dirs, "memory.oom_control")
        events = MemoryEvents() if control is None else parse_oom_control(control)
        return events._replace(
            peak_bytes=_read_int(dirs, "memory.max_usage_in_bytes"),
            limit_hits=_read_int(dirs, "memory.failcnt"),
        )

    def read_limits(self, dirs: Dirs) -> MemoryLimits:
        memory, both = (self._read_limit(dirs, file) for file in self.limit_files[:2])
        return MemoryLimits(
            max_bytes=memory,
            swap_max_bytes=swap_alone(memory, both),
            soft_limit_bytes=self._read_limit(dirs, "memory.soft_limit_in_bytes"),
        )

    def plan_limits(self, dirs: Dirs, wanted: Wanted) -> list[Write]:
        """Writes for the ``memory_*`` fields in `wanted`; BadLimit, NotOffered."""
        now = self.read_limits(dirs)
        path = dirs["memory"].path if "memory" in dirs else "memory"
        for field, file, value in (
            ("memory_max_bytes", "memory.limit_in_bytes", now.max_bytes),
            ("memory_swap_max_bytes", "memory.memsw.limit_in_bytes", now.swap_max_bytes),
            ("memory_high_bytes", "memory.high", now.high_bytes),
            ("memory_soft_limit_bytes", "memory.soft_limit_in_bytes", now.soft_limit_bytes),
        ):
            if field in wanted:
                check_limit(field, wanted[field], 0, MOST_BYTES)
                if value is None:
                    raise NotOffered(path, file)
        return plan_memory(now, wanted) + plan_soft_limit(now, wanted)

    def _read_limit(self, dirs: Dirs, file: str) -> Limit | None:
        text = _read(dirs, file)
        return None if text is None else parse_v1_limit(text, file)


class MemoryV2:
    """The memory controller of the unified tree."""

    limit_files = ("memory.max", "memory.swap.max", "memory.high", "memory.low")
    slow_files = ("memory.peak", "memory.events")

    def __init__(self) -> None:
        self.sources = (
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

    def read_events(self, dirs: Dirs) -> MemoryEvents:
        text = _read(dirs, "memory.events")
        field = {} if text is None else parse_flat(text, "memory.events")
        return MemoryEvents(
            peak_bytes=_read_int(dirs, "memory.peak"),
            limit_hits=field.get("max"),
            oom_kills=field.get("oom_kill"),
        )

    def read_limits(self, dirs: Dirs) -> MemoryLimits:
        texts = [(_read(dirs, file), file) for file in self.limit_files]
        memory, swap, high, soft = (None if text is None else parse_limit(text, file) for text, file in texts)
        return MemoryLimits(memory, swap, high, soft)


def _read(dirs: Dirs, file: str) -> str | None:
    directory = dirs.get("memory")
    return None if directory is None else directory.read(file)


def _read_int(dirs: Dirs, file: str) -> int | None:
    text = _read(dirs, file)
    return None if text is None else parse_int(text, file)
