"""How programs that ask the scheduler, and not /proc, learn of a CPU quota."""

from __future__ import annotations

import math

from launcher.spec import ContainerSpec


def thread_hint(spec: ContainerSpec) -> dict[str, str]:
    """OMP_NUM_THREADS as the quota at the launch allows, which `nproc` and OpenMP heed; what was set stays.

    sched_getaffinity(2) knows cpusets alone: without it `nproc` counts CPUs that the quota does not fill.
    """
    cores = spec.limits.get("cpu_max_cores")
    if isinstance(cores, bool) or not isinstance(cores, int | float):
        return {}
    return {"OMP_NUM_THREADS": str(max(1, math.ceil(cores - 1e-9)))}
