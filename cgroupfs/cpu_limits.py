"""Limits on CPU time, and their writes in an order that the kernel takes: pure, it reads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from cgroupfs.errors import BadLimit
from cgroupfs.values import UNLIMITED, Unlimited
from cgroupfs.wishes import Wanted, check_flag, check_number, check_whole, is_lifted
from cgroupfs.writes import Write

DEFAULT_PERIOD_USEC: Final = 100_000
SHORTEST_QUOTA_USEC: Final = 1_000
PERIODS_USEC: Final = (1_000, 1_000_000)
LONGEST_BURST_USEC: Final = 1 << 43
FLOAT_ERROR: Final = 1e-6  # 0.29 cores of 100000 us are 28999.999999999996
NO_QUOTA: Final = -1

Cores = float | Literal[Unlimited.UNLIMITED]


@dataclass(frozen=True, slots=True)
class CpuLimits:
    """None: not offered here; of shares and weight a kernel offers one."""

    max_cores: Cores | None = None
    period_usec: int | None = None
    burst_usec: int | None = None
    shares: int | None = None
    idle: bool | None = None
    weight: int | None = None


class WeightKind(NamedTuple):
    """The relative share of CPU time as one hierarchy counts it; never converted without being asked."""

    field: str
    file: str
    low: int
    high: int
    default: int


SHARES: Final = WeightKind("cpu_shares", "cpu.shares", 2, 262_144, 1024)
WEIGHT: Final = WeightKind("cpu_weight", "cpu.weight", 1, 10_000, 100)


class Bandwidth(NamedTuple):
    """What `wanted` comes to; the quota is -1 for none."""

    quota_usec: int
    period_usec: int


def _quota_usec(cores: Cores, period_usec: int) -> int:
    """Rounded down: rounded up, it could be above that of a parent with as many cores, which is refused."""
    return NO_QUOTA if cores is UNLIMITED else int(cores * period_usec + FLOAT_ERROR)


def _wanted_cores(wanted: Wanted, now: Cores, period_usec: int, possible_cpus: int) -> Cores:
    value = wanted.get("cpu_max_cores", now)
    if is_lifted(value):
        return UNLIMITED
    most = possible_cpus if "cpu_max_cores" in wanted else float("inf")
    cores = check_number("cpu_max_cores", value, 0, most)
    if _quota_usec(cores, period_usec) < SHORTEST_QUOTA_USEC:
        least = SHORTEST_QUOTA_USEC / period_usec
        raise BadLimit(
            "cpu_max_cores", f"{cores:g} is below {least:g}, the least in a period of {period_usec} us"
        )
    return cores


def _wanted_period(wanted: Wanted, now_usec: int) -> int:
    value = wanted.get("cpu_period_usec", now_usec)
    return DEFAULT_PERIOD_USEC if is_lifted(value) else check_whole("cpu_period_usec", value, *PERIODS_USEC)


def _bandwidths(now: CpuLimits, wanted: Wanted, possible_cpus: int) -> tuple[Bandwidth, Bandwidth] | None:
    """The bandwidth now and as wanted; None if it is not offered, or nothing of it is wanted."""
    if now.period_usec is None or now.max_cores is None:
        return None
    if wanted.keys().isdisjoint({"cpu_max_cores", "cpu_period_usec", "cpu_burst_usec"}):
        return None
    period = _wanted_period(wanted, now.period_usec)
    cores = _wanted_cores(wanted, now.max_cores, period, possible_cpus)
    before = Bandwidth(_quota_usec(now.max_cores, now.period_usec), now.period_usec)
    return before, Bandwidth(_quota_usec(cores, period), period)


def plan_bandwidth(now: CpuLimits, wanted: Wanted, possible_cpus: int) -> list[Write]:
    """v1 quota, period and burst, in an order that no parent or child group can refuse half-way.

    The burst is at most the quota: it shrinks first and grows last.
    """
    both = _bandwidths(now, wanted, possible_cpus)
    if both is None:
        return []
    before, after = both
    writes = _plan_quota_and_period(before, after)
    return _with_burst(writes, now.burst_usec, wanted, after.quota_usec, "cpu.cfs_burst_us")


def _plan_quota_and_period(before: Bandwidth, after: Bandwidth) -> list[Write]:
    """Two writes, the share of CPU time in between lying between the old and the new one.

    It does if one of the two grows, the other shrinks, and the quota goes first. Where both grow or shrink no
    order does, and the quota is lifted for a moment: a group without one has its parent's.
    """
    quota = Write("cpu", "cpu.cfs_quota_us", str(after.quota_usec))
    period = Write("cpu", "cpu.cfs_period_us", str(after.period_usec))
    if after.period_usec == before.period_usec:
        return [] if after == before else [quota]
    if after.quota_usec == before.quota_usec:
        return [period]
    if before.quota_usec == NO_QUOTA:
        return [period, quota]
    apart = (after.quota_usec > before.quota_usec) != (after.period_usec > before.period_usec)
    if apart or after.quota_usec == NO_QUOTA:
        return [quota, period]
    return [quota._replace(value=str(NO_QUOTA)), period, quota]


def plan_cpu_max(now: CpuLimits, wanted: Wanted, possible_cpus: int) -> list[Write]:
    """v2 quota and period, which are one write and no matter of parents, and the burst around it."""
    both = _bandwidths(now, wanted, possible_cpus)
    if both is None:
        return []
    before, after = both
    quota = "max" if after.quota_usec == NO_QUOTA else str(after.quota_usec)
    writes = [] if after == before else [Write("cpu", "cpu.max", f"{quota} {after.period_usec}")]
    return _with_burst(writes, now.burst_usec, wanted, after.quota_usec, "cpu.max.burst")


def _with_burst(
    writes: list[Write], now_usec: int | None, wanted: Wanted, quota_usec: int, file: str
) -> list[Write]:
    if now_usec is None:
        return writes
    value = wanted.get("cpu_burst_usec", now_usec)
    burst = 0 if is_lifted(value) else check_whole("cpu_burst_usec", value, 0, LONGEST_BURST_USEC)
    if 0 <= quota_usec < burst:
        raise BadLimit(
            "cpu_burst_usec", f"{burst} is above the quota of {quota_usec} us that it may go beyond once"
        )
    if burst == now_usec:
        return writes
    write = Write("cpu", file, str(burst))
    return [write, *writes] if burst < now_usec else [*writes, write]


def plan_weight(now: CpuLimits, wanted: Wanted, kind: WeightKind = SHARES) -> list[Write]:
    """Weight and idle. Becoming idle loses the weight and ending it resets that: write them around it."""
    now_weight = now.shares if kind is SHARES else now.weight
    idle = now.idle
    if "cpu_idle" in wanted:
        idle = False if is_lifted(wanted["cpu_idle"]) else check_flag("cpu_idle", wanted["cpu_idle"])
    weight = _wanted_weight(wanted, kind)
    if idle and weight is not None:
        raise BadLimit(kind.field, "an idle group has no weight; set cpu_idle to false too")
    if idle == now.idle:
        return [] if weight in (None, now_weight) else [Write("cpu", kind.file, str(weight))]
    flag = Write("cpu", "cpu.idle", "1" if idle else "0")
    if idle:  # the same weight again: no change by itself, but undoing the plan then gives it back
        return [Write("cpu", kind.file, str(now_weight)), flag]
    return [flag] if weight is None else [flag, Write("cpu", kind.file, str(weight))]


def _wanted_weight(wanted: Wanted, kind: WeightKind) -> int | None:
    if kind.field not in wanted:
        return None
    value = wanted[kind.field]
    return kind.default if is_lifted(value) else check_whole(kind.field, value, kind.low, kind.high)
