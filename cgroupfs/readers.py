"""The classes that serve one host, chosen per controller; above this module nothing tells v1 from v2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cgroupfs.blkio import BlkioV1
from cgroupfs.cpu import CpuV1
from cgroupfs.devices import DevicesV1, DevicesV2
from cgroupfs.errors import NoCgroups
from cgroupfs.hugetlb import HugetlbV1, HugetlbV2
from cgroupfs.memory import MemoryV1
from cgroupfs.mounts import Place
from cgroupfs.numa import NumaV1
from cgroupfs.pids import PidsV1
from cgroupfs.pressure import Pressure

# Without these a container can be neither bounded nor held together.
NEEDED: Final = ("cpu", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Readers:
    """One object per area."""

    cpu: CpuV1
    memory: MemoryV1
    blkio: BlkioV1
    pids: PidsV1
    numa: NumaV1
    devices: DevicesV1 | DevicesV2
    hugetlb: HugetlbV1 | HugetlbV2
    pressure: Pressure

    def files(self) -> dict[str, tuple[str, ...]]:
        """Controller -> files that are read or written there; SIZE stands for a huge page size."""
        found: dict[str, list[str]] = {}
        for source in (*self.cpu.sources, *self.memory.sources, *self.blkio.sources, *self.pids.sources):
            found.setdefault(source.controller, []).append(source.file)
        unified = [*found.pop("unified", []), *(source.file for source in self.pressure.sources)]
        extra: Sequence[tuple[str, Sequence[str]]] = (
            ("cpu", self.cpu.limit_files),
            ("memory", (*self.memory.limit_files, *self.memory.slow_files, self.memory.kernel_file)),
            ("memory", self.numa.slow_files),
            ("blkio", self.blkio.limit_files),
            ("pids", (*self.pids.limit_files, *self.pids.slow_files)),
            ("cpuset", self.numa.limit_files),
            ("devices", (*self.devices.limit_files, "devices.allow", "devices.deny")),
            ("freezer", ("freezer.state",)),
            ("hugetlb", self.hugetlb.slow_files),
            ("unified", (*unified, "cgroup.events", "cgroup.freeze", "cgroup.kill", "cgroup.stat.local")),
        )
        for controller, files in extra:
            found.setdefault(controller, []).extend(files)
        return {controller: tuple(dict.fromkeys(files)) for controller, files in found.items()}


def choose_readers(places: Mapping[str, Place]) -> Readers:
    """The classes for this host; `NoCgroups` in one line where it cannot be driven."""
    if not places:
        raise NoCgroups(
            "no cgroup file system is mounted; mount one below /sys/fs/cgroup, or use an init that does"
        )
    missing = [name for name in NEEDED if name not in places]
    if missing:
        raise NoCgroups(
            f"the cgroup controllers {', '.join(missing)} are neither in the unified tree nor mounted; have"
            " the parent group hand them down (cgroup.subtree_control), or mount them with -t cgroup"
        )
    return Readers(
        cpu=CpuV1(unified="unified" in places),
        memory=MemoryV1(),
        blkio=BlkioV1(),
        pids=PidsV1(),
        numa=NumaV1(),
        devices=DevicesV1(),
        hugetlb=HugetlbV1() if "hugetlb" in places and places["hugetlb"].kind == "v1" else HugetlbV2(),
        pressure=Pressure(),
    )
