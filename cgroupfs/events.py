"""What can happen to a cgroup, as values; `cgroupfs.watcher` gives them in the order in which it saw them.

Each names the group by path and inode, since a namesake made later is another group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

INOTIFY, EVENTFD, TRIGGER, PIDFD, POLLING = "inotify", "eventfd", "trigger", "pidfd", "polling"


@dataclass(frozen=True, slots=True)
class Way:
    """How one thing is watched: by a notice of the kernel, or by looking again and again, and then why."""

    path: str
    source: str
    by: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class LimitHit:
    """Memory came to its protection (``low``) or a limit (``high``, ``max``), `hits` times since the last."""

    path: str
    inode: int
    limit: str
    hits: int


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """Memory could not be had within the limit; the kernel may kill next."""

    path: str
    inode: int
    times: int


@dataclass(frozen=True, slots=True)
class OomKill:
    """The kernel killed `kills` processes for want of memory."""

    path: str
    inode: int
    kills: int


@dataclass(frozen=True, slots=True)
class UsageCrossed:
    """Memory usage crossed a threshold, `times` since the last; `usage_bytes` and `above` are of now."""

    path: str
    inode: int
    threshold_bytes: int
    usage_bytes: int
    above: bool
    times: int


@dataclass(frozen=True, slots=True)
class ReclaimPressure:
    """Reclaim works at ``low``, ``medium`` or ``critical`` pressure, told `times` since the last."""

    path: str
    inode: int
    level: str
    times: int


@dataclass(frozen=True, slots=True)
class Stalled:
    """Tasks (``some`` or ``full``) waited for `stall_usec` or more of `window_usec`; the host: path empty."""

    path: str
    inode: int
    resource: str
    kind: str
    stall_usec: int
    window_usec: int


@dataclass(frozen=True, slots=True)
class FreezerChanged:
    """All tasks have frozen, or they run again."""

    path: str
    inode: int
    frozen: bool


@dataclass(frozen=True, slots=True)
class PopulatedChanged:
    """The first process came, or the last one left, child groups included."""

    path: str
    inode: int
    populated: bool


@dataclass(frozen=True, slots=True)
class Exited:
    """A watched process has ended."""

    path: str
    inode: int
    pid: int


@dataclass(frozen=True, slots=True)
class Removed:
    """The group is no more; nothing else is watched of it but processes."""

    path: str
    inode: int


Event: TypeAlias = (
    LimitHit
    | OutOfMemory
    | OomKill
    | UsageCrossed
    | ReclaimPressure
    | Stalled
    | FreezerChanged
    | PopulatedChanged
    | Exited
    | Removed
)

_LIMITS: Final = ("low", "high", "max")


def compare_memory(path: str, inode: int, before: Mapping[str, int], after: Mapping[str, int]) -> list[Event]:
    """What two readings of ``memory.events`` tell; a counter that fell was reset and tells nothing."""
    new = {key: after[key] - before.get(key, 0) for key in after if after[key] > before.get(key, 0)}
    events: list[Event] = [LimitHit(path, inode, key, new[key]) for key in _LIMITS if key in new]
    if "oom" in new:
        events.append(OutOfMemory(path, inode, new["oom"]))
    if "oom_kill" in new:
        events.append(OomKill(path, inode, new["oom_kill"]))
    return events


def compare_group(path: str, inode: int, before: Mapping[str, int], after: Mapping[str, int]) -> list[Event]:
    """What two readings of ``cgroup.events`` tell."""
    events: list[Event] = []
    if "frozen" in after and before.get("frozen") != after["frozen"]:
        events.append(FreezerChanged(path, inode, after["frozen"] == 1))
    if "populated" in after and before.get("populated") != after["populated"]:
        events.append(PopulatedChanged(path, inode, after["populated"] == 1))
    return events
