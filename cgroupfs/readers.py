"""The classes that serve one host, chosen per controller; above this module nothing tells v1 from v2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cgroupfs.blkio import BlkioV1, BlkioV2
from cgroupfs.cpu import CpuV1, CpuV2
from cgroupfs.devices import DevicesV1, DevicesV2
from cgroupfs.errors import NoCgroups
from cgroupfs.freezer import FREEZER_FILES
from cgroupfs.hugetlb import HugetlbV1, HugetlbV2
from cgroupfs.memory import MemoryV1, MemoryV2
from cgroupfs.misc import MISC_FILES, RDMA_FILES
from cgroupfs.mounts import Place
from cgroupfs.net_marks import CLASSID, PRIO
from cgroupfs.numa import NumaV1, NumaV2
from cgroupfs.pids import PidsV1, PidsV2
from cgroupfs.pressure import Pressure

# Without these a container can be neither bounded nor held together.
NEEDED: Final = ("cpu", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Readers:
    """One object per area."""

    cpu: CpuV1 | CpuV2
    memory: MemoryV1 | MemoryV2
    blkio: BlkioV1 | BlkioV2
    pids: PidsV1
    numa: NumaV1 | NumaV2
    devices: DevicesV1 | DevicesV2
    hugetlb: HugetlbV1
    pressure: Pressure

    def files(self) -> dict[str, tuple[str, ...]]:
        """Controller -> files that are read or written there; SIZE stands for a huge page size."""
        found: dict[str, list[str]] = {}
        for source in (*self.cpu.sources, *self.memory.sources, *self.blkio.sources, *self.pids.sources):
            found.setdefault(source.controller, []).append(source.file)
        unified = [*found.pop("unified", []), *(source.file for source in self.pressure.sources)]
        extra: Sequence[tuple[str, Sequence[str]]] = (
            ("cpu", (*self.cpu.limit_files, *self.cpu.detail_files)),
            ("cpuacct", self.cpu.per_cpu_files),
            ("memory", (*self.memory.limit_files, *self.memory.slow_files)),
            ("memory", (self.memory.kernel_file, self.memory.reclaim_file, *self.numa.slow_files)),
            ("blkio", (*self.blkio.limit_files, *self.blkio.wait_files)),
            ("pids", (*self.pids.limit_files, *self.pids.slow_files)),
            ("cpuset", self.numa.limit_files),
            ("devices", self.devices.files),
            ("freezer", FREEZER_FILES),
            ("hugetlb", self.hugetlb.slow_files),
            ("misc", MISC_FILES),
            ("rdma", RDMA_FILES),
            ("net_cls", (CLASSID,)),
            ("net_prio", (PRIO,)),
            ("unified", (*unified, "cgroup.events", "cgroup.freeze", "cgroup.kill", "cgroup.stat.local")),
        )
        for controller, files in extra:
            found.setdefault(controller, []).extend(files)
        return {controller: tuple(dict.fromkeys(files)) for controller, files in found.items() if files}


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
    v1 = {name for name, place in places.items() if place.kind == "v1"}
    return Readers(
        cpu=CpuV1(unified="unified" in places) if "cpu" in v1 else CpuV2(),
        memory=MemoryV1() if "memory" in v1 else MemoryV2(),
        blkio=BlkioV1() if "blkio" in v1 else BlkioV2(),
        pids=PidsV1() if "pids" in v1 else PidsV2(),
        numa=NumaV1(pages="memory" in v1) if "cpuset" in v1 else NumaV2(pages="memory" in v1),
        devices=DevicesV1() if "devices" in v1 else DevicesV2(),
        hugetlb=HugetlbV1() if "hugetlb" in v1 else HugetlbV2(),
        pressure=Pressure(),
    )
