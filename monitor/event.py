"""One event, in memory, as a row on disk, and on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

COLUMNS: Final = (
    "id",
    "time",
    "monotonic_usec",
    "boot_id",
    "type",
    "container_name",
    "container",
    "actor_kind",
    "actor_name",
    "reason",
    "before",
    "after",
    "decision",
    "until",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `before`, `after` and the values of `container` are JSON-ready."""

    id: int
    time: str  # RFC 3339, UTC
    monotonic_usec: int  # comparable within one `boot_id`
    boot_id: str
    type: str  # "container.start", "limit.change", "policy.action", ...
    container: Mapping[str, object] | None  # at least {"name": ...}
    actor_kind: str  # "kernel", "operator", "policy" or "daemon"
    actor_name: str
    reason: str = ""
    before: object = None
    after: object = None
    decision: str | None = None
    until: str | None = None  # when a lease ends

    @property
    def container_name(self) -> str | None:
        return None if self.container is None else str(self.container.get("name", ""))

    def to_wire(self) -> dict[str, object]:
        """As the API shows it."""
        return {
            "id": self.id,
            "time": self.time,
            "monotonic_usec": self.monotonic_usec,
            "boot_id": self.boot_id,
            "type": self.type,
            "container": None if self.container is None else dict(self.container),
            "actor": {"kind": self.actor_kind, "name": self.actor_name},
            "reason": self.reason,
            "before": self.before,
            "after": self.after,
            "decision": self.decision,
            "until": self.until,
        }

    def to_row(self) -> tuple[object, ...]:
        """As `COLUMNS`."""
        return (
            self.id,
            self.time,
            self.monotonic_usec,
            self.boot_id,
            self.type,
            self.container_name,
            _to_json(self.container),
            self.actor_kind,
            self.actor_name,
            self.reason,
            _to_json(self.before),
            _to_json(self.after),
            self.decision,
            self.until,
        )

    @classmethod
    def from_row(cls, row: tuple[object, ...]) -> Event:
        """From `COLUMNS`; a cell that a bad disk has changed is shown as it is, not refused."""
        cell = dict(zip(COLUMNS, row, strict=True))
        container = _from_json(cell["container"])
        return cls(
            id=_whole(cell["id"]),
            time=str(cell["time"]),
            monotonic_usec=_whole(cell["monotonic_usec"]),
            boot_id=str(cell["boot_id"]),
            type=str(cell["type"]),
            container=container if isinstance(container, dict) else _named(cell["container_name"]),
            actor_kind=str(cell["actor_kind"]),
            actor_name=str(cell["actor_name"]),
            reason=str(cell["reason"]),
            before=_from_json(cell["before"]),
            after=_from_json(cell["after"]),
            decision=_text_or_none(cell["decision"]),
            until=_text_or_none(cell["until"]),
        )


def _to_json(value: object) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"), default=str)


def _from_json(text: object) -> object:
    if text is None:
        return None
    try:
        return json.loads(str(text))
    except ValueError:
        return str(text)


def _named(name: object) -> dict[str, object] | None:
    return None if name is None else {"name": str(name)}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)
