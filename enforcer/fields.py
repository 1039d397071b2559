"""The names of limits: `memory.max` in policies is `memory_max_bytes` on the wire and in the planner."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cgroupfs import UNLIMITED, IoLimit

PAGE_BYTES = 4096
FREEZER = "freezer"
FROZEN = "frozen"
THAWED = "thawed"


class Unit(enum.Enum):
    """What a number of a policy means; its quantity must carry a suffix of that kind."""

    BYTES = "bytes"
    CORES = "cores"
    RATIO = "ratio"
    SECONDS = "s"
    COUNT = "count"
    BYTES_PER_SEC = "bytes/s"
    PER_SEC = "1/s"


@dataclass(frozen=True, slots=True)
class Field:
    """One limit that a policy may change."""

    name: str
    wire: str
    unit: Unit


MEMORY_MAX = Field("memory.max", "memory_max_bytes", Unit.BYTES)
CPU_QUOTA = Field("cpu.quota", "cpu_max_cores", Unit.CORES)
PIDS_MAX = Field("pids.max", "pids_max", Unit.COUNT)
FIELDS = {field.name: field for field in (MEMORY_MAX, CPU_QUOTA, PIDS_MAX)}
BY_WIRE = {field.wire: field for field in FIELDS.values()}


def rounded(field: Field, value: float) -> float:
    """The value as the kernel will keep it: whole pages, whole microseconds of quota, whole tasks."""
    if field.unit is Unit.BYTES:
        return int(value) // PAGE_BYTES * PAGE_BYTES
    if field.unit is Unit.CORES:
        return round(value, 5)
    return int(value)


def same_value(wire: str, wanted: object, present: object) -> bool:
    """True if the kernel already holds `wanted`, allowing for its rounding to pages and microseconds."""
    wanted = UNLIMITED if wanted in (None, "max") else wanted
    if wanted is UNLIMITED or present is UNLIMITED or present is None:
        return wanted is present
    if isinstance(wanted, bool) or isinstance(present, bool):
        return wanted == present
    if isinstance(wanted, (int, float)) and isinstance(present, (int, float)):
        slack = PAGE_BYTES - 1 if wire.endswith("_bytes") else 2e-5 if wire.endswith("_cores") else 0
        return abs(wanted - present) <= slack
    return wanted == present


def to_wire(value: object) -> object:
    """JSON form of a limit: `"max"` for unlimited, None for "not offered", a device's throttles by name."""
    if isinstance(value, IoLimit):
        return {name: to_wire(getattr(value, name)) for name in IoLimit.__slots__}
    return "max" if value is UNLIMITED else value


def from_wire(value: object) -> object:
    """The limit that `to_wire` wrote."""
    return UNLIMITED if value == "max" else value
