"""How programs that ask the scheduler, and not /proc, learn of a CPU quota."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cgroupfs import Hierarchies, Limits
from launcher.procview.numbers import cgroups_from, least, parse_cpu_list, visible_cpus

_ONLINE: Final = Path("/sys/devices/system/cpu/online")


def quota_threads(hierarchies: Hierarchies, path: str, wished: Mapping[str, Any] | None = None) -> int:
    """CPUs that the least quota from the cgroup up fills, as /proc/cpuinfo counts them; 0 without a quota.

    `wished` are the limits of one that is still to be made in the cgroup; the root has none.
    `CgroupGone` where there is no such cgroup.
    """
    with contextlib.ExitStack() as opened:
        cgroups = cgroups_from(hierarchies, path)
        for cgroup in cgroups:
            opened.callback(cgroup.close)
        limits = [cgroup.read_limits() for cgroup in cgroups]
    if wished is not None:
        above = limits[0] if limits else Limits()
        cpus = wished.get("cpuset_cpus") or above.cpuset_cpus_effective or above.cpuset_cpus
        cpus = cpus if isinstance(cpus, str) else None
        limits.insert(0, Limits(cpu_max_cores=wished.get("cpu_max_cores"), cpuset_cpus=cpus))
    bounds = least(limits)
    if bounds.cpu_cores is None:
        return 0
    return len(visible_cpus(bounds, sorted(parse_cpu_list(_ONLINE.read_text()))))
