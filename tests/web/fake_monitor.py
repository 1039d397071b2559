"""A stand-in for the monitor: numbers that a test chose, of containers that exist because it says so."""

import time
from collections.abc import Mapping
from typing import Any, cast

from cgroupfs import (
    CpuStat,
    DeviceIo,
    InterfaceCounters,
    IoStat,
    MemoryStat,
    PidsStat,
    PressureStat,
    Psi,
    SlowStats,
)
from monitor import (
    HOST_METRICS,
    METRICS,
    History,
    HostUsage,
    Observation,
    Sample,
    Snapshot,
    SweepCost,
    Tombstone,
    Totals,
    Usage,
)
from monitor.host import metric_values
from tests.web.fakes import IN_USE_BYTES, FakeCgroup, FakeLauncher

START = 1_790_000_000.0


class FakeMonitor:
    """Sweeps that the test takes by hand."""

    def __init__(self, launcher: FakeLauncher) -> None:
        self.history = History(METRICS, HOST_METRICS, ticks=60)
        self.tombs: dict[str, Tombstone] = {}
        self.changed: set[str] = set()
        self._launcher = launcher
        self._latest: Snapshot | None = None

    def latest(self) -> Snapshot | None:
        return self._latest

    def changed_since_sweep(self) -> frozenset[str]:
        return frozenset(self.changed)

    def totals(self) -> Totals:
        return Totals(3, 1, 0.5, 0.25, {"gone": 2})

    def tombstones(self) -> Mapping[str, Tombstone]:
        return self.tombs

    def sweep(self) -> Snapshot:
        """See all running containers, one second after the sweep before."""
        tick = 0 if self._latest is None else self._latest.tick + 1
        taken_at = time.monotonic()
        seen = {
            name: make_observation(name, cgroup, taken_at + tick)
            for name, cgroup in self._launcher.cgroups.items()
            if self._launcher.known.get(name) and self._launcher.known[name].state == "running"
        }
        cost = SweepCost(0.001, 0.0005, 10)
        self._latest = Snapshot(tick, taken_at + tick, START + tick, make_host(), seen, cost)
        rows = {name: one.usage for name, one in seen.items()}
        self.changed.clear()
        self.history.append(taken_at + tick, START + tick, metric_values(make_host()), rows)
        return self._latest


def make_observation(name: str, cgroup: FakeCgroup, taken_at: float) -> Observation:
    psi = Psi(0.1, 0.2, 0.3, 1_500_000, 0.0, 0.0, 0.0, 500_000)
    sample = Sample(
        name=name,
        inode=cgroup.inode,
        taken_at=taken_at,
        wall_time=START,
        cpu=CpuStat(2_500_000, 2_000_000, 500_000, 10, 2, 150_000, 0, 0),
        memory=MemoryStat(
            IN_USE_BYTES, 12_000_000, 8_000_000, 0, 4096, 0, 0, 1_000_000, 7_000_000, 0, None, 500, 3
        ),
        io=IoStat((DeviceIo("8:0", 4096, 8192, 1, 2, None),)),
        pids=PidsStat(3),
        pressure=PressureStat(psi, psi, None),
        net=(
            InterfaceCounters("lo", 1, 1, 0, 0, 1, 1, 0, 0),
            InterfaceCounters("eth0", 10, 2, 0, 0, 20, 3, 0, 1),
        ),
        net_taken_at=taken_at,
        slow=SlowStats(IN_USE_BYTES, 4, 1, False, None, 5, 0, None, True, cgroup.read_freezer()),
    )
    usage = Usage(cpu_cores=0.5, memory_usage_bytes=IN_USE_BYTES, pids_current=3)
    return Observation(sample, usage, cgroup.read_limits(), cgroup.read_freezer(), {}, "burstable", False)


def make_host() -> HostUsage:
    numbers = dict.fromkeys(HOST_METRICS, 1.0)
    numbers |= {"cpu_cores_total": 2, "memory_total_bytes": 1 << 30, "swap_total_bytes": 0}
    return HostUsage(**cast(Any, numbers), pressure=PressureStat(None, None, None), nodes=())
