"""Limits on CPU time, and their writes in an order that the kernel takes: pure, it reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from cgroupfs.errors import BadLimit
from cgroupfs.values import UNLIMITED, Unlimited
from cgroupfs.wishes import Wanted, check_flag, check_number, check_whole, is_lifted
from cgroupfs.writes import Write

DEFAULT_PERIOD_USEC: Final = 100_000
SHORTEST_QUOTA_USEC: Final = 1_000
PERIODS_USEC: Final = (1_000, 1_000_000)
SHARES: Final = (2, 262_144)
DEFAULT_SHARES: Final = 1024
LONGEST_BURST_USEC: Final = 1 << 43
FLOAT_ERROR: Final = 1e-6  # 0.29 cores of 100000 us are 28999.999999999996

Cores = float | Literal[Unlimited.UNLIMITED]


@dataclass(frozen=True, slots=True)
class CpuLimits:
    """None: not offered here."""

    max_cores: Cores | None = None
    period_usec: int | None = None
    burst_usec: int | None = None
    shares: int | None = None
    idle: bool | None = None


def _quota_usec(cores: Cores, period_usec: int) -> int:
    """Rounded down: rounded up, it could be above that of a parent with as many cores, which is refused."""
    return -1 if cores is UNLIMITED else int(cores * period_usec + FLOAT_ERROR)


def _wanted_cores(wanted: Wanted, now: CpuLimits, period_usec: int, possible_cpus: int) -> Cores:
    value = wanted.get("cpu_max_cores", now.max_cores)
    if is_lifted(value):
        return UNLIMITED
    if "cpu_max_cores" not in wanted:
        cores = check_number("cpu_max_cores", value, 0, float("inf"))
    else:
        cores = check_number("cpu_max_cores", value, 0, possible_cpus)
    if _quota_usec(cores, period_usec) < SHORTEST_QUOTA_USEC:
        least = SHORTEST_QUOTA_USEC / period_usec
        raise BadLimit(
            "cpu_max_cores", f"{cores:g} is below {least:g}, the least in a period of {period_usec} us"
        )
    return cores


def plan_bandwidth(now: CpuLimits, wanted: Wanted, possible_cpus: int) -> list[Write]:
    """Quota, period and burst, in an order that no parent or child group can refuse half-way.

    A longer period goes before its quota and a shorter one after it, so that the share of CPU time in
    between is never above both the old and the new one. The burst is at most the quota: it shrinks first.
    """
    if now.period_usec is None or now.max_cores is None:
        return []
    if wanted.keys().isdisjoint({"cpu_max_cores", "cpu_period_usec", "cpu_burst_usec"}):
        return []
    period = _wanted_period(wanted, now.period_usec)
    cores = _wanted_cores(wanted, now, period, possible_cpus)
    quota = _quota_usec(cores, period)
    writes = []
    if quota != _quota_usec(now.max_cores, now.period_usec):
        writes.append(Write("cpu", "cpu.cfs_quota_us", str(quota)))
    if period != now.period_usec:
        writes.insert(
            0 if period > now.period_usec else len(writes), Write("cpu", "cpu.cfs_period_us", str(period))
        )
    return _with_burst(writes, now.burst_usec, wanted, quota)


def _wanted_period(wanted: Wanted, now_usec: int) -> int:
    value = wanted.get("cpu_period_usec", now_usec)
    return DEFAULT_PERIOD_USEC if is_lifted(value) else check_whole("cpu_period_usec", value, *PERIODS_USEC)


def _with_burst(writes: list[Write], now_usec: int | None, wanted: Wanted, quota: int) -> list[Write]:
    if now_usec is None:
        return writes
    value = wanted.get("cpu_burst_usec", now_usec)
    burst = 0 if is_lifted(value) else check_whole("cpu_burst_usec", value, 0, LONGEST_BURST_USEC)
    if 0 <= quota < burst:
        raise BadLimit(
            "cpu_burst_usec", f"{burst} is above the quota of {quota} us that it may go beyond once"
        )
    if burst == now_usec:
        return writes
    write = Write("cpu", "cpu.cfs_burst_us", str(burst))
    return [write, *writes] if burst < now_usec else [*writes, write]


def plan_weight(now: CpuLimits, wanted: Wanted) -> list[Write]:
    """Shares and idle. Becoming idle loses the shares and ending it resets them: write them around it."""
    idle = now.idle
    if "cpu_idle" in wanted:
        idle = False if is_lifted(wanted["cpu_idle"]) else check_flag("cpu_idle", wanted["cpu_idle"])
    shares = _wanted_shares(wanted)
    if idle and shares is not None:
        raise BadLimit("cpu_shares", "an idle group has no shares; set cpu_idle to false too")
    if idle == now.idle:
        return [] if shares in (None, now.shares) else [Write("cpu", "cpu.shares", str(shares))]
    flag = Write("cpu", "cpu.idle", "1" if idle else "0")
    if idle:  # the same shares again: no change by itself, but undoing the plan then gives them back
        return [Write("cpu", "cpu.shares", str(now.shares)), flag]
    return [flag] if shares is None else [flag, Write("cpu", "cpu.shares", str(shares))]


def _wanted_shares(wanted: Mapping[str, object]) -> int | None:
    if "cpu_shares" not in wanted:
        return None
    value = wanted["cpu_shares"]
    return DEFAULT_SHARES if is_lifted(value) else check_whole("cpu_shares", value, *SHARES)
