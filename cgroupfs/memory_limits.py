"""Limits on memory and swap, and their writes in an order that the kernel takes: pure, it reads nothing.

v1 limits memory plus swap, the unified tree swap alone, and so do we: what is written is converted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cgroupfs.errors import BadLimit
from cgroupfs.values import UNLIMITED, V1_UNLIMITED_FROM, Limit
from cgroupfs.wishes import Wanted, check_limit
from cgroupfs.writes import Write

MOST_BYTES: Final = V1_UNLIMITED_FROM - 1
PAGE_MASK: Final = ~4095  # the kernel rounds limits down to pages, of 4 KiB or more


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """None: not offered here. `swap_max_bytes` is swap alone."""

    max_bytes: Limit | None = None
    swap_max_bytes: Limit | None = None
    high_bytes: Limit | None = None
    soft_limit_bytes: Limit | None = None


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
    return [write, *writes] if _is_above(memory, now.max_bytes) else [*writes, write]


def plan_soft_limit(now: MemoryLimits, wanted: Wanted) -> list[Write]:
    """The write of the limit that counts only while the whole host is short of memory."""
    if "memory_soft_limit_bytes" not in wanted:
        return []
    limit = check_limit("memory_soft_limit_bytes", wanted["memory_soft_limit_bytes"], 0, MOST_BYTES)
    if _rounded(limit) == now.soft_limit_bytes:
        return []
    return [Write("memory", "memory.soft_limit_in_bytes", _v1_text(limit))]


def _is_above(limit: Limit, other: Limit) -> bool:
    if limit is UNLIMITED:
        return other is not UNLIMITED
    return other is not UNLIMITED and limit > other
