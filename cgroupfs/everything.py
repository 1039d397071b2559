"""All that is known of one cgroup as one JSON-ready document, a key per area, for people and for support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from cgroupfs import freezer, misc
from cgroupfs.cpu import CpuStat
from cgroupfs.errors import CgroupGone
from cgroupfs.limits import to_wire
from cgroupfs.memory import MemoryStat
from cgroupfs.memory_events import MemoryReclaim
from cgroupfs.net import InterfaceCounters, read_namespace, read_net
from cgroupfs.pids import PidsStat
from cgroupfs.statistic import read_statistic

if TYPE_CHECKING:
    from cgroupfs.cgroup import Cgroup

Fields: TypeAlias = CpuStat | MemoryStat | PidsStat


def read_everything(cgroup: Cgroup) -> dict[str, object]:
    """null is not offered, ``"max"`` is no limit, and 0 is 0. `CgroupGone`."""
    if not cgroup.alive():
        raise CgroupGone(cgroup.path)
    readers, dirs, limits = cgroup.readers, cgroup.dirs, cgroup.read_limits().to_wire()
    procs = cgroup.procs()
    slow = cgroup.read_slow()
    pressure = read_statistic(readers.pressure, dirs)
    counted, rdma = misc.read_misc(dirs), misc.read_rdma(dirs, "rdma.current")
    return {
        "path": cgroup.path,
        "inode": cgroup.inode,
        "paths": cgroup.paths(),
        "procs": procs,
        "cpu": _fields(read_statistic(readers.cpu, dirs), CpuStat)
        | dict(readers.cpu.read_details(dirs)._asdict())
        | _limits(limits, "cpu_"),
        "memory": _read_memory(cgroup) | _limits(limits, "memory_"),
        "blkio": _read_blkio(cgroup) | _limits(limits, "blkio_", "io_"),
        "devices": _read_devices(cgroup),
        "net": _read_net(cgroup, procs) | _limits(limits, "net_"),
        "numa": _limits(limits, "cpuset_")
        | {"bytes": None if slow.numa is None else {str(n): b._asdict() for n, b in slow.numa.items()}},
        "freezer": {
            "state": slow.freezer,
            "populated": slow.populated,
            "frozen_usec": freezer.read_frozen_usec(dirs),
            **freezer.read_details(dirs)._asdict(),
        },
        "pids": _fields(read_statistic(readers.pids, dirs), PidsStat)
        | {"peak": slow.pids_peak, "limit_hits": slow.pids_limit_hits, "pids_max": limits["pids_max"]},
        "pressure": None
        if pressure is None
        else {name: None if psi is None else psi._asdict() for name, psi in pressure._asdict().items()},
        "hugetlb": None
        if slow.hugetlb is None
        else {size: to_wire(stat._asdict()) for size, stat in slow.hugetlb.items()},
        "misc": None if counted is None else to_wire(counted._asdict()),
        "rdma": None if rdma is None else {"current": to_wire(rdma), "rdma_max": limits["rdma_max"]},
        "perf_event": {"path": cgroup.perf_path},
    }


def _fields(stat: Fields | None, kind: type[Fields]) -> dict[str, object]:
    """A statistic's fields; all null where it is not offered."""
    return dict.fromkeys(kind._fields) if stat is None else dict(stat._asdict())


def _limits(limits: Mapping[str, object], *prefixes: str) -> dict[str, object]:
    """Limits keep their full names: `burst_usec` is time, `cpu_burst_usec` a limit."""
    return {name: value for name, value in limits.items() if name.startswith(prefixes)}


def _read_memory(cgroup: Cgroup) -> dict[str, object]:
    stat = read_statistic(cgroup.readers.memory, cgroup.dirs)
    events = cgroup.readers.memory.read_events(cgroup.dirs)
    fields = _fields(stat, MemoryStat) | events._asdict() | {"working_set_bytes": None}
    reclaim = cgroup.readers.memory.read_reclaim(cgroup.dirs)
    fields |= dict.fromkeys(MemoryReclaim._fields) if reclaim is None else reclaim._asdict()
    if stat is not None:
        fields |= {"working_set_bytes": stat.working_set_bytes}
        fields |= {"kernel_bytes": cgroup.readers.memory.read_kernel_bytes(cgroup.dirs)}
    return fields


def _read_blkio(cgroup: Cgroup) -> dict[str, object]:
    stat = read_statistic(cgroup.readers.blkio, cgroup.dirs)
    devices = None if stat is None else [device._asdict() for device in stat.devices]
    return {"devices": devices, **cgroup.readers.blkio.read_details(cgroup.dirs)._asdict()}


def _read_devices(cgroup: Cgroup) -> dict[str, object]:
    rules = cgroup.readers.devices.read_rules(cgroup.dirs)
    return {"allowed": None if rules is None else [rule.text() for rule in rules]}


def _read_net(cgroup: Cgroup, procs: list[int]) -> dict[str, object]:
    """Counters by the first process; on the host's own network they are everybody's, which `shared` says."""
    namespace = read_namespace(procs[0]) if procs else None
    interfaces: tuple[InterfaceCounters, ...] | None = read_net(procs[0]) if procs else None
    return {
        "namespace": namespace,
        "shared": None if namespace is None else namespace == read_namespace("self"),
        "interfaces": None if interfaces is None else [interface._asdict() for interface in interfaces],
    }
