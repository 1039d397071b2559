"""What a sweep brings home: samples (facts at one instant), and what is shown of them.

Plain tuples, because a thousand of them are made every second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from cgroupfs import (
    Cgroup,
    CpuStat,
    InterfaceCounters,
    IoStat,
    Limits,
    MemoryStat,
    PidsStat,
    PressureStat,
    SlowStats,
)
from monitor.host import HostUsage
from monitor.usage import Usage


class Watched(Protocol):
    """A container as the monitor needs to know it."""

    @property
    def name(self) -> str: ...

    @property
    def cgroup(self) -> Cgroup | None:
        """Its open cgroup; None once it has ended."""

    @property
    def pid(self) -> int | None:
        """A process in its network namespace."""

    @property
    def network(self) -> str:
        """``host`` where it shares the host's interfaces, ``container:NAME`` where another's."""

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def klass(self) -> str: ...


class ContainerSource(Protocol):
    """Which containers exist now; asked once per sweep, so it must be cheap."""

    def containers(self) -> Sequence[Watched]: ...


class Sample(NamedTuple):
    """All raw counters of one container at one instant; None where the kernel offers no such number."""

    name: str
    inode: int  # identity: a namesake made later has another one
    taken_at: float  # monotonic seconds; one stamp per sweep
    wall_time: float  # for display alone
    cpu: CpuStat | None
    memory: MemoryStat | None
    io: IoStat | None
    pids: PidsStat | None
    pressure: PressureStat | None
    net: tuple[InterfaceCounters, ...] | None  # None: shared with the host, so not the container's own
    net_taken_at: float | None  # monotonic seconds; network and slow counters have a slower round
    slow: SlowStats | None


class Observation(NamedTuple):
    """One container as the last sweep saw it."""

    sample: Sample
    usage: Usage
    limits: Limits
    freezer: str  # "thawed", "freezing" or "frozen"
    labels: Mapping[str, str]
    klass: str
    stale: bool  # the last read failed; the numbers are those of `sample.taken_at`


@dataclass(frozen=True, slots=True)
class SweepCost:
    """What one sweep cost, and what went wrong in it."""

    wall_sec: float
    cpu_sec: float
    open_files: int  # descriptors kept between sweeps
    unkept: int = 0  # containers beyond the descriptor budget: opened, read and closed each time
    errors: Mapping[str, int] = field(default_factory=dict)  # reason -> containers
    missed: int = 0  # ticks that should have been since the sweep before this one


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums over all sweeps of this process, for counters."""

    sweeps: int = 0
    missed: int = 0
    wall_sec: float = 0.0
    cpu_sec: float = 0.0
    errors: Mapping[str, int] = field(default_factory=dict)

    def plus(self, cost: SweepCost) -> Totals:
        errors = dict(self.errors)
        for reason, count in cost.errors.items():
            errors[reason] = errors.get(reason, 0) + count
        return Totals(
            self.sweeps + 1,
            self.missed + cost.missed,
            self.wall_sec + cost.wall_sec,
            self.cpu_sec + cost.cpu_sec,
            errors,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one sweep saw, all of it at one instant."""

    tick: int
    taken_at: float  # monotonic seconds
    wall_time: float
    host: HostUsage
    containers: Mapping[str, Observation]
    cost: SweepCost


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The last that was seen of a container that is gone; its counters stay visible for a while."""

    observation: Observation
    gone_at: float  # monotonic seconds

    @property
    def oom_kills(self) -> int | None:
        slow = self.observation.sample.slow
        return None if slow is None else slow.oom_kills
