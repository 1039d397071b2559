"""CPU time, throttling and the limits on both: controllers ``cpu`` and ``cpuacct``.

The unified tree of a hybrid host shows usage, user and system time in one file; v1 itself needs three.
Documentation/admin-guide/cgroup-v2.rst, "CPU"; Documentation/scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from cgroupfs.cpu_limits import (
    SHARES,
    WEIGHT,
    Cores,
    CpuLimits,
    plan_bandwidth,
    plan_cpu_max,
    plan_weight,
)
from cgroupfs.errors import ParseError
from cgroupfs.statistic import Dirs, Picker, Source, parse_number
from cgroupfs.values import (
    NSEC_PER_USEC,
    UNLIMITED,
    Unlimited,
    parse_flag,
    parse_flat,
    parse_int,
    parse_signed,
)
from cgroupfs.wishes import Wanted, check_offered
from cgroupfs.writes import Write


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


class CpuDetails(NamedTuple):
    """What is looked at now and then; None: this kernel does not tell."""

    throttled_self_usec: int | None = None  # by its own limit, not by those of groups above
    per_cpu_usec: tuple[int, ...] | None = None
    rt_runtime_usec: int | None = None


def _bandwidth_of_nsec(numbers: Iterable[int | None]) -> tuple[int | None, ...]:
    periods, throttled, throttled_nsec, bursts, burst_nsec = numbers
    return periods, throttled, _usec(throttled_nsec), bursts, _usec(burst_nsec)


def _usec(nsec: int | None) -> int | None:
    return None if nsec is None else nsec // NSEC_PER_USEC


def make_v1_bandwidth_parser() -> Picker[tuple[int | None, ...]]:
    """v1 ``cpu.stat``: periods, and times in nanoseconds; the burst keys came later than the others."""
    keys = ("nr_periods", "nr_throttled", "throttled_time", "nr_bursts", "burst_time")
    return Picker("cpu.stat", _bandwidth_of_nsec, keys, optional=keys[3:])


def make_usage_parser() -> Picker[tuple[int, ...]]:
    """v2 ``cpu.stat`` where the cpu controller is elsewhere: usage, user and system time in microseconds."""
    return Picker("cpu.stat", tuple, ("usage_usec", "user_usec", "system_usec"))


def make_cpu_stat_parser() -> Picker[CpuStat]:
    """v2 ``cpu.stat``, the bandwidth keys being there only where the cpu controller is enabled."""
    usage = ("usage_usec", "user_usec", "system_usec")
    bandwidth = ("nr_periods", "nr_throttled", "throttled_usec", "nr_bursts", "burst_usec")
    return Picker("cpu.stat", CpuStat._make, usage + bandwidth, optional=bandwidth)


class CpuV1:
    """``cpu`` and ``cpuacct`` as separate hierarchies, or one, with or without a unified tree beside them."""

    limit_files = ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us", "cpu.shares", "cpu.idle")
    detail_files: tuple[str, ...] = ("cpu.stat.local", "cpu.rt_runtime_us")
    per_cpu_files: tuple[str, ...] = ("cpuacct.usage_percpu",)

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
        usage = [_usec(nsec) for nsec in values[1:]]
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
        _check_offered(dirs, wanted, now, (*self.limit_files, "cpu.weight"))
        return plan_bandwidth(now, wanted, possible_cpus) + plan_weight(now, wanted, SHARES)

    def read_details(self, dirs: Dirs) -> CpuDetails:
        own, runtime = _read_files(dirs, self.detail_files)
        percpu = dirs["cpuacct"].read(self.per_cpu_files[0]) if "cpuacct" in dirs else None
        field = {} if own is None else parse_flat(own, "cpu.stat.local")
        return CpuDetails(
            throttled_self_usec=_usec(field.get("throttled_time")),
            per_cpu_usec=None if percpu is None else parse_percpu(percpu),
            rt_runtime_usec=None if runtime is None else parse_signed(runtime, "cpu.rt_runtime_us"),
        )


class CpuV2:
    """The cpu controller of the unified tree, which shows usage in every cgroup, enabled or not."""

    limit_files = ("cpu.max", "cpu.max.burst", "cpu.weight", "cpu.idle")
    detail_files: tuple[str, ...] = ("cpu.stat.local",)
    per_cpu_files: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.sources: tuple[Source, ...] = (Source("cpu", "cpu.stat", make_cpu_stat_parser()),)

    def build(self, values: Sequence[Any]) -> CpuStat | None:
        stat: CpuStat | None = values[0]
        return stat

    def read_limits(self, dirs: Dirs) -> CpuLimits:
        bandwidth, burst, weight, idle = _read_files(dirs, self.limit_files)
        quota, period = (None, None) if bandwidth is None else parse_cpu_max(bandwidth)
        return CpuLimits(
            max_cores=quota if quota is None or quota is UNLIMITED or period is None else quota / period,
            period_usec=period,
            burst_usec=None if burst is None else parse_int(burst, "cpu.max.burst"),
            weight=None if weight is None else parse_int(weight, "cpu.weight"),
            idle=None if idle is None else parse_flag(idle, "cpu.idle"),
        )

    def plan_limits(self, dirs: Dirs, wanted: Wanted, possible_cpus: int) -> list[Write]:
        """Writes for the ``cpu_*`` fields in `wanted`; BadLimit, NotOffered."""
        now = self.read_limits(dirs)
        bandwidth, burst, weight, idle = self.limit_files
        _check_offered(dirs, wanted, now, (bandwidth, bandwidth, burst, "cpu.shares", idle, weight))
        return plan_cpu_max(now, wanted, possible_cpus) + plan_weight(now, wanted, WEIGHT)

    def read_details(self, dirs: Dirs) -> CpuDetails:
        (own,) = _read_files(dirs, self.detail_files)
        field = {} if own is None else parse_flat(own, "cpu.stat.local")
        return CpuDetails(throttled_self_usec=field.get("throttled_usec"))


_LIMITS: Final = (
    ("cpu_max_cores", "max_cores"),
    ("cpu_period_usec", "period_usec"),
    ("cpu_burst_usec", "burst_usec"),
    ("cpu_shares", "shares"),
    ("cpu_idle", "idle"),
    ("cpu_weight", "weight"),
)


def _check_offered(dirs: Dirs, wanted: Wanted, now: CpuLimits, files: Sequence[str]) -> None:
    offered = {
        field: (file, getattr(now, name) is not None)
        for (field, name), file in zip(_LIMITS, files, strict=True)
    }
    check_offered(dirs, "cpu", wanted, offered)


def parse_percpu(text: str) -> tuple[int, ...]:
    """v1 ``cpuacct.usage_percpu``: nanoseconds of each possible CPU, as microseconds."""
    return tuple(parse_int(word, "cpuacct.usage_percpu") // NSEC_PER_USEC for word in text.split())


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
