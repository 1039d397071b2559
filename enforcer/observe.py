"""A monitor's snapshot to the view that decides: signals by their names in policies, limits, owners, ages.

What only some policies ask of some containers is looked up when it is asked: there are forty signals, times a
thousand containers, every second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from cgroupfs import Limits
from cgroupfs.conversions import PROPORTIONAL
from enforcer.claims import FieldClaims
from enforcer.clocks import boottime_ns
from enforcer.fields import BY_WIRE, FREEZER, THAWED
from enforcer.signals import known
from enforcer.view import ContainerView, View
from monitor import HostUsage, Observation, Snapshot

DEFAULT_SHARES = 1024
_FROM_USAGE = {
    "cpu.cores": "cpu_cores",
    "cpu.throttledRatio": "cpu_throttled_fraction",
    "memory.usage": "memory_usage_bytes",
    "memory.workingSet": "memory_working_set_bytes",
    "memory.anon": "memory_anon_bytes",
    "memory.usedRatio": "memory_limit_fraction",
    "io.readRate": "io_read_bytes_per_sec",
    "io.writeRate": "io_write_bytes_per_sec",
    "io.readOps": "io_reads_per_sec",
    "io.writeOps": "io_writes_per_sec",
    "net.rxRate": "net_rx_bytes_per_sec",
    "net.txRate": "net_tx_bytes_per_sec",
    "pids.count": "pids_current",
    "cpu.psi.some.stall": "cpu_pressure_fraction",
    "memory.psi.some.stall": "memory_pressure_fraction",
    "memory.psi.full.stall": "memory_full_pressure_fraction",
    "io.psi.some.stall": "io_pressure_fraction",
    "io.psi.full.stall": "io_full_pressure_fraction",
}
_STALLS = tuple(name for name in _FROM_USAGE if ".psi." in name)
_AVERAGES = {
    f"{resource}.psi.{kind}.{span}": (resource, f"{kind}_{span}_fraction")
    for resource in ("cpu", "memory", "io")
    for kind in (("some",) if resource == "cpu" else ("some", "full"))
    for span in ("avg10", "avg60", "avg300")
}


def view_of(
    snapshot: Snapshot,
    now: float,
    age_of: Callable[[str, int], float | None],
    claims_of: Callable[[str, int], Mapping[str, FieldClaims]],
) -> View:
    """Everything that one decision sees; a container whose last read failed has an older sample."""
    capacity = float(snapshot.host.cpu_cores_total)
    containers = {
        name: _container(observation, now, age_of, claims_of, capacity)
        for name, observation in snapshot.containers.items()
    }
    return View(containers, _node(snapshot.host, containers), max(0.0, now - snapshot.taken_at))


def _container(
    observation: Observation,
    now: float,
    age_of: Callable[[str, int], float | None],
    claims_of: Callable[[str, int], Mapping[str, FieldClaims]],
    capacity: float,
) -> ContainerView:
    sample, limits = observation.sample, observation.limits
    claims = claims_of(sample.name, sample.inode)
    age_sec = age_of(sample.name, sample.inode)
    sample_age_sec = max(0.0, now - sample.taken_at)
    return ContainerView(
        name=sample.name,
        inode=sample.inode,
        labels=observation.labels,
        klass=observation.klass,
        age_sec=age_sec,
        sample_age_sec=sample_age_sec,
        frozen=observation.freezer != THAWED,
        weight=_weight(limits),
        signals=_Signals(_Seen(observation, age_sec, sample_age_sec, capacity)),
        fields={**{wire: getattr(limits, wire) for wire in BY_WIRE}, FREEZER: observation.freezer},
        owners=_Owners(claims, boottime_ns()) if claims else {},
        baselines=_Baselines(claims) if claims else {},
    )


def _weight(limits: Limits) -> float:
    """In shares, whichever the kernel has, as it counts them itself."""
    if limits.cpu_shares is None and limits.cpu_weight is not None:
        return float(PROPORTIONAL.to_shares(limits.cpu_weight))
    return float(limits.cpu_shares or DEFAULT_SHARES)


class _Seen(NamedTuple):
    """What the signals of one container are told from."""

    observation: Observation
    age_sec: float | None
    sample_age_sec: float
    capacity: float

    def cpu_used_fraction(self) -> float | None:
        usage = self.observation.usage
        limit_cores = self.capacity if usage.cpu_max_cores is None else usage.cpu_max_cores
        return _ratio(usage.cpu_cores, min(limit_cores, self.capacity))

    def pids_used_fraction(self) -> float | None:
        return _ratio(self.observation.usage.pids_current, self.observation.usage.pids_max)


Look: TypeAlias = Callable[[_Seen], float | None]


def _of_usage(field: str) -> Look:
    return lambda seen: getattr(seen.observation.usage, field)


def _of_pressure(resource: str, field: str) -> Look:
    return lambda seen: _average(seen.observation.sample.pressure, resource, field)


_LOOKS: dict[str, Look] = {
    **{name: _of_usage(field) for name, field in _FROM_USAGE.items()},
    **{name: _of_pressure(*where) for name, where in _AVERAGES.items()},
    "cpu.usedRatio": _Seen.cpu_used_fraction,
    "pids.usedRatio": _Seen.pids_used_fraction,
    "container.age": lambda seen: seen.age_sec,
    "container.frozen": lambda seen: 0.0 if seen.observation.freezer == THAWED else 1.0,
    "sample.age": lambda seen: seen.sample_age_sec,
}


class _Signals(Mapping[str, float | None]):
    __slots__ = ("_seen",)

    def __init__(self, seen: _Seen) -> None:
        self._seen = seen

    def __getitem__(self, name: str) -> float | None:
        return _LOOKS[name](self._seen)

    def __iter__(self) -> Iterator[str]:
        return iter(_LOOKS)

    def __len__(self) -> int:
        return len(_LOOKS)


class _Owners(Mapping[str, tuple[str, int]]):
    """Field -> whose value is in force, and its priority; none for a field that nobody holds any more."""

    __slots__ = ("_claims", "_now_ns")

    def __init__(self, claims: Mapping[str, FieldClaims], now_ns: int) -> None:
        self._claims = claims
        self._now_ns = now_ns

    def __getitem__(self, field: str) -> tuple[str, int]:
        won = self._claims[field].winner(self._now_ns)
        if won is None:
            raise KeyError(field)
        return won.owner, won.priority

    def __iter__(self) -> Iterator[str]:
        return (field for field, claims in self._claims.items() if claims.winner(self._now_ns) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Baselines(Mapping[str, object]):
    """Limit -> what it is when no policy and no person wants anything."""

    __slots__ = ("_claims",)

    def __init__(self, claims: Mapping[str, FieldClaims]) -> None:
        self._claims = claims

    def __getitem__(self, field: str) -> object:
        if field == FREEZER:
            raise KeyError(field)
        return self._claims[field].resting()

    def __iter__(self) -> Iterator[str]:
        return (field for field in self._claims if field != FREEZER)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _node(host: HostUsage, containers: Mapping[str, ContainerView]) -> dict[str, float | None]:
    node: dict[str, float | None] = {
        "cpu.capacity": float(host.cpu_cores_total),
        "cpu.cores": host.cpu_used_cores,
        "cpu.usedRatio": host.cpu_used_fraction,
        "cpu.systemCores": _system_cores(host, containers),
        "memory.usage": host.memory_used_bytes,
        "memory.usedRatio": 1 - host.memory_available_fraction,
        "memory.availableRatio": host.memory_available_fraction,
    }
    for name in _STALLS:
        node[name] = getattr(host, _FROM_USAGE[name])
    node.update({name: _average(host.pressure, *where) for name, where in _AVERAGES.items()})
    return node


def _system_cores(host: HostUsage, containers: Mapping[str, ContainerView]) -> float | None:
    """What the node uses outside our containers; None as soon as one container is unknown."""
    if host.cpu_used_cores is None:
        return None
    used = 0.0
    for container in containers.values():
        cores = known(container.signals.get("cpu.cores"))
        if cores is None:
            return None
        used += cores
    return max(0.0, host.cpu_used_cores - used)


def _average(pressure: object, resource: str, field: str) -> float | None:
    """`cpu.psi.some.avg10` and its kin, from the kernel's own averages."""
    return getattr(getattr(pressure, resource, None), field, None)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
