"""Where a container's CPUs and memory are: controller ``cpuset`` and the per-node numbers of ``memory``.

Documentation/admin-guide/cgroup-v1/cpusets.rst; memory.rst, "numa_stat".
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from cgroupfs.cpuset_writes import MEMBER, PARTITION
from cgroupfs.errors import BadLimit, ParseError, Refused
from cgroupfs.files import ControlDir
from cgroupfs.host import Host
from cgroupfs.statistic import Dirs
from cgroupfs.values import Ranges, format_list, parse_flag, parse_flat, parse_int, parse_list
from cgroupfs.wishes import Wanted, check_flag, check_list, check_offered, is_lifted
from cgroupfs.writes import Write

PARTITIONS: Final = (MEMBER, "root", "isolated")


class NumaBytes(NamedTuple):
    """Memory of one node."""

    anon_bytes: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class CpusetLimits:
    """Lists such as ``0-3,8``; None: not offered here."""

    cpus: str | None = None
    mems: str | None = None
    cpus_effective: str | None = None
    mems_effective: str | None = None
    partition: str | None = None
    memory_migrate: bool | None = None


def parse_numa_stat(text: str, anon_key: str, file_key: str, unit_bytes: int) -> dict[int, NumaBytes]:
    """``memory.numa_stat``: ``key[=total] N0=number N1=number`` a line; in v1 the unit is a page.

    No nodes where the kernel counts without child groups alone, as v1 did before Linux 3.13.
    """
    found = [_find_words(text, key) for key in (anon_key, file_key)]
    if found[0] is None and anon_key != "anon" and _find_words(text, "anon") is not None:
        return {}
    anon, file = (_parse_nodes(words or [], unit_bytes) for words in found)
    if None in found or anon.keys() != file.keys():
        raise ParseError("memory.numa_stat", text)
    return {node: NumaBytes(in_anon, file[node]) for node, in_anon in anon.items()}


def _find_words(text: str, key: str) -> list[str] | None:
    """What follows `key` in its line; the other lines, up to twenty, are not looked at."""
    for line in text.splitlines():
        if line.startswith(key) and line[len(key) : len(key) + 1] in ("=", " "):
            return line.split()[1:]
    return None


def _parse_nodes(words: list[str], unit_bytes: int) -> dict[int, int]:
    nodes = {}
    for word in words:
        name, _, number = word.partition("=")
        if not name.startswith("N"):
            raise ParseError("memory.numa_stat", word)
        nodes[parse_int(name[1:], "memory.numa_stat")] = parse_int(number, "memory.numa_stat") * unit_bytes
    return nodes


def _read_bytes_per_node(dirs: Dirs, *, pages: bool) -> dict[int, NumaBytes] | None:
    """``memory.numa_stat`` is the memory controller's: v1 counts pages in it, the unified tree bytes."""
    text = dirs["memory"].read("memory.numa_stat") if "memory" in dirs else None
    if text is None:
        return None
    if pages:
        return parse_numa_stat(text, "hierarchical_anon", "hierarchical_file", os.sysconf("SC_PAGE_SIZE"))
    return parse_numa_stat(text, "anon", "file", 1)


class NumaV1:
    """The cpuset hierarchy; `pages` if the memory hierarchy is v1 too."""

    limit_files: tuple[str, ...] = (
        "cpuset.cpus",
        "cpuset.mems",
        "cpuset.effective_cpus",
        "cpuset.effective_mems",
        "cpuset.memory_migrate",
    )
    slow_files = ("memory.numa_stat",)

    def __init__(self, *, pages: bool = True) -> None:
        self._pages = pages

    def read_bytes_per_node(self, dirs: Dirs) -> Mapping[int, NumaBytes] | None:
        return _read_bytes_per_node(dirs, pages=self._pages)

    def read_limits(self, dirs: Dirs) -> CpusetLimits:
        migrate = _read(dirs, "cpuset.memory_migrate")
        cpus, mems, cpus_effective, mems_effective = (_read_list(dirs, file) for file in self.limit_files[:4])
        return CpusetLimits(
            cpus,
            mems,
            cpus_effective,
            mems_effective,
            memory_migrate=None if migrate is None else parse_flag(migrate, "cpuset.memory_migrate"),
        )

    def plan_limits(self, dirs: Dirs, wanted: Wanted, host: Host) -> list[Write]:
        """Writes for the ``cpuset_*`` fields in `wanted`; lifting a list gives all that the parent has.

        Whether pages move along must be settled before ``cpuset.mems`` changes.
        """
        now = self.read_limits(dirs)
        _check_offered(dirs, wanted, now)
        lists = [
            *_plan_list(dirs, "cpuset_cpus", wanted, now.cpus, host, _read_parents),
            *_plan_list(dirs, "cpuset_mems", wanted, now.mems, host, _read_parents),
        ]
        return [*plan_migrate(now, wanted), *lists]


class NumaV2:
    """The cpuset controller of the unified tree; `pages` if the memory hierarchy is v1 all the same.

    An empty list is allowed and means what the parent has. Pages always move along with ``cpuset.mems``.
    """

    limit_files: tuple[str, ...] = (
        "cpuset.cpus",
        "cpuset.mems",
        "cpuset.cpus.effective",
        "cpuset.mems.effective",
        "cpuset.cpus.partition",
    )
    slow_files = ("memory.numa_stat",)

    def __init__(self, *, pages: bool = False) -> None:
        self._pages = pages

    def read_bytes_per_node(self, dirs: Dirs) -> Mapping[int, NumaBytes] | None:
        return _read_bytes_per_node(dirs, pages=self._pages)

    def read_limits(self, dirs: Dirs) -> CpusetLimits:
        partition = _read(dirs, PARTITION)
        cpus, mems, cpus_effective, mems_effective = (_read_list(dirs, file) for file in self.limit_files[:4])
        return CpusetLimits(
            cpus,
            mems,
            cpus_effective,
            mems_effective,
            partition=None if partition is None else partition.strip(),
        )

    def plan_limits(self, dirs: Dirs, wanted: Wanted, host: Host) -> list[Write]:
        """Writes for the ``cpuset_*`` fields in `wanted`.

        A partition is given up before its list changes, and set up after.
        """
        now = self.read_limits(dirs)
        _check_offered(dirs, wanted, now)
        wanted = {field: None if value == "" else value for field, value in wanted.items()}
        lists = [
            *_plan_list(dirs, "cpuset_cpus", wanted, now.cpus, host, _read_whole),
            *_plan_list(dirs, "cpuset_mems", wanted, now.mems, host, _read_whole),
        ]
        partition = plan_partition(now, wanted)
        given_up = bool(partition) and partition[0].value == MEMBER
        return [*partition, *lists] if given_up else [*lists, *partition]


def plan_partition(now: CpusetLimits, wanted: Wanted) -> list[Write]:
    """The write of ``cpuset.cpus.partition``; lifted it is ``member``."""
    field = "cpuset_partition"
    if field not in wanted:
        return []
    value = MEMBER if is_lifted(wanted[field]) else wanted[field]
    if not isinstance(value, str) or value not in PARTITIONS:
        raise BadLimit(field, f"{str(value)[:60]!r} is none of {', '.join(PARTITIONS)}")
    return [] if value == now.partition else [Write("cpuset", PARTITION, value)]


def plan_migrate(now: CpusetLimits, wanted: Wanted) -> list[Write]:
    """The write of v1 ``cpuset.memory_migrate``."""
    field = "cpuset_memory_migrate"
    if field not in wanted:
        return []
    flag = False if is_lifted(wanted[field]) else check_flag(field, wanted[field])
    if flag == now.memory_migrate:
        return []
    return [Write("cpuset", "cpuset.memory_migrate", "1" if flag else "0")]


def _check_offered(dirs: Dirs, wanted: Wanted, now: CpusetLimits) -> None:
    offered = {
        "cpuset_cpus": ("cpuset.cpus", now.cpus is not None),
        "cpuset_mems": ("cpuset.mems", now.mems is not None),
        "cpuset_partition": (PARTITION, now.partition is not None),
        "cpuset_memory_migrate": ("cpuset.memory_migrate", now.memory_migrate is not None),
    }
    check_offered(dirs, "cpuset", wanted, offered)


def _plan_list(
    dirs: Dirs, field: str, wanted: Wanted, now: str | None, host: Host, lift: Callable[[Dirs, str], str]
) -> list[Write]:
    """One list; `lift` tells what to write for no list of its own."""
    if field not in wanted:
        return []
    file, offered, what = _LISTS[field]
    value = wanted[field]
    listed = lift(dirs, file) if is_lifted(value) else None
    if listed is None or listed:
        listed = check_list(field, listed or value, offered(host), what)
    return [] if listed == now else [Write("cpuset", file, listed)]


def seed_cpuset(child: ControlDir, parent: ControlDir) -> None:
    """Give a new v1 cpuset what its parent has: it starts empty, and so takes no process (ENOSPC).

    `Refused` where the parent is empty itself.
    """
    for file in ("cpuset.cpus", "cpuset.mems"):
        listed = child.read(file)
        if listed is None or listed.strip():
            continue
        if not (above := (parent.read(file) or "").strip()):
            why = f"{parent.path}, which is not ours to write, has an empty {file}; fill that first"
            raise Refused(child.path, file, "", errno.ENOSPC, why)
        child.write(file, above)


def _read(dirs: Dirs, file: str) -> str | None:
    return dirs["cpuset"].read(file) if "cpuset" in dirs else None


def _read_list(dirs: Dirs, file: str) -> str | None:
    text = _read(dirs, file)
    return None if text is None else format_list(parse_list(text, file))


def _read_parents(dirs: Dirs, file: str) -> str:
    with contextlib.closing(dirs["cpuset"].open_parent()) as parent:
        return (parent.read(file) or "").strip()


def _read_whole(dirs: Dirs, file: str) -> str:
    """No list of its own; with tasks inside the kernel refuses that (ENOSPC), so then all that is above."""
    events = dirs["cpuset"].read("cgroup.events")
    if events is None or parse_flat(events, "cgroup.events").get("populated") == 0:
        return ""
    return _read_parents(dirs, f"{file}.effective")


_LISTS: Final[Mapping[str, tuple[str, Callable[[Host], Ranges], str]]] = {
    "cpuset_cpus": ("cpuset.cpus", Host.read_cpus, "CPU"),
    "cpuset_mems": ("cpuset.mems", Host.read_nodes, "memory node"),
}
