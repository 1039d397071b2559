"""All limits of one container as one value, under the names that the API and the policies use.

A wish for a change is a mapping of these names; planning checks all of it before the first write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from cgroupfs.cpu_limits import Cores
from cgroupfs.errors import BadLimit
from cgroupfs.io_limits import IoLimit
from cgroupfs.values import Limit, Unlimited
from cgroupfs.wishes import Wanted


@dataclass(frozen=True, slots=True)
class Limits:
    """None: this kernel offers no such limit; ``UNLIMITED``: offered, and none set."""

    memory_max_bytes: Limit | None = None
    memory_swap_max_bytes: Limit | None = None  # swap alone
    memory_high_bytes: Limit | None = None
    memory_soft_limit_bytes: Limit | None = None
    memory_low_bytes: Limit | None = None  # protected as far as it goes; UNLIMITED: all of it
    memory_min_bytes: Limit | None = None  # protected at any price
    memory_oom_group: bool | None = None
    memory_swappiness: int | None = None
    cpu_max_cores: Cores | None = None
    cpu_period_usec: int | None = None
    cpu_burst_usec: int | None = None
    cpu_shares: int | None = None
    cpu_weight: int | None = None
    cpu_idle: bool | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    cpuset_cpus_effective: str | None = None
    cpuset_mems_effective: str | None = None
    cpuset_partition: str | None = None  # member, root or isolated; may read "root invalid (reason)"
    cpuset_memory_migrate: bool | None = None
    pids_max: Limit | None = None
    blkio_weight: int | None = None
    io_max: Mapping[str, IoLimit] | None = None
    io_weight: int | None = None
    io_latency_usec: Mapping[str, int] | None = None  # device -> target
    hugetlb_max_bytes: Mapping[str, Limit] | None = None  # page size -> limit
    misc_max: Mapping[str, Limit] | None = None  # resource -> limit
    rdma_max: Mapping[str, Mapping[str, Limit]] | None = None  # device -> hca_handle, hca_object -> limit
    net_classid: int | None = None
    net_prio: Mapping[str, int] | None = None  # interface -> priority

    def to_wire(self) -> dict[str, object]:
        """JSON-ready: null is not offered, ``"max"`` is no limit."""
        return {field.name: to_wire(getattr(self, field.name)) for field in fields(self)}


EFFECTIVE_FIELDS: Final = frozenset({"cpuset_cpus_effective", "cpuset_mems_effective"})
LIMIT_FIELDS: Final = tuple(field.name for field in fields(Limits) if field.name not in EFFECTIVE_FIELDS)


def check_fields(wanted: Wanted) -> None:
    """`BadLimit` for a name that is no limit, or none that can be set."""
    for field in wanted:
        if field in EFFECTIVE_FIELDS:
            raise BadLimit(field, f"is what came of {field.removesuffix('_effective')}; set that")
        if field not in LIMIT_FIELDS:
            raise BadLimit(str(field)[:60], f"there is no such limit; there are {', '.join(LIMIT_FIELDS)}")


def to_wire(value: object) -> object:
    """A limit as JSON: ``UNLIMITED`` becomes ``"max"``."""
    if isinstance(value, Unlimited):
        return value.value
    if isinstance(value, IoLimit):
        return {field.name: to_wire(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    return value
