"""The last minutes of every container and of the host in memory, and questions about them.

The rings hold full resolution; whoever asks says how many points he can draw, and gets minimum, average and
maximum of each. Written by the sweep thread, asked by any.
"""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from monitor.ring import Layout, Packed, Ring, Run, Values

HOST: Final = "host"
MOST_GONE: Final = 500  # series kept of containers that are gone; the eldest go first
PRUNE_TICKS: Final = 16

Column: TypeAlias = dict[str, list[float | None]]  # "min", "avg", "max"


class UnknownMetric(Exception):
    """A question for a metric that is not recorded."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"{name!r} is not a metric; known are {', '.join(known)}")
        self.name = name


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Points of one series, oldest first; None where nothing was measured."""

    t: list[float] = field(default_factory=list)  # unix seconds of the last tick in each point
    columns: dict[str, Column] = field(default_factory=dict)


class Buckets(NamedTuple):
    """`number` points of `width` ticks each, the first from tick `first`."""

    first: int
    width: int
    number: int

    def last_tick(self, bucket: int) -> int:
        return self.first + (bucket + 1) * self.width - 1


class _Copy(NamedTuple):
    """What a question needs, taken under the lock and worked on outside."""

    layout: Layout
    packed: Packed | None
    ticks: range
    stamps: array[float]
    wall_offset: float

    def wall_time(self, tick: int) -> float:
        return self.stamps[tick % len(self.stamps)] + self.wall_offset


class History:
    """Rings of containers and host over one time axis."""

    def __init__(self, metrics: Sequence[str], host_metrics: Sequence[str], *, ticks: int) -> None:
        """`ticks`: how many are remembered."""
        self._lock = threading.Lock()
        self._ticks = ticks
        self._layout = Layout(metrics)
        self._host_layout = Layout(host_metrics)
        self._rings: dict[str, Ring] = {}
        self._host = Ring(self._host_layout, ticks)
        self._stamps = array("d", bytes(8 * ticks))  # monotonic seconds, by tick modulo ticks
        self._tick = -1
        self._wall_offset = 0.0  # unix seconds at monotonic 0, as the youngest tick saw it

    def append(self, taken_at: float, wall_time: float, host: Values, rows: Mapping[str, Values]) -> None:
        """One tick more: the usage of the host and of each container that was read."""
        with self._lock:
            self._tick += 1
            tick, rings = self._tick, self._rings
            self._stamps[tick % self._ticks] = taken_at
            self._wall_offset = wall_time - taken_at
            self._host.append(tick, host)
            for name, values in rows.items():
                ring = rings.get(name)
                if ring is None:
                    ring = rings[name] = Ring(self._layout, self._ticks, stagger=len(rings))
                ring.append(tick, values)
            if tick % PRUNE_TICKS == 0:
                self._prune()

    def query(
        self, name: str, metrics: Sequence[str], since_sec: float = math.inf, points: int | None = None
    ) -> HistoryPage:
        """The last `since_sec` seconds of a container ("host" or "" for the host) in at most `points` points.

        Without `points` every tick is one. A container that was never seen has no points. `UnknownMetric`
        for a metric that is not recorded.
        """
        copy = self._copy(name, since_sec)
        columns = [_column_of(copy.layout, metric) for metric in metrics]
        ticks = copy.ticks
        runs = [run for run in copy.packed.runs() if run.last >= ticks.start] if copy.packed else []
        if not runs:
            return HistoryPage([], {metric: {"min": [], "avg": [], "max": []} for metric in metrics})
        buckets = plan_buckets(max(runs[0].first, ticks.start), ticks.stop - 1, points)
        return HistoryPage(
            [copy.wall_time(min(buckets.last_tick(i), ticks.stop - 1)) for i in range(buckets.number)],
            {metric: fold(runs, column, buckets) for metric, column in zip(metrics, columns, strict=True)},
        )

    def names(self) -> list[str]:
        """Containers that have a series."""
        with self._lock:
            return list(self._rings)

    @property
    def memory_bytes(self) -> int:
        """About what the history takes."""
        with self._lock:
            return sum(ring.memory_bytes for ring in self._rings.values()) + self._host.memory_bytes

    def _copy(self, name: str, since_sec: float) -> _Copy:
        with self._lock:
            ring = self._rings.get(name)
            if ring is None and name in ("", HOST):
                ring = self._host
            known = range(max(0, self._tick + 1 - self._ticks), self._tick + 1)
            if ring is None or not known:
                return _Copy(self._layout if ring is None else ring.layout, None, known, self._stamps, 0.0)
            since = self._stamp(self._tick) - since_sec
            ticks = known[bisect_left(known, since, key=self._stamp) :]
            return _Copy(ring.layout, ring.copy(ticks.start), ticks, self._stamps[:], self._wall_offset)

    def _stamp(self, tick: int) -> float:
        return self._stamps[tick % self._ticks]

    def _prune(self) -> None:
        gone = [(ring.last_tick, name) for name, ring in self._rings.items() if ring.last_tick < self._tick]
        gone.sort()
        for i, (last_tick, name) in enumerate(gone):
            if last_tick <= self._tick - self._ticks or i < len(gone) - MOST_GONE:
                del self._rings[name]


def plan_buckets(first: int, last: int, points: int | None) -> Buckets:
    """Ticks `first` to `last` in at most `points` buckets that start at multiples of their width.

    Aligned, so that asking again a second later gives the same buckets and a chart does not flicker; a part
    of a bucket at the old end is left out where it would be one too many.
    """
    ticks = last - first + 1
    if points is None or points >= ticks:
        return Buckets(first, 1, ticks)
    width = -(-ticks // max(points, 1))
    start = first // width * width
    count = last // width - start // width + 1
    if count > max(points, 1):
        start, count = start + width, count - 1
    return Buckets(start, width, count)


def fold(runs: Sequence[Run], column: int, buckets: Buckets) -> Column:
    """Minimum, average by time, and maximum of one column in each bucket."""
    first, width, count = buckets
    low, high = [math.inf] * count, [-math.inf] * count
    total, weight = [0.0] * count, [0] * count
    for run in runs:
        value = run.values[column]
        if value != value:  # NaN: nothing was measured
            continue
        start, end = max(run.first - first, 0), min(run.last - first, count * width - 1)
        for i in range(start // width, end // width + 1):
            ticks = min(end, (i + 1) * width - 1) - max(start, i * width) + 1
            low[i], high[i] = min(low[i], value), max(high[i], value)
            total[i] += value * ticks
            weight[i] += ticks
    measured = [w > 0 for w in weight]
    return {
        "min": [v if ok else None for v, ok in zip(low, measured, strict=True)],
        # Rounding must not carry an average out of its band.
        "avg": [
            min(max(t / w, lo), hi) if w else None
            for t, w, lo, hi in zip(total, weight, low, high, strict=True)
        ],
        "max": [v if ok else None for v, ok in zip(high, measured, strict=True)],
    }


def _column_of(layout: Layout, metric: str) -> int:
    column = layout.column.get(metric)
    if column is None:
        raise UnknownMetric(metric, layout.names)
    return column
