"""cAdvisor's `container_*` families where they can be filled rightly; what a kernel does not tell is absent.

Under its names its meanings hold: 0 is "no limit" in the `spec` families, `waiting` is PSI's some and
`stalled` its full, and a quota's counters exist only where there is or was a quota. Left out although it
would be easy: `spec_memory_swap_limit_bytes` (with or without memory, depending on the host),
`scope="container"` of memory failures (the counters are those of the whole subtree).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from web.metric_rows import Row
from web.metric_values import (
    Samples,
    Value,
    cpu_seconds,
    cpu_usage,
    device_usage,
    memory_bytes,
    page_faults,
    per_device,
    per_interface,
    quota_count,
    quota_usec,
    slow_count,
    spec_limit,
    stall_seconds,
    time_of,
)


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


FAMILIES: Final = (
    Family("container_last_seen", "gauge", "Time of the sample.", lambda row: round(row.sample.wall_time, 3)),
    Family("container_start_time_seconds", "gauge", "Start of the first process.", time_of("started_at")),
    Family("container_creation_time_seconds", "gauge", "Creation of the container.", time_of("created_at")),
    Family("container_cpu_usage_seconds_total", "counter", "CPU time used.", spread=cpu_usage),
    Family("container_cpu_user_seconds_total", "counter", "CPU time in user mode.", cpu_seconds("user_usec")),
    Family(
        "container_cpu_system_seconds_total", "counter", "CPU time in the kernel.", cpu_seconds("system_usec")
    ),
    Family("container_cpu_cfs_periods_total", "counter", "Enforcement periods.", quota_count("periods")),
    Family(
        "container_cpu_cfs_throttled_periods_total",
        "counter",
        "Throttled periods.",
        quota_count("throttled_periods"),
    ),
    Family(
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Time throttled.",
        quota_count("throttled_usec", seconds=True),
    ),
    Family(
        "container_cpu_cfs_burst_periods_total", "counter", "Periods with a burst.", quota_count("bursts")
    ),
    Family(
        "container_cpu_cfs_burst_seconds_total",
        "counter",
        "Time in bursts.",
        quota_count("burst_usec", seconds=True),
    ),
    Family(
        "container_memory_usage_bytes",
        "gauge",
        "Memory used, page cache included.",
        memory_bytes("usage_bytes"),
    ),
    Family(
        "container_memory_working_set_bytes",
        "gauge",
        "Memory used less inactive page cache.",
        memory_bytes("working_set_bytes"),
    ),
    Family("container_memory_rss", "gauge", "Anonymous memory.", memory_bytes("anon_bytes")),
    Family("container_memory_cache", "gauge", "Page cache.", memory_bytes("file_bytes")),
    Family("container_memory_mapped_file", "gauge", "Mapped files.", memory_bytes("mapped_bytes")),
    Family("container_memory_swap", "gauge", "Swap used.", memory_bytes("swap_bytes")),
    Family("container_memory_kernel_usage", "gauge", "Kernel memory.", memory_bytes("kernel_bytes")),
    Family("container_memory_file_dirty_bytes", "gauge", "Dirty page cache.", memory_bytes("dirty_bytes")),
    Family(
        "container_memory_file_writeback_bytes",
        "gauge",
        "Page cache under writeback.",
        memory_bytes("writeback_bytes"),
    ),
    Family(
        "container_memory_total_active_file_bytes",
        "gauge",
        "Active page cache.",
        memory_bytes("active_file_bytes"),
    ),
    Family(
        "container_memory_total_inactive_file_bytes",
        "gauge",
        "Inactive page cache.",
        memory_bytes("inactive_file_bytes"),
    ),
    Family(
        "container_memory_max_usage_bytes",
        "gauge",
        "Most memory used so far.",
        slow_count("memory_peak_bytes"),
    ),
    Family(
        "container_memory_failcnt", "counter", "Hits of the memory limit.", slow_count("memory_limit_hits")
    ),
    Family("container_memory_failures_total", "counter", "Page faults.", spread=page_faults),
    Family(
        "container_oom_events_total",
        "counter",
        "Processes killed for lack of memory.",
        slow_count("oom_kills"),
    ),
    Family(
        "container_fs_reads_bytes_total",
        "counter",
        "Bytes read.",
        spread=per_device(lambda io: io.read_bytes),
    ),
    Family("container_fs_reads_total", "counter", "Reads.", spread=per_device(lambda io: io.reads)),
    Family(
        "container_fs_writes_bytes_total",
        "counter",
        "Bytes written.",
        spread=per_device(lambda io: io.write_bytes),
    ),
    Family("container_fs_writes_total", "counter", "Writes.", spread=per_device(lambda io: io.writes)),
    Family(
        "container_blkio_device_usage_total",
        "counter",
        "Bytes by device and operation.",
        spread=device_usage,
    ),
    Family(
        "container_network_receive_bytes_total",
        "counter",
        "Bytes received.",
        spread=per_interface(lambda net: net.rx_bytes),
    ),
    Family(
        "container_network_receive_packets_total",
        "counter",
        "Packets received.",
        spread=per_interface(lambda net: net.rx_packets),
    ),
    Family(
        "container_network_receive_errors_total",
        "counter",
        "Errors while receiving.",
        spread=per_interface(lambda net: net.rx_errors),
    ),
    Family(
        "container_network_receive_packets_dropped_total",
        "counter",
        "Packets dropped while receiving.",
        spread=per_interface(lambda net: net.rx_drops),
    ),
    Family(
        "container_network_transmit_bytes_total",
        "counter",
        "Bytes sent.",
        spread=per_interface(lambda net: net.tx_bytes),
    ),
    Family(
        "container_network_transmit_packets_total",
        "counter",
        "Packets sent.",
        spread=per_interface(lambda net: net.tx_packets),
    ),
    Family(
        "container_network_transmit_errors_total",
        "counter",
        "Errors while sending.",
        spread=per_interface(lambda net: net.tx_errors),
    ),
    Family(
        "container_network_transmit_packets_dropped_total",
        "counter",
        "Packets dropped while sending.",
        spread=per_interface(lambda net: net.tx_drops),
    ),
    Family(
        "container_pressure_cpu_waiting_seconds_total",
        "counter",
        "Some waited.",
        stall_seconds("cpu", "some_usec"),
    ),
    Family(
        "container_pressure_cpu_stalled_seconds_total",
        "counter",
        "All waited.",
        stall_seconds("cpu", "full_usec"),
    ),
    Family(
        "container_pressure_memory_waiting_seconds_total",
        "counter",
        "Some waited.",
        stall_seconds("memory", "some_usec"),
    ),
    Family(
        "container_pressure_memory_stalled_seconds_total",
        "counter",
        "All waited.",
        stall_seconds("memory", "full_usec"),
    ),
    Family(
        "container_pressure_io_waiting_seconds_total",
        "counter",
        "Some waited.",
        stall_seconds("io", "some_usec"),
    ),
    Family(
        "container_pressure_io_stalled_seconds_total",
        "counter",
        "All waited.",
        stall_seconds("io", "full_usec"),
    ),
    Family(
        "container_threads",
        "gauge",
        "Tasks in the container.",
        lambda row: None if row.sample.pids is None else row.sample.pids.current,
    ),
    Family("container_threads_max", "gauge", "Most tasks allowed; 0 is no limit.", spec_limit("pids_max")),
    Family(
        "container_spec_cpu_period",
        "gauge",
        "Enforcement period in microseconds.",
        spec_limit("cpu_period_usec"),
    ),
    Family("container_spec_cpu_quota", "gauge", "CPU time per period in microseconds.", quota_usec),
    Family("container_spec_cpu_shares", "gauge", "CPU shares.", spec_limit("cpu_shares")),
    Family(
        "container_spec_memory_limit_bytes",
        "gauge",
        "Memory limit; 0 is no limit.",
        spec_limit("memory_max_bytes"),
    ),
    Family(
        "container_spec_memory_reservation_limit_bytes",
        "gauge",
        "Soft memory limit; 0 is no limit.",
        spec_limit("memory_soft_limit_bytes"),
    ),
)

OUTLIVING: Final = frozenset({"container_oom_events_total", "container_last_seen"})
"""Families that are told for some minutes after the container has gone."""
