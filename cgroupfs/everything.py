"""All that is known of one cgroup as one JSON-ready document, a key per area, for people and for support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cgroupfs import freezer
from cgroupfs.errors import CgroupGone
from cgroupfs.limits import to_wire
from cgroupfs.net import InterfaceCounters, read_marks, read_namespace, read_net
from cgroupfs.statistic import read_statistic

if TYPE_CHECKING:
    from cgroupfs.cgroup import Cgroup


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
        "cpu": _stat(read_statistic(readers.cpu, dirs)) | _limits(limits, "cpu_"),
        "memory": _read_memory(cgroup) | _limits(limits, "memory_"),
        "blkio": _read_blkio(cgroup) | {"weight": limits["blkio_weight"], "io_max": limits["io_max"]},
        "devices": _read_devices(cgroup),
        "net": _read_net(cgroup, procs),
        "numa": _limits(limits, "cpuset_", keep_prefix=True)
        | {"bytes": None if slow.numa is None else {str(k): v._asdict() for k, v in slow.numa.items()}},
        "freezer": {
            "state": slow.freezer,
            "populated": slow.populated,
            "frozen_usec": freezer.read_frozen_usec(dirs),
        },
        "pids": _stat(read_statistic(readers.pids, dirs))
        | {"peak": slow.pids_peak, "limit_hits": slow.pids_limit_hits, "max": limits["pids_max"]},
        "pressure": None
        if pressure is None
        else {k: _stat(v) or None for k, v in pressure._asdict().items()},
        "hugetlb": None
        if slow.hugetlb is None
        else {k: to_wire(v._asdict()) for k, v in slow.hugetlb.items()},
    }


def _stat(stat: object) -> dict[str, object]:
    return dict(stat._asdict()) if hasattr(stat, "_asdict") else {}


def _limits(limits: Mapping[str, object], prefix: str, *, keep_prefix: bool = False) -> dict[str, object]:
    cut = 0 if keep_prefix else len(prefix)
    return {name[cut:]: value for name, value in limits.items() if name.startswith(prefix)}


def _read_memory(cgroup: Cgroup) -> dict[str, object]:
    stat = read_statistic(cgroup.readers.memory, cgroup.dirs)
    events = cgroup.readers.memory.read_events(cgroup.dirs)
    fields = _stat(stat) | events._asdict()
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
