"""Why the kernel refuses a value, in words: errno says "Invalid argument" for a dozen different mistakes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Final

ReadNumber = Callable[[str], str]

_ATTACH: Final = {
    errno.ESRCH: "there is no such process any more",
    errno.EINVAL: "that process cannot be moved (kernel threads and real-time tasks cannot)",
    errno.ENOSPC: "the cpuset has no CPUs or memory nodes yet; set cpuset_cpus and cpuset_mems first",
    errno.EOPNOTSUPP: "the group is below a threaded one, where only threads can live; use another parent",
    errno.EBUSY: "the group hands controllers on to child groups, so it cannot hold processes itself",
}

# (start of the file's name, where * is any part, errno) -> reason and what would work.
_REASONS: Final[tuple[tuple[str, int, str], ...]] = (
    ("memory.memsw.limit_in_bytes", errno.EINVAL, "memory plus swap can never be below the memory limit"),
    (
        "memory.limit_in_bytes",
        errno.EINVAL,
        "the limit can never be above that of memory plus swap; raise that first",
    ),
    (
        "cpu.cfs_burst_us",
        errno.EINVAL,
        "the burst can be at most the quota (cpu_max_cores x cpu_period_usec)",
    ),
    (
        "cpu.cfs_",
        errno.EINVAL,
        "a group's share of CPU time is at most its parent's and at least its children's: raise the parent"
        " first, lower the children first, or change all at once (plan_nested). The quota is 1000 us or more"
        " and at least the burst (lower cpu_burst_usec first), the period 1000 to 1000000 us",
    ),
    ("cpu.shares", errno.EINVAL, "an idle group has no shares; set cpu_idle to false first"),
    ("cpu.weight", errno.EINVAL, "an idle group has no weight; set cpu_idle to false first"),
    ("cpu.weight", errno.ERANGE, "the weight is 1 to 10000"),
    ("cpu.idle", errno.EINVAL, "it is 0 or 1"),
    (
        "cpu.max.burst",
        errno.EINVAL,
        "the burst can be at most the quota (cpu_max_cores x cpu_period_usec)",
    ),
    (
        "cpu.max",
        errno.EINVAL,
        "the quota is 1000 us or more, or max, and at least the burst; the period is 1000 to 1000000 us",
    ),
    (
        "cpu.rt_runtime_us",
        errno.EINVAL,
        "the parent has no such real-time budget to give, or the children need more; raise the parent's"
        " cpu.rt_runtime_us first, or lower the children's",
    ),
    (
        "cpuset.cpus.partition",
        errno.EINVAL,
        "it is member, root or isolated; a partition needs CPUs of its own, and a parent that is one too",
    ),
    ("cpuset.memory_migrate", errno.EINVAL, "it is 0 or 1"),
    ("cpuset.", errno.EACCES, "the parent group's cpuset does not include it; widen the parent first"),
    ("cpuset.", errno.EBUSY, "a child group's cpuset needs what would be taken away; narrow the child first"),
    ("cpuset.", errno.ENOSPC, "a cpuset that holds processes can never be empty"),
    ("cpuset.", errno.ERANGE, "this host has no such CPU"),
    ("cpuset.", errno.EINVAL, "this host has no such CPU or memory node, or the list is malformed"),
    ("pids.max", errno.EINVAL, 'the number of tasks is 0 to 4194304, or "max"'),
    ("blkio.bfq.weight", errno.EINVAL, "the weight is 1 to 1000"),
    ("blkio.bfq.weight", errno.ERANGE, "the weight is 1 to 1000"),
    (
        "blkio.throttle.",
        errno.ENODEV,
        "there is no such disk, or it is a partition; name the whole disk as major:minor",
    ),
    ("io.bfq.weight", errno.ERANGE, "the weight is 1 to 1000"),
    ("io.bfq.weight", errno.EINVAL, "the weight is 1 to 1000"),
    ("io.weight", errno.ERANGE, "the weight is 1 to 10000"),
    ("io.weight", errno.EINVAL, "the weight is 1 to 10000"),
    (
        "io.weight",
        errno.EOPNOTSUPP,
        "the cost model is off for that disk; enable it in the root's io.cost.qos, or use blkio_weight",
    ),
    (
        "io.",
        errno.ENODEV,
        "there is no such disk, or it is a partition; name the whole disk as major:minor",
    ),
    ("io.", errno.ERANGE, "a throttle is 1 or more, or max"),
    ("io.", errno.EINVAL, "it is written as major:minor and key=value pairs, one disk in one write"),
    ("io.latency", errno.EOPNOTSUPP, "latency targets are off for that disk"),
    (
        "memory.reclaim",
        errno.EAGAIN,
        "less could be reclaimed than was asked for, and what could be was; ask for less, or give more swap",
    ),
    ("memory.swappiness", errno.EINVAL, "it is 0 to 200, on older kernels to 100"),
    ("memory.oom.group", errno.EINVAL, "it is 0 or 1"),
    ("memory.oom_control", errno.EINVAL, "it is 0 or 1, and the root group has none"),
    ("memory.*_in_bytes", errno.EINVAL, "it is a number of bytes, 0 or more, or -1 for no limit"),
    ("hugetlb.*_in_bytes", errno.EINVAL, "it is a number of bytes, 0 or more, or -1 for no limit"),
    ("memory.", errno.EINVAL, 'it is a number of bytes, 0 or more, or "max"'),
    ("hugetlb.", errno.EINVAL, 'it is a number of bytes, 0 or more, or "max"'),
    ("misc.max", errno.EINVAL, "it is written as a resource that misc.capacity names, and a number or max"),
    ("rdma.max", errno.EINVAL, "it is written as a device and hca_handle=N hca_object=N"),
    ("rdma.max", errno.ENODEV, "there is no such RDMA device"),
    ("net_prio.ifpriomap", errno.ENODEV, "there is no such interface in this network namespace"),
    ("cgroup.freeze", errno.ERANGE, "it is 0 or 1"),
    (
        "cgroup.subtree_control",
        errno.EBUSY,
        "the group holds processes, or a group below still hands the controller on; move or disable them",
    ),
    ("cgroup.subtree_control", errno.ENOENT, "the parent group does not hand that controller down"),
    ("cgroup.subtree_control", errno.EINVAL, "that is no controller of the unified tree"),
    ("blkio.throttle.", errno.EINVAL, "a throttle is written as major:minor and a plain number"),
    ("devices.", errno.EPERM, "the parent group does not allow that device, so a child cannot"),
    (
        "devices.",
        errno.EINVAL,
        "the rule is malformed, or child groups exist while all devices are allowed or denied",
    ),
    ("mkdir", errno.ENAMETOOLONG, "the name is longer than 255 bytes"),
    (
        "mkdir",
        errno.ENOSPC,
        "the kernel has no number left for another cgroup; remove some, dying ones count too",
    ),
    ("mkdir", errno.EAGAIN, "the parent's cgroup.max.descendants or cgroup.max.depth is reached"),
    ("freezer.state", errno.EINVAL, "the state is THAWED or FROZEN"),
)


def explain(file: str, value: str, code: int, read_number: ReadNumber) -> str:
    """Why the kernel refused `file` with errno `code`; `read_number` reads a file of the same cgroup."""
    if file in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes") and code == errno.EBUSY:
        usage = read_number(file.replace("limit", "usage"))
        return (
            f"{usage} bytes are in use and cannot be reclaimed; choose more than that, or free memory first"
        )
    if file in ("tasks", "cgroup.procs") and code in _ATTACH:
        return _ATTACH[code]
    for start, reason_code, reason in _REASONS:
        if code == reason_code and fnmatchcase(file, f"{start}*"):
            return reason
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{os.strerror(code)}; cgroup files are root's, and the mount must be writable"
    return os.strerror(code)
