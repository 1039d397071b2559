"""cAdvisor's `container_*` families where they can be filled rightly; what a kernel does not tell is absent.

Under its names its meanings hold: 0 is "no limit" in the `spec` families, `waiting` is PSI's some and
`stalled` its full, and a quota's counters exist only where there is or was a quota. Left out although it
would be easy: `spec_memory_swap_limit_bytes` (with or without memory, depending on the host),
`scope="container"` of memory failures (the counters are those of the whole subtree).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from cgroupfs import UNLIMITED, DeviceIo, InterfaceCounters, Psi
from web.exposition import escape
from web.metric_rows import Row, unix_time

Value: TypeAlias = float | int | None
Samples: TypeAlias = Iterable[tuple[str, float | int]]


class Family(NamedTuple):
    """One family: `read` gives a row's value, or `spread` its values with a label string each."""

    name: str
    kind: str
    about: str
    read: Callable[[Row], Value] | None = None
    spread: Callable[[Row], Samples] | None = None


def samples_of(family: Family, rows: Iterable[Row]) -> Iterator[tuple[str, float | int]]:
    """All samples of one family."""
    if family.read is not None:
        for row in rows:
            value = family.read(row)
            if value is not None:
                yield row.labels.cadvisor, value
    if family.spread is not None:
        for row in rows:
            base = row.labels.cadvisor
            for labels, value in family.spread(row):
                yield f"{base},{labels}", value


def _seconds(usec: int | None) -> float | None:
    return None if usec is None else usec / 1e6


