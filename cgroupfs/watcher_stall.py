"""Pressure beyond a threshold: by a trigger, which the kernel fires at most once a window, or by the total.

Documentation/accounting/psi.rst, "Monitoring for pressure thresholds".
"""

from __future__ import annotations

import select
from typing import Final

from cgroupfs.errors import CgroupGone
from cgroupfs.events import POLLING, TRIGGER, Event, Stalled, Way
from cgroupfs.files import ControlDir
from cgroupfs.pressure import parse_pressure
from cgroupfs.watcher_sources import Source

_GONE_FOREVER: Final = select.EPOLLERR | select.EPOLLHUP


class Stall(Source):
    """Pressure of one resource, by a trigger or by the file's total."""

    mask = select.EPOLLPRI
    patient = False

    def __init__(
        self,
        path: str,
        inode: int,
        way: Way,
        fd: int,
        directory: ControlDir | None,
        told: Stalled,
        host_file: str = "",
    ) -> None:
        super().__init__(path, inode, way, fd)
        self.directory = directory
        self.told = told
        self.host_file = host_file
        self.since, self.total = -1e9, 0

    def look(self, now: float, woken: int) -> list[Event]:
        if woken & _GONE_FOREVER:
            # It would wake for ever: either the group is gone, or its pressure was switched off.
            self.close()
            if self.directory is not None and not self.directory.alive():
                raise CgroupGone(self.directory.path)
            self.way = Way(self.path, self.way.source, POLLING, "the kernel ended the trigger")
            return []
        if self.way.by == TRIGGER:
            return [self.told] if woken else []
        return self._compare(now)

    def _compare(self, now: float) -> list[Event]:
        total = self._read_total()
        if total is None or now - self.since < self.told.window_usec / 1e6:
            return []
        stalled, first = total - self.total, self.since < 0
        self.since, self.total = now, total
        return [self.told] if not first and stalled >= self.told.stall_usec else []

    def _read_total(self) -> int | None:
        if self.directory is None:
            with open(self.host_file, "rb") as file:
                raw: bytes | None = file.read()
        else:
            raw = self.directory.read_bytes(f"{self.told.resource}.pressure")
        if raw is None:
            return None
        psi = parse_pressure(raw)
        return psi.some_usec if self.told.kind == "some" else psi.full_usec
