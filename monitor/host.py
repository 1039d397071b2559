"""The host as a whole: processors, memory, disks, links, NUMA nodes, pressure; sampled with the containers.

Totals come from psutil, pressure from cgroupfs. Sampled each tick; NUMA nodes change slowly and have a
slower round.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple, cast

import psutil

from cgroupfs import PressureStat, read_host_pressure
from monitor.usage import NO_PRESSURE, SHORTEST_SEC, counter_rate, pressure_rates

NODES: Final = Path("/sys/devices/system/node")
NODE_TICKS: Final = 10
KIB: Final = 1024
# Ends of a container's link and loopback carry traffic that the host's own links count again, or that never
# left.
NOT_COUNTED: Final = ("lo", "veth")


class NumaNode(NamedTuple):
    """Memory of one NUMA node."""

    node: int
    memory_total_bytes: int
    memory_free_bytes: int


class HostSample(NamedTuple):
    """Raw counters of the host at one instant."""

    taken_at: float  # monotonic seconds
    cpu_user_sec: float  # user and nice
    cpu_system_sec: float  # kernel and interrupts
    memory_total_bytes: int
    memory_available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    io_read_bytes: int
    io_write_bytes: int
    io_reads: int
    io_writes: int
    net_rx_bytes: int
    net_tx_bytes: int
    load1: float
    load5: float
    load15: float
    pressure: PressureStat
    nodes: tuple[NumaNode, ...]


class HostUsage(NamedTuple):
    """The host's use; the numeric fields are metrics of the host's history."""

    cpu_cores_total: int
    cpu_used_cores: float | None
    cpu_used_fraction: float | None
    cpu_user_cores: float | None
    cpu_system_cores: float | None
    memory_total_bytes: int
    memory_used_bytes: int  # not available without swapping
    memory_available_bytes: int
    memory_available_fraction: float
    swap_total_bytes: int
    swap_used_bytes: int
    load1: float
    load5: float
    load15: float
    io_read_bytes_per_sec: float | None
    io_write_bytes_per_sec: float | None
    io_reads_per_sec: float | None
    io_writes_per_sec: float | None
    net_rx_bytes_per_sec: float | None
    net_tx_bytes_per_sec: float | None
    cpu_pressure_fraction: float | None
    memory_pressure_fraction: float | None
    memory_full_pressure_fraction: float | None
    io_pressure_fraction: float | None
    io_full_pressure_fraction: float | None
    pressure: PressureStat
    nodes: tuple[NumaNode, ...]


PRESSURE_FIELDS: Final = tuple(name for name in HostUsage._fields if name.endswith("pressure_fraction"))
HOST_METRICS: Final = tuple(name for name in HostUsage._fields if name not in ("pressure", "nodes"))


def metric_values(usage: HostUsage) -> tuple[float | None, ...]:
    """The values of `HOST_METRICS`, in that order."""
    return cast("tuple[float | None, ...]", usage[: len(HOST_METRICS)])


def read_host(taken_at: float, nodes: tuple[NumaNode, ...]) -> HostSample:
    """The host's counters now; `nodes` are read apart, by `read_nodes`."""
    cpu = psutil.cpu_times()
    memory = psutil.virtual_memory()
    swap = psutil.swap_memory()
    disks = psutil.disk_io_counters(nowrap=False)
    received, sent = _read_links()
    return HostSample(
        taken_at,
        cpu.user + cpu.nice,
        cpu.system + cpu.irq + cpu.softirq,
        memory.total,
        memory.available,
        swap.total,
        swap.used,
        *(
            (disks.read_bytes, disks.write_bytes, disks.read_count, disks.write_count)
            if disks
            else (0, 0, 0, 0)
        ),
        received,
        sent,
        *os.getloadavg(),
        read_host_pressure(),
        nodes,
    )


def host_usage(before: HostSample | None, after: HostSample) -> HostUsage:
    """What the host did from `before` to `after`; None for rates where there is no `before`."""
    cores = os.cpu_count() or 1
    seconds = 0.0 if before is None else after.taken_at - before.taken_at
    past = after if before is None or seconds < SHORTEST_SEC else before

    def rate(field: str) -> float | None:
        return None if past is after else counter_rate(getattr(past, field), getattr(after, field), seconds)

    user, system = rate("cpu_user_sec"), rate("cpu_system_sec")
    used = None if user is None or system is None else min(user + system, float(cores))
    return HostUsage(
        cpu_cores_total=cores,
        cpu_used_cores=used,
        cpu_used_fraction=None if used is None else used / cores,
        cpu_user_cores=user,
        cpu_system_cores=system,
        memory_total_bytes=after.memory_total_bytes,
        memory_used_bytes=after.memory_total_bytes - after.memory_available_bytes,
        memory_available_bytes=after.memory_available_bytes,
        memory_available_fraction=after.memory_available_bytes / max(after.memory_total_bytes, 1),
        swap_total_bytes=after.swap_total_bytes,
        swap_used_bytes=after.swap_used_bytes,
        load1=after.load1,
        load5=after.load5,
        load15=after.load15,
        io_read_bytes_per_sec=rate("io_read_bytes"),
        io_write_bytes_per_sec=rate("io_write_bytes"),
        io_reads_per_sec=rate("io_reads"),
        io_writes_per_sec=rate("io_writes"),
        net_rx_bytes_per_sec=rate("net_rx_bytes"),
        net_tx_bytes_per_sec=rate("net_tx_bytes"),
        **_pressure(past, after, seconds),
        pressure=after.pressure,
        nodes=after.nodes,
    )


def read_nodes(root: Path = NODES) -> tuple[NumaNode, ...]:
    """Memory by NUMA node; none on a kernel without NUMA."""
    directories = sorted(root.glob("node[0-9]*"), key=lambda path: int(path.name[4:]))
    return tuple(parse_node(int(path.name[4:]), (path / "meminfo").read_text()) for path in directories)


def parse_node(node: int, text: str) -> NumaNode:
    """Parse ``nodeN/meminfo``: lines ``Node 0 MemTotal: 4028440 kB``."""
    kib = {key: int(number) for key, number in re.findall(r"(\w+):\s+(\d+) kB", text)}
    return NumaNode(node, kib.get("MemTotal", 0) * KIB, kib.get("MemFree", 0) * KIB)


class Host:
    """The host between two ticks."""

    def __init__(self) -> None:
        self._last: HostSample | None = None
        self._nodes: tuple[NumaNode, ...] = ()

    def read(self, tick: int, taken_at: float) -> HostUsage:
        """The host's use since the last tick."""
        if tick % NODE_TICKS == 0:
            self._nodes = read_nodes()
        sample = read_host(taken_at, self._nodes)
        before, self._last = self._last, sample
        return host_usage(before, sample)


def _pressure(before: HostSample, after: HostSample, seconds: float) -> dict[str, float | None]:
    rates = NO_PRESSURE if before is after else pressure_rates(before.pressure, after.pressure, seconds)
    return dict(zip(PRESSURE_FIELDS, rates, strict=True))


def _read_links() -> tuple[int, int]:
    links = psutil.net_io_counters(pernic=True, nowrap=False)
    counted = [link for name, link in links.items() if not name.startswith(NOT_COUNTED)]
    return sum(link.bytes_recv for link in counted), sum(link.bytes_sent for link in counted)