def _cpu(field: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        return None if row.sample.cpu is None else _seconds(getattr(row.sample.cpu, field))

    return read


def _quota(field: str, *, seconds: bool = False) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        cpu = row.sample.cpu
        if cpu is None or not (cpu.periods or row.limits.cpu_max_cores not in (None, UNLIMITED)):
            return None
        value: int | None = getattr(cpu, field)
        return _seconds(value) if seconds else value

    return read


def _memory(field: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        value: Value = None if row.sample.memory is None else getattr(row.sample.memory, field)
        return value

    return read


def _slow(field: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        value: Value = None if row.slow is None else getattr(row.slow, field)
        return value

    return read


def _spec(field: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        value = getattr(row.limits, field)
        return 0 if value is UNLIMITED else value

    return read


def _quota_usec(row: Row) -> Value:
    cores, period_usec = row.limits.cpu_max_cores, row.limits.cpu_period_usec
    if cores is None or cores is UNLIMITED or period_usec is None:
        return None
    return round(cores * period_usec)


def _when(field: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        return None if row.container is None else unix_time(getattr(row.container, field))

    return read


def _stall(resource: str, field: str) -> Callable[[Row], Value]:
    def read(row: Row) -> Value:
        psi: Psi | None = None if row.sample.pressure is None else getattr(row.sample.pressure, resource)
        return None if psi is None else _seconds(getattr(psi, field))

    return read


def _per_device(read: Callable[[DeviceIo], int]) -> Callable[[Row], Samples]:
    return lambda row: [(f"{labels}", read(device)) for labels, device in row.devices]


def _device_usage(row: Row) -> Samples:
    for labels, device in row.devices:
        yield f'{labels},operation="Read"', device.read_bytes
        yield f'{labels},operation="Write"', device.write_bytes


def _per_interface(read: Callable[[InterfaceCounters], int]) -> Callable[[Row], Samples]:
    def spread(row: Row) -> Samples:
        interfaces = row.sample.net or ()
        return [(f'interface="{escape(one.name)}"', read(one)) for one in interfaces if one.name != "lo"]

    return spread


def _cpu_usage(row: Row) -> Samples:
    if row.sample.cpu is not None:
        yield 'cpu="total"', row.sample.cpu.usage_usec / 1e6


def _failures(row: Row) -> Samples:
    memory = row.sample.memory
    if memory is not None:
        yield 'failure_type="pgfault",scope="hierarchy"', memory.faults
        yield 'failure_type="pgmajfault",scope="hierarchy"', memory.major_faults


FAMILIES: Final = (
    Family("container_last_seen", "gauge", "Time of the sample.", lambda row: round(row.sample.wall_time, 3)),
    Family("container_start_time_seconds", "gauge", "Start of the first process.", _when("started_at")),
    Family("container_creation_time_seconds", "gauge", "Creation of the container.", _when("created_at")),
    Family("container_cpu_usage_seconds_total", "counter", "CPU time used.", spread=_cpu_usage),
    Family("container_cpu_user_seconds_total", "counter", "CPU time in user mode.", _cpu("user_usec")),
    Family("container_cpu_system_seconds_total", "counter", "CPU time in the kernel.", _cpu("system_usec")),
    Family("container_cpu_cfs_periods_total", "counter", "Enforcement periods.", _quota("periods")),
    Family(
        "container_cpu_cfs_throttled_periods_total",
        "counter",
        "Throttled periods.",
        _quota("throttled_periods"),
    ),
    Family(
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Time throttled.",
        _quota("throttled_usec", seconds=True),
    ),
    Family("container_cpu_cfs_burst_periods_total", "counter", "Periods with a burst.", _quota("bursts")),
    Family(
        "container_cpu_cfs_burst_seconds_total",
        "counter",
        "Time in bursts.",
        _quota("burst_usec", seconds=True),
    ),
    Family(
        "container_memory_usage_bytes", "gauge", "Memory used, page cache included.", _memory("usage_bytes")
    ),
    Family(
        "container_memory_working_set_bytes",
        "gauge",
        "Memory used less inactive page cache.",
        _memory("working_set_bytes"),
    ),
    Family("container_memory_rss", "gauge", "Anonymous memory.", _memory("anon_bytes")),
    Family("container_memory_cache", "gauge", "Page cache.", _memory("file_bytes")),
    Family("container_memory_mapped_file", "gauge", "Mapped files.", _memory("mapped_bytes")),
    Family("container_memory_swap", "gauge", "Swap used.", _memory("swap_bytes")),
    Family("container_memory_kernel_usage", "gauge", "Kernel memory.", _memory("kernel_bytes")),
    Family("container_memory_file_dirty_bytes", "gauge", "Dirty page cache.", _memory("dirty_bytes")),
    Family(
        "container_memory_file_writeback_bytes",
        "gauge",
        "Page cache under writeback.",
        _memory("writeback_bytes"),
    ),
    Family(
        "container_memory_total_active_file_bytes",
        "gauge",
        "Active page cache.",
        _memory("active_file_bytes"),
    ),
    Family(
        "container_memory_total_inactive_file_bytes",
        "gauge",
        "Inactive page cache.",
        _memory("inactive_file_bytes"),
    ),
    Family(
        "container_memory_max_usage_bytes", "gauge", "Most memory used so far.", _slow("memory_peak_bytes")
    ),
    Family("container_memory_failcnt", "counter", "Hits of the memory limit.", _slow("memory_limit_hits")),
    Family("container_memory_failures_total", "counter", "Page faults.", spread=_failures),
    Family(
        "container_oom_events_total", "counter", "Processes killed for lack of memory.", _slow("oom_kills")
    ),
    Family(
        "container_fs_reads_bytes_total",
        "counter",
        "Bytes read.",
        spread=_per_device(lambda io: io.read_bytes),
    ),
    Family("container_fs_reads_total", "counter", "Reads.", spread=_per_device(lambda io: io.reads)),
    Family(
        "container_fs_writes_bytes_total",
        "counter",
        "Bytes written.",
        spread=_per_device(lambda io: io.write_bytes),
    ),
    Family("container_fs_writes_total", "counter", "Writes.", spread=_per_device(lambda io: io.writes)),
    Family(
        "container_blkio_device_usage_total",
        "counter",
        "Bytes by device and operation.",
        spread=_device_usage,
    ),
    Family(
        "container_network_receive_bytes_total",
        "counter",
        "Bytes received.",
        spread=_per_interface(lambda net: net.rx_bytes),
    ),
    Family(
        "container_network_receive_packets_total",
        "counter",
        "Packets received.",
        spread=_per_interface(lambda net: net.rx_packets),
    ),
    Family(
        "container_network_receive_errors_total",
        "counter",
        "Errors while receiving.",
        spread=_per_interface(lambda net: net.rx_errors),
    ),
    Family(
        "container_network_receive_packets_dropped_total",
        "counter",
        "Packets dropped while receiving.",
        spread=_per_interface(lambda net: net.rx_drops),
    ),
    Family(
        "container_network_transmit_bytes_total",
        "counter",
        "Bytes sent.",
        spread=_per_interface(lambda net: net.tx_bytes),
    ),
    Family(
        "container_network_transmit_packets_total",
        "counter",
        "Packets sent.",
        spread=_per_interface(lambda net: net.tx_packets),
    ),
    Family(
        "container_network_transmit_errors_total",
        "counter",
        "Errors while sending.",
        spread=_per_interface(lambda net: net.tx_errors),
    ),
    Family(
        "container_network_transmit_packets_dropped_total",
        "counter",
        "Packets dropped while sending.",
        spread=_per_interface(lambda net: net.tx_drops),
    ),
    Family(
        "container_pressure_cpu_waiting_seconds_total", "counter", "Some waited.", _stall("cpu", "some_usec")
    ),
    Family(
        "container_pressure_cpu_stalled_seconds_total", "counter", "All waited.", _stall("cpu", "full_usec")
    ),
    Family(
        "container_pressure_memory_waiting_seconds_total",
        "counter",
        "Some waited.",
        _stall("memory", "some_usec"),
    ),
    Family(
        "container_pressure_memory_stalled_seconds_total",
        "counter",
        "All waited.",
        _stall("memory", "full_usec"),
    ),
    Family(
        "container_pressure_io_waiting_seconds_total", "counter", "Some waited.", _stall("io", "some_usec")
    ),
    Family(
        "container_pressure_io_stalled_seconds_total", "counter", "All waited.", _stall("io", "full_usec")
    ),
    Family(
        "container_threads",
        "gauge",
        "Tasks in the container.",
        lambda row: None if row.sample.pids is None else row.sample.pids.current,
    ),
    Family("container_threads_max", "gauge", "Most tasks allowed; 0 is no limit.", _spec("pids_max")),
    Family(
        "container_spec_cpu_period", "gauge", "Enforcement period in microseconds.", _spec("cpu_period_usec")
    ),
    Family("container_spec_cpu_quota", "gauge", "CPU time per period in microseconds.", _quota_usec),
    Family("container_spec_cpu_shares", "gauge", "CPU shares.", _spec("cpu_shares")),
    Family(
        "container_spec_memory_limit_bytes",
        "gauge",
        "Memory limit; 0 is no limit.",
        _spec("memory_max_bytes"),
    ),
    Family(
        "container_spec_memory_reservation_limit_bytes",
        "gauge",
        "Soft memory limit; 0 is no limit.",
        _spec("memory_soft_limit_bytes"),
    ),
)

OUTLIVING: Final = frozenset({"container_oom_events_total", "container_last_seen"})
"""Families that are told for some minutes after the container has gone."""
