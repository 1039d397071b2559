"""What deciding remembers between two views: histories, hold times, cool-downs, engagements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

# Name and inode of a container; ("", 0) is the node.
Entity: TypeAlias = tuple[str, int]
THE_NODE: Entity = ("", 0)
PointTuple: TypeAlias = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class LeafState:
    """One leaf for one container: since when beyond its threshold, and until when that was last seen.

    `on`: it has fired and not cleared.
    """

    since: float | None = None
    hits: int = 0
    on: bool = False
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Engagement:
    """A policy at work on a container, from its first write to the end of its lease or its release."""

    since: float
    renewed_at: float
    lease_until: float
    releasing: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything `decide` carries over. Containers that are gone drop out by themselves."""

    leaves: Mapping[tuple[str, int, Entity], LeafState] = field(default_factory=dict)
    histories: Mapping[tuple[Entity, str], PointTuple] = field(default_factory=dict)
    engaged: Mapping[tuple[str, Entity], Engagement] = field(default_factory=dict)
    quiet_policies: Mapping[str, float] = field(default_factory=dict)
    quiet_targets: Mapping[tuple[str, Entity], float] = field(default_factory=dict)

    def without_holds(self) -> State:
        """After a gap (suspend, a stalled engine) no hold time is worth anything; the rest stays."""
        return State({}, {}, self.engaged, self.quiet_policies, self.quiet_targets)
