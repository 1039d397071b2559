"""Answers of the enforcer to people: what was asked, what changed, under which decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from cgroupfs import Cgroup

OPERATOR = "operator"
SPEC = "spec"


class Target(Protocol):
    """A running container as the enforcer needs it; the launcher's containers have this shape."""

    @property
    def name(self) -> str: ...
    @property
    def cgroup(self) -> Cgroup | None: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def klass(self) -> str: ...
    @property
    def started_at(self) -> str | None: ...


class WriteRecord(NamedTuple):
    """One kernel file of a change; `read_back` is None as long as nothing was written."""

    controller: str
    file: str
    before: str
    value: str
    read_back: str | None

    def to_wire(self) -> dict[str, object]:
        """The JSON form of the API."""
        return self._asdict()


@dataclass(frozen=True, slots=True)
class LimitOutcome:
    """What became of a wish for limits. `status`: applied, unchanged or planned."""

    changed: bool
    status: str
    decision: str | None
    writes: Sequence[WriteRecord]


@dataclass(frozen=True, slots=True)
class FreezeOutcome:
    """What became of a freeze or thaw; `holders` says who still wants it frozen."""

    changed: bool
    state: str
    holders: Sequence[str] = field(default_factory=tuple)
    decision: str | None = None


def rfc3339(wall_sec: float) -> str:
    """A wall-clock time as it goes over the wire, in UTC with milliseconds."""
    return datetime.fromtimestamp(wall_sec, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
