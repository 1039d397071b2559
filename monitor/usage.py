"""What two samples of the same cgroup say: rates, fractions, levels. Pure, so that a replay says the same.

Where no rate can be told there is None, never 0: the first sample, a namesake with another inode, a counter
that fell because somebody reset it, a number that the kernel does not offer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from cgroupfs import (
    UNLIMITED,
    CpuStat,
    InterfaceCounters,
    IoStat,
    Limits,
    MemoryStat,
    PressureStat,
    Psi,
    Unlimited,
)

if TYPE_CHECKING:
    from monitor.sample import Sample

USEC_PER_SEC = 1_000_000
SHORTEST_SEC = 1e-3  # two samples closer than this tell no rate

Number = TypeVar("Number", int, float)
Rate: TypeAlias = float | None
CpuRates: TypeAlias = tuple[Rate, Rate, Rate, Rate, Rate]
MemoryLevels: TypeAlias = tuple[int | None, int | None, int | None, int | None, float | None]
IoRates: TypeAlias = tuple[Rate, Rate, Rate, Rate]
NetRates: TypeAlias = tuple[Rate, Rate]
PressureRates: TypeAlias = tuple[Rate, Rate, Rate, Rate, Rate]
LimitLevels: TypeAlias = tuple[int | None, float | None, int | None]


class Usage(NamedTuple):
    """One container's use; every field is a metric of the same name in history and API.

    Fractions run from 0 to 1, except those of a limit, which pass 1 after the limit was lowered. Pressure
    is the share of the time between the samples in which some (or all: ``full``) tasks stood waiting.
    """

    cpu_cores: float | None = None
    cpu_user_cores: float | None = None
    cpu_system_cores: float | None = None
    cpu_limit_fraction: float | None = None
    cpu_throttled_fraction: float | None = None  # of the enforcement periods that ran
    memory_usage_bytes: int | None = None
    memory_working_set_bytes: int | None = None
    memory_anon_bytes: int | None = None
    memory_file_bytes: int | None = None
    memory_limit_fraction: float | None = None
    io_read_bytes_per_sec: float | None = None
    io_write_bytes_per_sec: float | None = None
    io_reads_per_sec: float | None = None
    io_writes_per_sec: float | None = None
    net_rx_bytes_per_sec: float | None = None  # all interfaces but loopback
    net_tx_bytes_per_sec: float | None = None
    pids_current: int | None = None
    cpu_pressure_fraction: float | None = None
    memory_pressure_fraction: float | None = None
    memory_full_pressure_fraction: float | None = None
    io_pressure_fraction: float | None = None
    io_full_pressure_fraction: float | None = None
    memory_max_bytes: int | None = None  # the limits, as series; None: no limit
    cpu_max_cores: float | None = None
    pids_max: int | None = None


# NamedTuple's own constructor costs twice as much, a thousand times a second.
make = tuple.__new__

METRICS: tuple[str, ...] = Usage._fields
NOTHING_YET = Usage()

NO_CPU: CpuRates = (None, None, None, None, None)
NO_MEMORY: MemoryLevels = (None, None, None, None, None)
NO_IO: IoRates = (None, None, None, None)
STILL_IO: IoRates = (0.0, 0.0, 0.0, 0.0)
NO_NET: NetRates = (None, None)
NO_PRESSURE: PressureRates = (None, None, None, None, None)
STILL_PRESSURE: PressureRates = (0.0, 0.0, 0.0, 0.0, 0.0)


def usage_of(
    before: Sample | None, after: Sample, limits: Limits | None, carried: Usage = NOTHING_YET
) -> Usage:
    """What happened from `before` to `after`, under `limits`.

    Network counters are read less often than the others: while they stand as they were, the rates of
    `carried` (the usage that was told at `before`) still hold.
    """
    levels = memory_max, cpu_max, _ = limit_levels(limits)
    memory = memory_levels(after.memory, memory_max)
    pids = None if after.pids is None else after.pids.current
    seconds = _seconds_between(before, after)
    if before is None or seconds is None:
        return make(Usage, (*NO_CPU, *memory, *NO_IO, *NO_NET, pids, *NO_PRESSURE, *levels))
    return make(
        Usage,
        (
            *cpu_rates(before.cpu, after.cpu, seconds, cpu_max),
            *memory,
            *io_rates(before.io, after.io, seconds),
            *_net_or_carried(before, after, carried),
            pids,
            *pressure_rates(before.pressure, after.pressure, seconds),
            *levels,
        ),
    )


def limit_levels(limits: Limits | None) -> LimitLevels:
    """Memory, CPU and pids limits as series; "no limit" and "not offered" both draw no line."""
    if limits is None:
        return (None, None, None)
    return (_finite(limits.memory_max_bytes), _finite(limits.cpu_max_cores), _finite(limits.pids_max))


def cpu_rates(
    before: CpuStat | None, after: CpuStat | None, seconds: float, max_cores: float | None
) -> CpuRates:
    """Cores in use: all, user, system; as a fraction of `max_cores`; the fraction of throttled periods."""
    if before is None or after is None:
        return NO_CPU
    span_usec = seconds * USEC_PER_SEC
    used_before, user_before, system_before = before[:3]
    used, user, system = after[:3]
    cores = counter_rate(used_before, used, span_usec)
    return (
        cores,
        counter_rate(user_before, user, span_usec),
        counter_rate(system_before, system, span_usec),
        cores / max_cores if cores is not None and max_cores else None,
        throttled_fraction(before, after),
    )


def throttled_fraction(before: CpuStat, after: CpuStat) -> float | None:
    """Of the enforcement periods between two samples, those with a forced stop; 0 if none ran."""
    if before.periods == after.periods == 0:  # no quota is set, as for most
        return 0.0
    periods = counter_rate(before.periods, after.periods, 1)
    throttled = counter_rate(before.throttled_periods, after.throttled_periods, 1)
    if periods is None or throttled is None:
        return None
    return min(throttled / periods, 1.0) if periods else 0.0


def memory_levels(memory: MemoryStat | None, max_bytes: int | None) -> MemoryLevels:
    """Bytes: all, without reclaimable cache, anonymous, cache; and all as a fraction of `max_bytes`."""
    if memory is None:
        return NO_MEMORY
    used = memory.usage_bytes
    fraction = used / max_bytes if max_bytes else None
    return (used, memory.working_set_bytes, memory.anon_bytes, memory.file_bytes, fraction)


def io_rates(before: IoStat | None, after: IoStat | None, seconds: float) -> IoRates:
    """Bytes and operations per second, read and written, of all devices together."""
    if before is None or after is None:
        return NO_IO
    if before is after:  # the readers return the same object while the kernel's text stands as it was
        return STILL_IO
    read_before, written_before, reads_before, writes_before = _io_totals(before)
    read, written, reads, writes = _io_totals(after)
    return (
        counter_rate(read_before, read, seconds),
        counter_rate(written_before, written, seconds),
        counter_rate(reads_before, reads, seconds),
        counter_rate(writes_before, writes, seconds),
    )


def net_rates(
    before: tuple[InterfaceCounters, ...] | None, after: tuple[InterfaceCounters, ...] | None, seconds: float
) -> NetRates:
    """Bytes per second, received and sent, of all interfaces but loopback."""
    if before is None or after is None or seconds < SHORTEST_SEC:
        return NO_NET
    received_before, sent_before = _net_bytes(before)
    received, sent = _net_bytes(after)
    return (counter_rate(received_before, received, seconds), counter_rate(sent_before, sent, seconds))


def pressure_rates(before: PressureStat | None, after: PressureStat | None, seconds: float) -> PressureRates:
    """The share of the time in which tasks stood waiting for CPU, memory (some, all) and I/O (some, all)."""
    if before is None or after is None:
        return NO_PRESSURE
    if before is after:
        return STILL_PRESSURE
    span_usec = seconds * USEC_PER_SEC
    return (
        _stalls(before.cpu, after.cpu, span_usec)[0],
        *_stalls(before.memory, after.memory, span_usec),
        *_stalls(before.io, after.io, span_usec),
    )


def counter_rate(before: float | None, after: float | None, span: float) -> Rate:
    """How fast a counter went; None where it is not offered, or was reset in between."""
    if before is None or after is None or after < before:
        return None
    return (after - before) / span


def _seconds_between(before: Sample | None, after: Sample) -> float | None:
    if before is None or before.inode != after.inode:
        return None
    seconds = after.taken_at - before.taken_at
    return seconds if seconds >= SHORTEST_SEC else None


def _net_or_carried(before: Sample, after: Sample, carried: Usage) -> NetRates:
    if before.net is None or after.net is None:
        return NO_NET
    if before.net_taken_at is None or after.net_taken_at is None:
        return NO_NET
    if before.net_taken_at == after.net_taken_at:
        return (carried.net_rx_bytes_per_sec, carried.net_tx_bytes_per_sec)
    return net_rates(before.net, after.net, after.net_taken_at - before.net_taken_at)


def _io_totals(io: IoStat) -> tuple[int, int, int, int]:
    """Bytes and operations, read and written: the properties of `IoStat` in one pass."""
    read = written = reads = writes = 0
    for device in io.devices:
        read += device.read_bytes
        written += device.write_bytes
        reads += device.reads
        writes += device.writes
    return read, written, reads, writes


def _net_bytes(interfaces: tuple[InterfaceCounters, ...]) -> tuple[int, int]:
    received = sent = 0
    for interface in interfaces:
        if interface.name != "lo":
            received += interface.rx_bytes
            sent += interface.tx_bytes
    return received, sent


def _stalls(before: Psi | None, after: Psi | None, span_usec: float) -> tuple[Rate, Rate]:
    """The share of the time in which some stood waiting, and all."""
    if before is None or after is None:
        return (None, None)
    if before is after and after.full_usec is not None:
        return (0.0, 0.0)
    return (
        _stall(before.some_usec, after.some_usec, span_usec),
        _stall(before.full_usec, after.full_usec, span_usec),
    )


def _stall(before_usec: int | None, after_usec: int | None, span_usec: float) -> Rate:
    rate = counter_rate(before_usec, after_usec, span_usec)
    return 1.0 if rate is not None and rate > 1 else rate  # the kernel's clock and ours differ by a hair


def _finite(limit: Number | Unlimited | None) -> Number | None:
    return None if limit is None or limit is UNLIMITED else limit
