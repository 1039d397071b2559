"""How often a container felt its memory limits, and how much it once had: peaks, events, OOM kills.

v1 spreads it over three files; v2 ``memory.events`` counts child groups too and ``memory.events.local`` does
not. Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst, "Memory".
"""

from __future__ import annotations

from typing import NamedTuple

from cgroupfs.errors import NotOffered
from cgroupfs.files import ControlDir
from cgroupfs.statistic import Dirs
from cgroupfs.values import parse_flat, parse_int


class MemoryEvents(NamedTuple):
    """How often limits were felt; None: this kernel does not tell."""

    peak_bytes: int | None = None
    limit_hits: int | None = None
    oom_kills: int | None = None
    under_oom: bool | None = None
    swap_peak_bytes: int | None = None
    low_hits: int | None = None  # reclaimed although protected
    high_hits: int | None = None  # slowed down
    ooms: int | None = None
    oom_group_kills: int | None = None
    own_limit_hits: int | None = None  # own: by its own limits, not by those of groups below
    own_high_hits: int | None = None
    own_oom_kills: int | None = None


class MemoryReclaim(NamedTuple):
    """What reclaim did, in pages of the group and all below it; None: this kernel does not tell."""

    scanned_pages: int | None
    reclaimed_pages: int | None
    anon_refaults: int | None  # were wanted back soon after
    file_refaults: int | None


def parse_memory_reclaim(text: str, start: str) -> MemoryReclaim:
    """``memory.stat``, whose keys begin with `start` where child groups count (v1: ``total_``).

    v1 does not count what it scans. Older kernels have one number for refaults of both kinds: it is not read.
    """
    field = parse_flat(text, "memory.stat")
    keys = ("pgscan", "pgsteal", "workingset_refault_anon", "workingset_refault_file")
    return MemoryReclaim(*(field.get(start + key) for key in keys))


def parse_oom_control(text: str) -> MemoryEvents:
    """v1 ``memory.oom_control``; ``oom_kill`` came later than the others."""
    field = parse_flat(text, "memory.oom_control")
    under_oom = field.get("under_oom")
    return MemoryEvents(
        oom_kills=field.get("oom_kill"), under_oom=None if under_oom is None else under_oom != 0
    )


def parse_memory_events(text: str | None, local_text: str | None) -> MemoryEvents:
    """v2 ``memory.events`` and ``memory.events.local``; keys came with the years."""
    field = {} if text is None else parse_flat(text, "memory.events")
    own = {} if local_text is None else parse_flat(local_text, "memory.events.local")
    return MemoryEvents(
        limit_hits=field.get("max"),
        oom_kills=field.get("oom_kill"),
        low_hits=field.get("low"),
        high_hits=field.get("high"),
        ooms=field.get("oom"),
        oom_group_kills=field.get("oom_group_kill"),
        own_limit_hits=own.get("max"),
        own_high_hits=own.get("high"),
        own_oom_kills=own.get("oom_kill"),
    )


def read_file(dirs: Dirs, file: str) -> str | None:
    """A file of the memory controller; None if it is not offered."""
    return dirs["memory"].read(file) if "memory" in dirs else None


def read_number(dirs: Dirs, file: str) -> int | None:
    """A file of the memory controller that holds one number."""
    text = read_file(dirs, file)
    return None if text is None else parse_int(text, file)


def directory(dirs: Dirs) -> ControlDir:
    """The memory controller's directory; `NotOffered` if there is none."""
    if "memory" not in dirs:
        raise NotOffered("memory", "memory")
    return dirs["memory"]
