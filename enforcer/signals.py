"""The signals a policy may name: each a number with a unit; unknown is None, never a stand-in."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enforcer.fields import Unit


@dataclass(frozen=True, slots=True)
class Signal:
    """One named number. `of`: whom it can be read for; `span`: default regression window in samples."""

    name: str
    unit: Unit
    of: frozenset[str]
    span: int = 0
    hits: int = 1


_BOTH = frozenset({"node", "target"})
_TARGET = frozenset({"target"})
_NODE = frozenset({"node"})
SLOPE_SAMPLES = 10
TIME_TO_LIMIT_HITS = 2


def _catalogue() -> dict[str, Signal]:
    found = [
        Signal("cpu.cores", Unit.CORES, _BOTH),
        Signal("cpu.usedRatio", Unit.RATIO, _BOTH),
        Signal("cpu.capacity", Unit.CORES, _NODE),
        Signal("cpu.nonTargetCores", Unit.CORES, _NODE),
        Signal("cpu.systemCores", Unit.CORES, _NODE),
        Signal("cpu.throttledRatio", Unit.RATIO, _TARGET),
        Signal("memory.usage", Unit.BYTES, _BOTH),
        Signal("memory.workingSet", Unit.BYTES, _TARGET),
        Signal("memory.anon", Unit.BYTES, _TARGET),
        Signal("memory.usedRatio", Unit.RATIO, _BOTH),
        Signal("memory.availableRatio", Unit.RATIO, _NODE),
        Signal("memory.slope", Unit.BYTES_PER_SEC, _TARGET, span=SLOPE_SAMPLES),
        Signal("memory.timeToLimit", Unit.SECONDS, _TARGET, span=SLOPE_SAMPLES, hits=TIME_TO_LIMIT_HITS),
        Signal("io.readRate", Unit.BYTES_PER_SEC, _TARGET),
        Signal("io.writeRate", Unit.BYTES_PER_SEC, _TARGET),
        Signal("io.readOps", Unit.PER_SEC, _TARGET),
        Signal("io.writeOps", Unit.PER_SEC, _TARGET),
        Signal("net.rxRate", Unit.BYTES_PER_SEC, _TARGET),
        Signal("net.txRate", Unit.BYTES_PER_SEC, _TARGET),
        Signal("pids.count", Unit.COUNT, _TARGET),
        Signal("pids.usedRatio", Unit.RATIO, _TARGET),
        Signal("container.age", Unit.SECONDS, _TARGET),
        Signal("container.frozen", Unit.COUNT, _TARGET),
        Signal("sample.age", Unit.SECONDS, _TARGET),
    ]
    for resource in ("cpu", "memory", "io"):
        for kind in ("some",) if resource == "cpu" else ("some", "full"):
            for part in ("avg10", "avg60", "avg300", "stall"):
                found.append(Signal(f"{resource}.psi.{kind}.{part}", Unit.RATIO, _BOTH))
    return {signal.name: signal for signal in found}


SIGNALS: Mapping[str, Signal] = _catalogue()

# Points of a history: (monotonic seconds, value), oldest first.
Points = Sequence[tuple[float, float]]


def known(value: float | None) -> float | None:
    """The value, or None where it is missing, not a number, infinite or negative: none of these is a fact."""
    if value is None or not math.isfinite(value) or value < 0:
        return None
    return value


def theil_sen_slope(points: Points) -> float | None:
    """Theil-Sen: the median of the slopes of all pairs, so that one outlier in ten changes nothing."""
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for i, earlier in enumerate(points)
        for later in points[i + 1 :]
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) if slopes else None


def memory_slope(points: Points, samples: int) -> float | None:
    """Growth in bytes per second over the last `samples` points; None with fewer than four fifths of them."""
    recent = points[-samples:]
    if len(recent) < max(3, math.ceil(samples * 0.8)):
        return None
    return theil_sen_slope(recent)


def time_to_limit_sec(usage: float, limit: float | None, slope: float | None) -> float | None:
    """Seconds until `usage` meets `limit`; infinite when it is not approaching, None when unknown."""
    if limit is None or slope is None:
        return None
    if slope <= 0:
        return math.inf
    return max(0.0, limit - usage) / slope


def summarize(points: Points, stat: str) -> float | None:
    """The statistic over the points' values; None without points."""
    values = [value for _, value in points]
    if not values:
        return None
    match stat:
        case "mean":
            return statistics.fmean(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "last":
            return values[-1]
        case _:
            return _percentile(values, int(stat[1:]))


def _percentile(values: list[float], percent: int) -> float:
    """Nearest rank: the smallest value that at least `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


STATS = ("last", "mean", "min", "max", "p50", "p95", "p99")
