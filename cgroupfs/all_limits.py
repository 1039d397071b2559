"""The limits of all controllers read and planned together, under the names of `Limits`."""

from __future__ import annotations

from collections.abc import Sequence

from cgroupfs import misc, net_marks
from cgroupfs.host import Host
from cgroupfs.limits import Limits, check_fields
from cgroupfs.readers import Readers
from cgroupfs.statistic import Dirs
from cgroupfs.wishes import Wanted
from cgroupfs.writes import Write


def read_limits(readers: Readers, dirs: Dirs, page_sizes: Sequence[str]) -> Limits:
    """All limits as the kernel holds them now."""
    memory, cpu = readers.memory.read_limits(dirs), readers.cpu.read_limits(dirs)
    cpuset, io = readers.numa.read_limits(dirs), readers.blkio.read_limits(dirs)
    marks, counted = net_marks.read_marks(dirs), misc.read_misc(dirs)
    return Limits(
        memory_max_bytes=memory.max_bytes,
        memory_swap_max_bytes=memory.swap_max_bytes,
        memory_high_bytes=memory.high_bytes,
        memory_soft_limit_bytes=memory.soft_limit_bytes,
        memory_low_bytes=memory.low_bytes,
        memory_min_bytes=memory.min_bytes,
        memory_oom_group=memory.oom_group,
        memory_swappiness=memory.swappiness,
        cpu_max_cores=cpu.max_cores,
        cpu_period_usec=cpu.period_usec,
        cpu_burst_usec=cpu.burst_usec,
        cpu_shares=cpu.shares,
        cpu_weight=cpu.weight,
        cpu_idle=cpu.idle,
        cpuset_cpus=cpuset.cpus,
        cpuset_mems=cpuset.mems,
        cpuset_cpus_effective=cpuset.cpus_effective,
        cpuset_mems_effective=cpuset.mems_effective,
        cpuset_partition=cpuset.partition,
        cpuset_memory_migrate=cpuset.memory_migrate,
        pids_max=readers.pids.read_limit(dirs),
        blkio_weight=io.bfq_weight,
        io_max=io.io_max,
        io_weight=io.weight,
        io_latency_usec=io.latency_usec,
        hugetlb_max_bytes=readers.hugetlb.read_limits(dirs, page_sizes),
        misc_max=None if counted is None else counted.limits,
        rdma_max=misc.read_rdma(dirs),
        net_classid=marks.classid,
        net_prio=marks.prio,
    )


def plan_limits(
    readers: Readers, dirs: Dirs, host: Host, page_sizes: Sequence[str], wanted: Wanted
) -> list[Write]:
    """The writes that make `wanted` true, in an order the kernel takes. `BadLimit`, `NotOffered`."""
    check_fields(wanted)
    return [
        *readers.numa.plan_limits(dirs, wanted, host),
        *readers.cpu.plan_limits(dirs, wanted, host.read_possible_cpus()),
        *readers.pids.plan_limits(dirs, wanted),
        *readers.blkio.plan_limits(dirs, wanted, host),
        *readers.hugetlb.plan_limits(dirs, page_sizes, wanted),
        *misc.plan_limits(dirs, wanted),
        *net_marks.plan_limits(dirs, wanted, host),
        *readers.memory.plan_limits(dirs, wanted),
    ]
