"""All that is known of one cgroup as one JSON-ready document, a key per area, for people and for support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from cgroupfs import freezer
from cgroupfs.cpu import CpuStat
from cgroupfs.errors import CgroupGone
from cgroupfs.limits import to_wire
from cgroupfs.memory import MemoryStat
from cgroupfs.net import InterfaceCounters, read_namespace, read_net
from cgroupfs.net_marks import read_marks
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
    return {
        "path": cgroup.path,
        "inode": cgroup.inode,
        "paths": cgroup.paths(),
        "procs": procs,
        "cpu": _fields(read_statistic(readers.cpu, dirs), CpuStat) | _limits(limits, "cpu_"),
        "memory": _read_memory(cgroup) | _limits(limits, "memory_"),
        "blkio": _read_blkio(cgroup) | _limits(limits, "blkio_") | _limits(limits, "io_"),
        "devices": _read_devices(cgroup),
        "net": _read_net(cgroup, procs),
        "numa": _limits(limits, "cpuset_")
        | {"bytes": None if slow.numa is None else {str(n): b._asdict() for n, b in slow.numa.items()}},
        "freezer": {
            "state": slow.freezer,
            "populated": slow.populated,
            "frozen_usec": freezer.read_frozen_usec(dirs),
        },
        "pids": _fields(read_statistic(readers.pids, dirs), PidsStat)
        | {"peak": slow.pids_peak, "limit_hits": slow.pids_limit_hits, "pids_max": limits["pids_max"]},
        "pressure": None
        if pressure is None
        else {name: None if psi is None else psi._asdict() for name, psi in pressure._asdict().items()},
        "hugetlb": None
        if slow.hugetlb is None
        else {size: to_wire(stat._asdict()) for size, stat in slow.hugetlb.items()},
    }


def _fields(stat: Fields | None, kind: type[Fields]) -> dict[str, object]:
    """A statistic's fields; all null where it is not offered."""
    return dict.fromkeys(kind._fields) if stat is None else dict(stat._asdict())


def _limits(limits: Mapping[str, object], prefix: str) -> dict[str, object]:
    """Limits keep their full names: `burst_usec` is time, `cpu_burst_usec` a limit."""
    return {name: value for name, value in limits.items() if name.startswith(prefix)}


def _read_memory(cgroup: Cgroup) -> dict[str, object]:
    stat = read_statistic(cgroup.readers.memory, cgroup.dirs)
    events = cgroup.readers.memory.read_events(cgroup.dirs)
    fields = _fields(stat, MemoryStat) | events._asdict() | {"working_set_bytes": None}
    if stat is not None:
        fields |= {"working_set_bytes": stat.working_set_bytes}
        fields |= {"kernel_bytes": cgroup.readers.memory.read_kernel_bytes(cgroup.dirs)}
    return fields


def _read_blkio(cgroup: Cgroup) -> dict[str, object]:
    stat = read_statistic(cgroup.readers.blkio, cgroup.dirs)
    return {"devices": None if stat is None else [device._asdict() for device in stat.devices]}


def _read_devices(cgroup: Cgroup) -> dict[str, object]:
    rules = cgroup.readers.devices.read_rules(cgroup.dirs)
    return {"allowed": None if rules is None else [rule.text() for rule in rules]}


def _read_net(cgroup: Cgroup, procs: list[int]) -> dict[str, object]:
    """Counters by the first process; on the host's own network they are everybody's, which `shared` says."""
    marks = read_marks(cgroup.dirs)
    namespace = read_namespace(procs[0]) if procs else None
    interfaces: tuple[InterfaceCounters, ...] | None = read_net(procs[0]) if procs else None
    return {
        "classid": marks.classid,
        "prio": marks.prio,
        "namespace": namespace,
        "shared": None if namespace is None else namespace == read_namespace("self"),
        "interfaces": None if interfaces is None else [interface._asdict() for interface in interfaces],
    }
