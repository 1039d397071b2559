"""A monitor's snapshot to the view that decides: signals by their names in policies, limits, owners, ages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
    now_ns = boottime_ns()
    winners = {field: claim.winner(now_ns) for field, claim in claims.items()}
    return ContainerView(
        name=sample.name,
        inode=sample.inode,
        labels=observation.labels,
        klass=observation.klass,
        age_sec=age_sec,
        sample_age_sec=max(0.0, now - sample.taken_at),
        frozen=observation.freezer != THAWED,
        weight=float(limits.cpu_shares or DEFAULT_SHARES),
        signals=_signals(observation, age_sec, max(0.0, now - sample.taken_at), capacity),
        fields={**{wire: getattr(limits, wire) for wire in BY_WIRE}, FREEZER: observation.freezer},
        owners={field: (won.owner, won.priority) for field, won in winners.items() if won is not None},
        baselines={field: claim.resting() for field, claim in claims.items() if field != FREEZER},
    )


def _signals(
    observation: Observation, age_sec: float | None, sample_age_sec: float, capacity: float
) -> dict[str, float | None]:
    usage = observation.usage
    signals: dict[str, float | None] = {name: getattr(usage, field) for name, field in _FROM_USAGE.items()}
    limit_cores = usage.cpu_max_cores if usage.cpu_max_cores is not None else capacity
    signals["cpu.usedRatio"] = _ratio(usage.cpu_cores, min(limit_cores, capacity))
    signals["pids.usedRatio"] = _ratio(usage.pids_current, usage.pids_max)
    signals["container.age"] = age_sec
    signals["container.frozen"] = 0.0 if observation.freezer == THAWED else 1.0
    signals["sample.age"] = sample_age_sec
    signals.update(_averages(observation.sample.pressure))
    return signals


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
    node.update(_averages(host.pressure))
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


def _averages(pressure: object) -> dict[str, float | None]:
    """`cpu.psi.some.avg10` and its kin, from the kernel's own averages."""
    found: dict[str, float | None] = {}
    for resource in ("cpu", "memory", "io"):
        psi = getattr(pressure, resource, None)
        for kind in ("some",) if resource == "cpu" else ("some", "full"):
            for span in ("avg10", "avg60", "avg300"):
                found[f"{resource}.psi.{kind}.{span}"] = getattr(psi, f"{kind}_{span}_fraction", None)
    return found


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole
