"""Where a container's CPUs and memory are: controller ``cpuset`` and the per-node numbers of ``memory``.

Documentation/admin-guide/cgroup-v1/cpusets.rst; memory.rst, "numa_stat".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cgroupfs.errors import NotOffered, ParseError
from cgroupfs.files import ControlDir
from cgroupfs.host import Host
from cgroupfs.statistic import Dirs
from cgroupfs.values import format_list, parse_int, parse_list
from cgroupfs.wishes import Wanted, check_list, is_lifted
from cgroupfs.writes import Write


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


def parse_numa_stat(text: str, anon_key: str, file_key: str, unit_bytes: int) -> dict[int, NumaBytes]:
    """``memory.numa_stat``: ``key[=total] N0=number N1=number`` a line; in v1 the unit is a page."""
    anon, file = (_parse_nodes(_find_words(text, key), unit_bytes) for key in (anon_key, file_key))
    if anon.keys() != file.keys():
        raise ParseError("memory.numa_stat", text)
    return {node: NumaBytes(in_anon, file[node]) for node, in_anon in anon.items()}


def _find_words(text: str, key: str) -> list[str]:
    """What follows `key` in its line; the other lines, up to twenty, are not looked at."""
    for line in text.splitlines():
        if line.startswith(key) and line[len(key) : len(key) + 1] in ("=", " "):
            return line.split()[1:]
    raise ParseError("memory.numa_stat", text)


def _parse_nodes(words: list[str], unit_bytes: int) -> dict[int, int]:
    nodes = {}
    for word in words:
        name, _, number = word.partition("=")
        if not name.startswith("N"):
            raise ParseError("memory.numa_stat", word)
        nodes[parse_int(name[1:], "memory.numa_stat")] = parse_int(number, "memory.numa_stat") * unit_bytes
    return nodes


class NumaV1:
    """The cpuset hierarchy, and ``memory.numa_stat``, which counts pages here."""

    limit_files = ("cpuset.cpus", "cpuset.mems", "cpuset.effective_cpus", "cpuset.effective_mems")
    slow_files = ("memory.numa_stat",)

    def read_bytes_per_node(self, dirs: Dirs) -> Mapping[int, NumaBytes] | None:
        text = dirs["memory"].read("memory.numa_stat") if "memory" in dirs else None
        if text is None:
            return None
        return parse_numa_stat(text, "hierarchical_anon", "hierarchical_file", os.sysconf("SC_PAGE_SIZE"))

    def read_limits(self, dirs: Dirs) -> CpusetLimits:
        return CpusetLimits(*(_read_list(dirs, file) for file in self.limit_files))

    def plan_limits(self, dirs: Dirs, wanted: Wanted, host: Host) -> list[Write]:
        """Writes for ``cpuset_cpus`` and ``cpuset_mems``; lifting one gives all that the parent has."""
        now = self.read_limits(dirs)
        writes = []
        for field, file, before, offered, what in (
            ("cpuset_cpus", "cpuset.cpus", now.cpus, host.read_cpus, "CPU"),
            ("cpuset_mems", "cpuset.mems", now.mems, host.read_nodes, "memory node"),
        ):
            if field not in wanted:
                continue
            if before is None:
                raise NotOffered(dirs["cpuset"].path if "cpuset" in dirs else "cpuset", file)
            value = wanted[field]
            if is_lifted(value):
                value = _read_parents(dirs, file) or format_list(offered())
            listed = check_list(field, value, offered(), what)
            if listed != before:
                writes.append(Write("cpuset", file, listed))
        return writes


class NumaV2:
    """The cpuset controller of the unified tree, and ``memory.numa_stat``, which counts bytes here."""

    limit_files = ("cpuset.cpus", "cpuset.mems", "cpuset.cpus.effective", "cpuset.mems.effective")
    slow_files = ("memory.numa_stat",)

    def read_bytes_per_node(self, dirs: Dirs) -> Mapping[int, NumaBytes] | None:
        text = dirs["memory"].read("memory.numa_stat") if "memory" in dirs else None
        return None if text is None else parse_numa_stat(text, "anon", "file", 1)

    def read_limits(self, dirs: Dirs) -> CpusetLimits:
        return CpusetLimits(*(_read_list(dirs, file) for file in self.limit_files))


def seed_cpuset(child: ControlDir, parent: ControlDir) -> None:
    """Give a new v1 cpuset what its parent has: it starts empty, and so takes no process (ENOSPC)."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        listed = child.read(file)
        if listed is not None and not listed.strip():
            child.write(file, (parent.read(file) or "").strip())


def _read_list(dirs: Dirs, file: str) -> str | None:
    text = dirs["cpuset"].read(file) if "cpuset" in dirs else None
    return None if text is None else format_list(parse_list(text, file))


def _read_parents(dirs: Dirs, file: str) -> str | None:
    with contextlib.closing(dirs["cpuset"].open_parent()) as parent:
        text = parent.read(file)
    return None if text is None else text.strip()
