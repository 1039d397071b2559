"""Load averages of containers, as the kernel reckons the host's: running and waiting tasks, seen every 5 s.

The kernel keeps none per cgroup. A container is looked at from the first time it reads its /proc/loadavg
until it has not done so for five minutes: whoever does not ask costs nothing.
"""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass, field
from typing import Final

from cgroupfs import CgroupError, Hierarchies

EVERY_SEC: Final = 5.0
FORGET_SEC: Final = 300.0
_DECAY: Final = tuple(math.exp(-EVERY_SEC / seconds) for seconds in (60, 300, 900))


@dataclass(slots=True)
class _Load:
    asked_at: float
    running: int = 0
    averages: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])


class Loads:
    """`tick` every EVERY_SEC; `read` at any time. Times are monotonic seconds."""

    def __init__(self, hierarchies: Hierarchies) -> None:
        self._hierarchies = hierarchies
        self._loads: dict[str, _Load] = {}

    def read(self, path: str, now: float) -> tuple[tuple[float, float, float], int]:
        """(averages over 1, 5, 15 minutes; running now). The first answer is what is running now."""
        load = self._loads.get(path)
        if load is None:
            running = count_running(self._hierarchies, path)
            load = self._loads[path] = _Load(now, running, [float(running)] * 3)
        load.asked_at = now
        one, five, fifteen = load.averages
        return (one, five, fifteen), load.running

    def tick(self, now: float) -> None:
        """One more look at those who asked lately."""
        for path, load in list(self._loads.items()):
            if now - load.asked_at > FORGET_SEC:
                del self._loads[path]
                continue
            try:
                load.running = count_running(self._hierarchies, path)
            except CgroupError:
                del self._loads[path]
                continue
            load.averages = [
                average * decay + load.running * (1 - decay)
                for average, decay in zip(load.averages, _DECAY, strict=True)
            ]

    @property
    def wanted(self) -> bool:
        """Is there anybody to look at?"""
        return bool(self._loads)


def count_running(hierarchies: Hierarchies, path: str) -> int:
    """Threads that run or wait for the disk, in the cgroup and below it."""
    running = 0
    for pid in hierarchies.cgroup(path).procs():
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                    running += file.read().rpartition(b") ")[2][:1] in (b"R", b"D")
    return running
