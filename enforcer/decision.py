"""A decision: one verb on one container, with the evidence; handed to guard rails and executor."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from enforcer.holds import LeafReading
from enforcer.policy import Policy
from enforcer.quantities import format_quantity
from enforcer.state import Entity


class Kind(enum.Enum):
    """What a decision asks for. Quiet ticks make no decision at all."""

    ACT = "act"
    STEP = "step"  # an inner adjustment of a running engagement
    RENEW = "renew"
    RELEASE = "release"
    NEAR_MISS = "near_miss"
    OVERRULED = "overruled"


@dataclass(frozen=True, slots=True)
class Decision:
    """`field` is the wire name (`memory_max_bytes`, `freezer`); `value` a limit, or `frozen`."""

    kind: Kind
    policy: Policy
    target: str
    inode: int
    verb: str
    field: str
    value: object
    before: object
    lease_sec: float
    reason: str
    readings: tuple[LeafReading, ...] = ()
    formula: str = ""
    candidates: tuple[dict[str, object], ...] = ()
    overruled_by: str | None = None

    @property
    def entity(self) -> Entity:
        return (self.target, self.inode)

    def inputs(self) -> list[dict[str, object]]:
        """The numbers that decided, for the record."""
        return [
            {
                "signal": reading.leaf.signal.name,
                "of": reading.leaf.of,
                "value": _finite(reading.value),
                "unit": reading.leaf.signal.unit.value,
                "threshold": reading.leaf.threshold,
                "age_ms": round(reading.age_sec * 1000),
            }
            for reading in self.readings
        ]


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def explain(readings: tuple[LeafReading, ...]) -> str:
    """The reason in a line: `memory.usedRatio 95 % > 90 % for 30 s`."""
    return "; ".join(_explain(reading) for reading in readings if reading.start or reading.stay)


def _explain(reading: LeafReading) -> str:
    leaf = reading.leaf
    unit = leaf.signal.unit
    shown = "unknown" if reading.value is None else format_quantity(reading.value, unit)
    stat = "" if leaf.stat == "last" else f" {leaf.stat} {leaf.window_sec:g}s"
    whose = "node " if leaf.of == "node" else ""
    name = f"{whose}{leaf.signal.name}{stat} {shown}"
    if reading.value is not None and not leaf.beyond(reading.value):
        side = "below" if leaf.above else "above"
        return f"{name}, not yet {side} {format_quantity(leaf.clear, unit)}"
    held = f" for {reading.held_sec:.0f} s" if leaf.for_sec else ""
    return f"{name} {'>' if leaf.above else '<'} {format_quantity(leaf.threshold, unit)}{held}"
