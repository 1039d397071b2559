"""What one decision sees: plain numbers of all containers and the node at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# A present limit: a number, UNLIMITED, or None where it is unknown or not offered.
Present = object


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container: who it is, its signals, its present limits and who owns them."""

    name: str
    inode: int
    labels: Mapping[str, str] = field(default_factory=dict)
    klass: str = "burstable"
    age_sec: float | None = None
    sample_age_sec: float = 0.0
    frozen: bool = False
    weight: float = 1024.0
    signals: Mapping[str, float | None] = field(default_factory=dict)
    fields: Mapping[str, Present] = field(default_factory=dict)
    owners: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    baselines: Mapping[str, Present] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        """Name and inode: a namesake made later is somebody else."""
        return (self.name, self.inode)


@dataclass(frozen=True, slots=True)
class View:
    """All containers and the node at one instant."""

    containers: Mapping[str, ContainerView]
    node: Mapping[str, float | None] = field(default_factory=dict)
    node_age_sec: float = 0.0
