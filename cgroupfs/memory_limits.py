"""Limits on memory and swap, and their writes in an order that the kernel takes: pure, it reads nothing.

v1 limits memory plus swap, the unified tree swap alone, and so do we: what is written is converted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cgroupfs.errors import BadLimit
from cgroupfs.values import UNLIMITED, V1_UNLIMITED_FROM, Limit
from cgroupfs.wishes import Wanted, check_flag, check_limit, check_whole, is_lifted
from cgroupfs.writes import Write

MOST_BYTES: Final = V1_UNLIMITED_FROM - 1
PAGE_MASK: Final = ~4095  # the kernel rounds limits down to pages, of 4 KiB or more
SWAPPINESS: Final = (0, 200)
DEFAULT_SWAPPINESS: Final = 60


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """None: not offered here. `swap_max_bytes` is swap alone."""

    max_bytes: Limit | None = None
    swap_max_bytes: Limit | None = None
    high_bytes: Limit | None = None
    soft_limit_bytes: Limit | None = None
    low_bytes: Limit | None = None
    min_bytes: Limit | None = None
    oom_group: bool | None = None
    swappiness: int | None = None


def swap_alone(memory: Limit | None, both: Limit | None) -> Limit | None:
    """The limit of swap by itself, from those of memory and of both together."""
    if memory is None or both is None:
        return None
    if memory is UNLIMITED or both is UNLIMITED:
        return UNLIMITED
    return max(0, both - memory)


def _both(memory: Limit, swap: Limit) -> Limit:
    return UNLIMITED if memory is UNLIMITED or swap is UNLIMITED else memory + swap


def _v1_text(limit: Limit) -> str:
    return "-1" if limit is UNLIMITED else str(limit)


def _rounded(limit: Limit) -> Limit:
    return UNLIMITED if limit is UNLIMITED else limit & PAGE_MASK


def plan_memory(now: MemoryLimits, wanted: Wanted) -> list[Write]:
    """v1 keeps memory plus swap >= memory at every instant, so the direction decides which goes first."""
    if now.max_bytes is None or wanted.keys().isdisjoint({"memory_max_bytes", "memory_swap_max_bytes"}):
        return []
    memory = check_limit("memory_max_bytes", wanted.get("memory_max_bytes", now.max_bytes), 0, MOST_BYTES)
    writes = []
    if _rounded(memory) != now.max_bytes:
        writes.append(Write("memory", "memory.limit_in_bytes", _v1_text(memory)))
    if now.swap_max_bytes is None:
        return writes
    swap = check_limit(
        "memory_swap_max_bytes", wanted.get("memory_swap_max_bytes", now.swap_max_bytes), 0, MOST_BYTES
    )
    if memory is UNLIMITED and swap is not UNLIMITED and wanted.get("memory_swap_max_bytes") is not None:
        raise BadLimit(
            "memory_swap_max_bytes", "swap can only be limited together with memory_max_bytes here"
        )
    both = _both(memory, swap)
    if _rounded(both) == _both(now.max_bytes, now.swap_max_bytes):
        return writes
    write = Write("memory", "memory.memsw.limit_in_bytes", _v1_text(both))
    return [write, *writes] if is_above(memory, now.max_bytes) else [*writes, write]


def plan_soft_limit(now: MemoryLimits, wanted: Wanted) -> list[Write]:
    """The write of the v1 limit that counts only while the whole host is short of memory."""
    if "memory_soft_limit_bytes" not in wanted:
        return []
    limit = check_limit("memory_soft_limit_bytes", wanted["memory_soft_limit_bytes"], 0, MOST_BYTES)
    if _rounded(limit) == now.soft_limit_bytes:
        return []
    return [Write("memory", "memory.soft_limit_in_bytes", _v1_text(limit))]


def plan_swappiness(now: MemoryLimits, wanted: Wanted) -> list[Write]:
    """The write of v1 ``memory.swappiness``; lifted it is the kernel's default."""
    if "memory_swappiness" not in wanted:
        return []
    value = wanted["memory_swappiness"]
    chosen = DEFAULT_SWAPPINESS if is_lifted(value) else check_whole("memory_swappiness", value, *SWAPPINESS)
    return [] if chosen == now.swappiness else [Write("memory", "memory.swappiness", str(chosen))]


def plan_unified_memory(now: MemoryLimits, wanted: Wanted) -> list[Write]:
    """v2: any order is taken; this one gives room before it takes room, so that nothing is killed between.

    Protection goes first, then swap that grows (what leaves memory can go there), then ``memory.max`` and
    ``memory.high``, and last swap that shrinks.
    """
    swap = _plan_limit("memory_swap_max_bytes", "memory.swap.max", now.swap_max_bytes, wanted)
    memory = _plan_limit("memory_max_bytes", "memory.max", now.max_bytes, wanted)
    high = _plan_limit("memory_high_bytes", "memory.high", now.high_bytes, wanted)
    grown = _is_raised("memory_swap_max_bytes", now.swap_max_bytes, wanted)
    middle = [*memory, *high] if _is_raised("memory_max_bytes", now.max_bytes, wanted) else [*high, *memory]
    return [
        *_plan_protection("memory_min_bytes", "memory.min", now.min_bytes, wanted),
        *_plan_protection("memory_low_bytes", "memory.low", now.low_bytes, wanted),
        *_plan_oom_group(now, wanted),
        *(swap if grown else []),
        *middle,
        *([] if grown else swap),
    ]


def _plan_limit(field: str, file: str, now: Limit | None, wanted: Wanted) -> list[Write]:
    if field not in wanted:
        return []
    limit = check_limit(field, wanted[field], 0, MOST_BYTES)
    return [] if _rounded(limit) == now else [Write("memory", file, _v2_text(limit))]


def _plan_protection(field: str, file: str, now: Limit | None, wanted: Wanted) -> list[Write]:
    """Here "max" is not the absence of a limit but protection of everything; None takes it away."""
    if field in wanted and wanted[field] is None:
        return [] if now == 0 else [Write("memory", file, "0")]
    return _plan_limit(field, file, now, wanted)


def _plan_oom_group(now: MemoryLimits, wanted: Wanted) -> list[Write]:
    if "memory_oom_group" not in wanted:
        return []
    value = wanted["memory_oom_group"]
    flag = False if is_lifted(value) else check_flag("memory_oom_group", value)
    return [] if flag == now.oom_group else [Write("memory", "memory.oom.group", "1" if flag else "0")]


def _is_raised(field: str, now: Limit | None, wanted: Wanted) -> bool:
    return (
        field in wanted
        and now is not None
        and is_above(check_limit(field, wanted[field], 0, MOST_BYTES), now)
    )


def _v2_text(limit: Limit) -> str:
    return "max" if limit is UNLIMITED else str(limit)


def is_above(limit: Limit, other: Limit) -> bool:
    """Is `limit` the wider of the two?"""
    if limit is UNLIMITED:
        return other is not UNLIMITED
    return other is not UNLIMITED and limit > other
