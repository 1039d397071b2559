"""What the tests are made of: containers in a fake tree, samples with a few counters, a set clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgroupfs import Cgroup, CpuStat, Hierarchies, MemoryStat, PressureStat, Psi
from monitor import Sample

MOUNTINFO = "31 23 0:28 / /cg rw - cgroup cgroup rw,cpu,cpuacct,cpuset,memory,blkio,freezer,pids,devices\n"
PROC_CGROUPS = "#subsys_name hierarchy num_cgroups enabled\n"
FILES = {
    "cgroup.procs": "",
    "cpuacct.usage": "5000000\n",
    "cpuacct.usage_user": "3000000\n",
    "cpuacct.usage_sys": "2000000\n",
    "cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 7000\n",
    "cpu.cfs_quota_us": "50000\n",
    "cpu.cfs_period_us": "100000\n",
    "memory.usage_in_bytes": "8192\n",
    "memory.stat": "total_cache 4096\ntotal_rss 4096\ntotal_shmem 0\ntotal_mapped_file 0\ntotal_dirty 0\n"
    "total_writeback 0\ntotal_inactive_file 4096\ntotal_active_file 0\ntotal_pgfault 9\ntotal_pgmajfault 0\n",
    "memory.limit_in_bytes": "65536\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
    "freezer.state": "THAWED\n",
    "pids.current": "3\n",
    "pids.max": "50\n",
    "blkio.throttle.io_service_bytes_recursive": "8:0 Read 0\n8:0 Write 4096\n8:0 Discard 0\nTotal 4096\n",
    "blkio.throttle.io_serviced_recursive": "8:0 Read 0\n8:0 Write 1\n8:0 Discard 0\nTotal 1\n",
}


@dataclass
class Clock:
    """Monotonic seconds that pass when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Container:
    """A container as a source lists it."""

    name: str
    cgroup: Cgroup | None
    pid: int | None = None
    network: str = "none"
    labels: Mapping[str, str] = field(default_factory=dict)
    klass: str = "burstable"


@dataclass
class Source:
    """A list that a test changes between ticks."""

    listed: Sequence[Container] = ()

    def containers(self) -> Sequence[Container]:
        return self.listed


class Tree:
    """A fake host with one v1 hierarchy; each container is a directory of files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/mountinfo").write_text(MOUNTINFO)
        (root / "proc/cgroups").write_text(PROC_CGROUPS)
        (root / "cg").mkdir()
        self.hierarchies = Hierarchies.read(str(root))

    def add(self, name: str, **words: Any) -> Container:
        """A container with the usual files."""
        directory = self.root / "cg" / name
        directory.mkdir()
        for file, text in FILES.items():
            (directory / file).write_text(text)
        return Container(name, self.hierarchies.cgroup(f"/{name}"), **words)

    def write(self, name: str, file: str, text: str) -> None:
        (self.root / "cg" / name / file).write_text(text)


def make_sample(taken_at: float, **known: Any) -> Sample:
    """A sample of container "web" with the counters that a test is about; the others are not offered."""
    nothing = dict.fromkeys(Sample._fields)
    return Sample(**{**nothing, "name": "web", "inode": 1, "taken_at": taken_at, "wall_time": 0.0, **known})


def make_cpu(usage_usec: int, **known: Any) -> CpuStat:
    return CpuStat(**{"usage_usec": usage_usec, "user_usec": None, "system_usec": None, **known})


def make_memory(usage_bytes: int, **known: int) -> MemoryStat:
    return MemoryStat(**{**dict.fromkeys(MemoryStat._fields, 0), "usage_bytes": usage_bytes, **known})


def make_pressure(some_usec: int, full_usec: int | None = 0) -> PressureStat:
    psi = Psi(0.0, 0.0, 0.0, some_usec, 0.0, 0.0, 0.0, full_usec)
    return PressureStat(psi, psi, psi)
