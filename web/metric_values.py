"""How a row of /metrics becomes numbers in Prometheus's units; None where the kernel does not tell."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from cgroupfs import UNLIMITED, DeviceIo, InterfaceCounters, Psi
from web.exposition import escape
from web.metric_rows import Row, unix_time

Value: TypeAlias = float | int | None
Samples: TypeAlias = Iterable[tuple[str, float | int]]


def seconds_of(usec: int | None) -> float | None:
    """Microseconds as seconds."""
    return None if usec is None else usec / 1e6


def cpu_seconds(field: str) -> Callable[[Row], Value]:
    """A time of the CPU statistics."""

    def read(row: Row) -> Value:
        return None if row.sample.cpu is None else seconds_of(getattr(row.sample.cpu, field))

    return read


def quota_count(field: str, *, seconds: bool = False) -> Callable[[Row], Value]:
    """A number about the quota, told only where there is or was one."""

    def read(row: Row) -> Value:
        cpu = row.sample.cpu
        if cpu is None or not (cpu.periods or row.limits.cpu_max_cores not in (None, UNLIMITED)):
            return None
        value: int | None = getattr(cpu, field)
        return seconds_of(value) if seconds else value

    return read


def memory_bytes(field: str) -> Callable[[Row], Value]:
    """A number of the memory statistics."""

    def read(row: Row) -> Value:
        value: Value = None if row.sample.memory is None else getattr(row.sample.memory, field)
        return value

    return read


def slow_count(field: str) -> Callable[[Row], Value]:
    """A number of the slower round."""

    def read(row: Row) -> Value:
        value: Value = None if row.slow is None else getattr(row.slow, field)
        return value

    return read


def spec_limit(field: str) -> Callable[[Row], Value]:
    """A limit as cAdvisor tells it: 0 is no limit."""

    def read(row: Row) -> Value:
        value = getattr(row.limits, field)
        return 0 if value is UNLIMITED else value

    return read


def quota_usec(row: Row) -> Value:
    """The quota per period; None without one."""
    cores, period_usec = row.limits.cpu_max_cores, row.limits.cpu_period_usec
    if cores is None or cores is UNLIMITED or period_usec is None:
        return None
    return round(cores * period_usec)


def time_of(field: str) -> Callable[[Row], Value]:
    """A time of the container's life, in seconds since 1970."""

    def read(row: Row) -> Value:
        return None if row.container is None else unix_time(getattr(row.container, field))

    return read


def stall_seconds(resource: str, field: str) -> Callable[[Row], Value]:
    """A total of the pressure statistics."""

    def read(row: Row) -> Value:
        psi: Psi | None = None if row.sample.pressure is None else getattr(row.sample.pressure, resource)
        return None if psi is None else seconds_of(getattr(psi, field))

    return read


def per_device(read: Callable[[DeviceIo], int]) -> Callable[[Row], Samples]:
    """One number per block device."""
    return lambda row: [(f"{labels}", read(device)) for labels, device in row.devices]


def device_usage(row: Row) -> Samples:
    """Bytes per device and direction."""
    for labels, device in row.devices:
        yield f'{labels},operation="Read"', device.read_bytes
        yield f'{labels},operation="Write"', device.write_bytes


def per_interface(read: Callable[[InterfaceCounters], int]) -> Callable[[Row], Samples]:
    """One number per network interface, loopback left out."""

    def spread(row: Row) -> Samples:
        interfaces = row.sample.net or ()
        return [(f'interface="{escape(one.name)}"', read(one)) for one in interfaces if one.name != "lo"]

    return spread


def cpu_usage(row: Row) -> Samples:
    """All CPU time; this kernel tells it for all CPUs together."""
    if row.sample.cpu is not None:
        yield 'cpu="total"', row.sample.cpu.usage_usec / 1e6


def page_faults(row: Row) -> Samples:
    """Faults of the whole subtree."""
    memory = row.sample.memory
    if memory is not None:
        yield 'failure_type="pgfault",scope="hierarchy"', memory.faults
        yield 'failure_type="pgmajfault",scope="hierarchy"', memory.major_faults
