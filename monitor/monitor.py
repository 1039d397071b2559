"""The monitor as the daemon sees it: call `tick` once a second, ask `latest` and `history` at any time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from cgroupfs import Hierarchies
from monitor.events import EventLog
from monitor.history import History
from monitor.host import HOST_METRICS, Host, metric_values
from monitor.sample import ContainerSource, Observation, Snapshot, SweepCost, Tombstone, Totals
from monitor.sweep import Sweep
from monitor.usage import METRICS

TOMBSTONE_SEC: Final = 300.0
MOST_TOMBSTONES: Final = 1000


class Monitor:
    """Reads all containers of `source` and the host, and remembers."""

    def __init__(
        self,
        *,
        source: ContainerSource,
        hierarchies: Hierarchies,
        events: EventLog,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        interval_sec: float = 1.0,
        history_sec: float = 900.0,
        max_fds: int | None = None,
    ) -> None:
        """`max_fds`: descriptors to keep between sweeps; None: by the limit of this process."""
        self.history = History(METRICS, HOST_METRICS, ticks=max(2, round(history_sec / interval_sec)))
        self.hierarchies = hierarchies
        self._events = events
        self._clock, self._wall_clock = clock, wall_clock
        self._interval_sec = interval_sec
        self._sweep = Sweep(source, max_fds)
        self._host = Host()
        self._refresh: deque[str] = deque()
        self._refreshing: frozenset[str] = frozenset()
        self._latest: Snapshot | None = None
        self._totals = Totals()
        self._tombstones: dict[str, Tombstone] = {}
        self._tick = -1

    def tick(self) -> Snapshot:
        """One sweep over everything, under one stamp. Called by one thread, once per interval."""
        self._tick += 1
        taken_at, wall_time = self._clock(), self._wall_clock()
        missed = self._count_missed(taken_at)
        host = self._host.read(self._tick, taken_at)
        swept = self._sweep.run(self._tick, taken_at, wall_time, self._take_refresh())
        cost = replace(swept.cost, missed=missed)
        rows = {name: seen.usage for name, seen in swept.containers.items() if not seen.stale}
        self.history.append(taken_at, wall_time, metric_values(host), rows)
        self._bury(swept.gone, taken_at)
        self._tell_about_budget(cost)
        self._totals = self._totals.plus(cost)
        self._latest = Snapshot(self._tick, taken_at, wall_time, host, swept.containers, cost)
        self._refreshing = frozenset()
        return self._latest

    def latest(self) -> Snapshot | None:
        """The last sweep's snapshot; None before the first."""
        return self._latest

    def totals(self) -> Totals:
        """What all sweeps together cost."""
        return self._totals

    def tombstones(self) -> Mapping[str, Tombstone]:
        """The last of containers that went in the past five minutes, by name."""
        return dict(self._tombstones)

    def refresh_limits(self, name: str) -> None:
        """Read limits, freezer state and slow numbers of this container in the next sweep, after a write."""
        self._refresh.append(name)

    def changed_since_sweep(self) -> frozenset[str]:
        """Containers whose limits or freezer may differ from what `latest` says; ask this before `latest`."""
        return self._refreshing.union(tuple(self._refresh))

    def close(self) -> None:
        """Let go of all descriptors; no tick after that."""
        self._sweep.close()

    def _take_refresh(self) -> frozenset[str]:
        # A name that another thread adds meanwhile stays for the next tick; those that are taken are known
        # as being read before they leave the queue.
        names = tuple(self._refresh)
        self._refreshing = frozenset(names)
        for _ in names:
            self._refresh.popleft()
        return self._refreshing

    def _count_missed(self, taken_at: float) -> int:
        if self._latest is None:
            return 0
        return max(0, round((taken_at - self._latest.taken_at) / self._interval_sec) - 1)

    def _bury(self, gone: tuple[Observation, ...], now: float) -> None:
        if not gone and not self._tombstones:
            return
        kept = {name: tomb for name, tomb in self._tombstones.items() if now - tomb.gone_at < TOMBSTONE_SEC}
        for seen in gone:
            kept.pop(seen.sample.name, None)  # so that the newest stand last
            kept[seen.sample.name] = Tombstone(seen, now)
        self._tombstones = dict(tuple(kept.items())[-MOST_TOMBSTONES:])

    def _tell_about_budget(self, cost: SweepCost) -> None:
        before = 0 if self._latest is None else self._latest.cost.unkept
        if bool(before) == bool(cost.unkept):
            return
        reason = (
            f"{cost.unkept} containers are beyond the descriptor budget: opened for each sweep"
            if cost.unkept
            else "all containers fit the descriptor budget again"
        )
        self._events.append("collector.budget", actor_kind="daemon", actor_name="monitor", reason=reason)
