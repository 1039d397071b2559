"""CPU time, throttling and the limits on both: controllers ``cpu`` and ``cpuacct``.

The unified tree of a hybrid host shows usage, user and system time in one file; v1 itself needs three.
Documentation/admin-guide/cgroup-v2.rst, "CPU"; Documentation/scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from cgroupfs.errors import BadLimit, NotOffered, ParseError
from cgroupfs.statistic import Dirs, Picker, Source, parse_number
from cgroupfs.values import NSEC_PER_USEC, UNLIMITED, Unlimited, parse_flag, parse_int, parse_signed
from cgroupfs.wishes import Wanted, check_flag, check_number, check_whole, is_lifted
from cgroupfs.writes import Write

DEFAULT_PERIOD_USEC: Final = 100_000
SHORTEST_QUOTA_USEC: Final = 1_000
PERIODS_USEC: Final = (1_000, 1_000_000)
SHARES: Final = (2, 262_144)
DEFAULT_SHARES: Final = 1024
LONGEST_BURST_USEC: Final = 1 << 43

Cores = float | Literal[Unlimited.UNLIMITED]


class CpuStat(NamedTuple):
    """Time used and withheld since the cgroup was made; None: this kernel does not tell."""

    usage_usec: int
    user_usec: int | None
    system_usec: int | None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_usec: int | None = None
    bursts: int | None = None
    burst_usec: int | None = None


@dataclass(frozen=True, slots=True)
class CpuLimits:
    """None: not offered here."""

    max_cores: Cores | None = None
    period_usec: int | None = None
    burst_usec: int | None = None
    shares: int | None = None
    idle: bool | None = None


def _bandwidth_of_nsec(
    periods: int, throttled: int, throttled_nsec: int, bursts: int | None, burst_nsec: int | None
) -> tuple[int | None, ...]:
    burst_usec = None if burst_nsec is None else burst_nsec // NSEC_PER_USEC
    return periods, throttled, throttled_nsec // NSEC_PER_USEC, bursts, burst_usec


def make_v1_bandwidth_parser() -> Picker[tuple[int | None, ...]]:
    """v1 ``cpu.stat``: periods, and times in nanoseconds; the burst keys came later than the others."""
    keys = ("nr_periods", "nr_throttled", "throttled_time", "nr_bursts", "burst_time")
    return Picker("cpu.stat", _bandwidth_of_nsec, keys, optional=keys[3:])


def make_usage_parser() -> Picker[tuple[int, int, int]]:
    """v2 ``cpu.stat`` where the cpu controller is elsewhere: usage, user and system time in microseconds."""
    return Picker("cpu.stat", lambda *usec: usec, ("usage_usec", "user_usec", "system_usec"))


def make_cpu_stat_parser() -> Picker[CpuStat]:
    """v2 ``cpu.stat``, the bandwidth keys being there only where the cpu controller is enabled."""
    usage = ("usage_usec", "user_usec", "system_usec")
    bandwidth = ("nr_periods", "nr_throttled", "throttled_usec", "nr_bursts", "burst_usec")
    return Picker("cpu.stat", CpuStat, usage + bandwidth, optional=bandwidth)


class CpuV1:
    """``cpu`` and ``cpuacct`` as separate hierarchies, or one, with or without a unified tree beside them."""

    limit_files = ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us", "cpu.shares", "cpu.idle")

    def __init__(self, *, unified: bool) -> None:
        self._unified = unified
        self.sources: tuple[Source, ...] = (
            Source("cpu", "cpu.stat", make_v1_bandwidth_parser()),
            *self._usage(),
        )

    def _usage(self) -> tuple[Source, ...]:
        if self._unified:
            return (Source("unified", "cpu.stat", make_usage_parser()),)
        files = ("cpuacct.usage", "cpuacct.usage_user", "cpuacct.usage_sys")
        return tuple(Source("cpuacct", file, parse_number(file)) for file in files)

    def build(self, values: Sequence[Any]) -> CpuStat | None:
        bandwidth = values[0] or (None,) * 5
        if self._unified:
            return None if values[1] is None else CpuStat(*values[1], *bandwidth)
        usage = [None if nsec is None else nsec // NSEC_PER_USEC for nsec in values[1:]]
        return None if usage[0] is None else CpuStat(usage[0], usage[1], usage[2], *bandwidth)

    def read_limits(self, dirs: Dirs) -> CpuLimits:
        quota, period, burst, shares, idle = _read_files(dirs, self.limit_files)
        return CpuLimits(
            max_cores=_cores(quota, period),
            period_usec=None if period is None else parse_int(period, "cpu.cfs_period_us"),
            burst_usec=None if burst is None else parse_int(burst, "cpu.cfs_burst_us"),
            shares=None if shares is None else parse_int(shares, "cpu.shares"),
            idle=None if idle is None else parse_flag(idle, "cpu.idle"),
        )

    def plan_limits(self, dirs: Dirs, wanted: Wanted, possible_cpus: int) -> list[Write]:
        """Writes for the ``cpu_*`` fields in `wanted`; BadLimit, NotOffered."""
        now = self.read_limits(dirs)
        path = dirs["cpu"].path if "cpu" in dirs else "cpu"
        for field, file, value in (
            ("cpu_max_cores", "cpu.cfs_quota_us", now.max_cores),
            ("cpu_period_usec", "cpu.cfs_period_us", now.period_usec),
            ("cpu_burst_usec", "cpu.cfs_burst_us", now.burst_usec),
            ("cpu_shares", "cpu.shares", now.shares),
            ("cpu_idle", "cpu.idle", now.idle),
        ):
            if field in wanted and value is None:
                raise NotOffered(path, file)
        return _plan_bandwidth(now, wanted, possible_cpus) + _plan_weight(now, wanted)


class CpuV2:
    """The cpu controller of the unified tree."""

    limit_files = ("cpu.max", "cpu.max.burst", "cpu.weight", "cpu.idle")

    def __init__(self) -> None:
        self.sources = (Source("cpu", "cpu.stat", make_cpu_stat_parser()),)

    def build(self, values: Sequence[Any]) -> CpuStat | None:
        stat: CpuStat | None = values[0]
        return stat

    def read_limits(self, dirs: Dirs) -> CpuLimits:
        bandwidth, burst, _, idle = _read_files(dirs, self.limit_files)
        quota, period = parse_cpu_max(bandwidth) if bandwidth is not None else (None, None)
        return CpuLimits(
            max_cores=quota if quota is None or quota is UNLIMITED or period is None else quota / period,
            period_usec=period,
            burst_usec=None if burst is None else parse_int(burst, "cpu.max.burst"),
            idle=None if idle is None else parse_flag(idle, "cpu.idle"),
        )


def parse_cpu_max(text: str) -> tuple[int | Literal[Unlimited.UNLIMITED], int]:
    """v2 ``cpu.max``: quota or ``max``, and period, both in microseconds."""
    words = text.split()
    if len(words) != 2:
        raise ParseError("cpu.max", text)
    quota = UNLIMITED if words[0] == "max" else parse_int(words[0], "cpu.max")
    period = parse_int(words[1], "cpu.max")
    if period == 0:
        raise ParseError("cpu.max", text)
    return quota, period


def _read_files(dirs: Dirs, files: Sequence[str]) -> list[str | None]:
    directory = dirs.get("cpu")
    return [None if directory is None else directory.read(file) for file in files]


def _cores(quota_text: str | None, period_text: str | None) -> Cores | None:
    if quota_text is None or period_text is None:
        return None
    quota = parse_signed(quota_text, "cpu.cfs_quota_us")
    period = parse_int(period_text, "cpu.cfs_period_us")
    if period == 0:
        raise ParseError("cpu.cfs_period_us", period_text)
    return UNLIMITED if quota < 0 else quota / period


def _quota_usec(cores: Cores, period_usec: int) -> int:
    return -1 if cores is UNLIMITED else round(cores * period_usec)


def _wanted_cores(wanted: Wanted, now: CpuLimits, period_usec: int, possible_cpus: int) -> Cores:
    value = wanted.get("cpu_max_cores", now.max_cores)
    if is_lifted(value):
        return UNLIMITED
    if "cpu_max_cores" not in wanted:
        cores = check_number("cpu_max_cores", value, 0, float("inf"))
    else:
        cores = check_number("cpu_max_cores", value, 0, possible_cpus)
    if round(cores * period_usec) < SHORTEST_QUOTA_USEC:
        least = SHORTEST_QUOTA_USEC / period_usec
        raise BadLimit(
            "cpu_max_cores", f"{cores:g} is below {least:g}, the least in a period of {period_usec} us"
        )
    return cores


def _plan_bandwidth(now: CpuLimits, wanted: Wanted, possible_cpus: int) -> list[Write]:
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


def _plan_weight(now: CpuLimits, wanted: Wanted) -> list[Write]:
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
