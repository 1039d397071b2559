"""What policies did, each action checked by reading the kernel's file anew, with no help from the daemon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Protocol

import cgroupfs

FREEZER = "freezer"
APPLIED = "applied"
COMMITTED = "committed"
EXPIRED = "expired"
RESTORED = "restored"
_PAGE_BYTES = 4096
_CORES_SLACK = 2e-5


@dataclass(frozen=True, slots=True)
class Action:
    """One policy's change of one field of one container; `kernel` is what we read ourselves right after."""

    decision: str
    policy: str
    container: str
    field: str
    before: object
    after: object
    read_back: object
    kernel: object
    reason: str
    time: str

    @property
    def confirmed(self) -> bool:
        """Whether the kernel held the new value when we looked, and it was another one before."""
        return self.before != self.after and same(self.field, self.after, self.kernel)

    def to_wire(self) -> dict[str, object]:
        """The report's form."""
        names = (
            "policy",
            "container",
            "field",
            "before",
            "after",
            "read_back",
            "reason",
            "time",
            "decision",
            "kernel",
        )
        return {name: getattr(self, name) for name in names} | {"confirmed": self.confirmed}


def same(field: str, wanted: object, present: object) -> bool:
    """Equal but for the kernel's rounding to pages and microseconds of quota."""
    numbers = [value for value in (wanted, present) if isinstance(value, int | float)]
    if len(numbers) < 2:
        return wanted == present
    slack = _PAGE_BYTES - 1 if field.endswith("_bytes") else _CORES_SLACK if field.endswith("_cores") else 0
    return abs(numbers[0] - numbers[1]) <= slack


class Eyes(Protocol):
    """Something that can read a field of a container."""

    def read(self, container: str, field: str) -> object: ...


class Kernel:
    """The demo's own eyes: limits and freezer of a container, from the cgroup files."""

    def __init__(self, cgroup_parent: str) -> None:
        self._hierarchies = cgroupfs.Hierarchies.read()
        # Where the demo's daemon goes too, which is in the same group as we are: in a unit of ours, say.
        self._parent = cgroupfs.place(self._hierarchies, cgroup_parent).parent

    def read(self, container: str, field: str) -> object:
        """The field's value now, in the API's form; None where the container or the field is gone."""
        try:
            cgroup = self._hierarchies.cgroup(f"{self._parent}/{container}")
        except cgroupfs.CgroupGone:
            return None
        try:
            if field == FREEZER:
                return cgroup.read_freezer()
            value = getattr(cgroup.read_limits(), field, None)
        except cgroupfs.CgroupGone:
            return None
        finally:
            cgroup.close()
        return "max" if value is cgroupfs.UNLIMITED else value

    def remove_parent(self) -> None:
        """Remove the demo's empty cgroup directories, where the daemon did not."""
        self._hierarchies.remove(self._parent)


def settled(decisions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The decisions up to the first that a policy is still carrying out; the others are asked for again."""
    return list(takewhile(lambda decision: not _is_under_way(decision), decisions))


def _is_under_way(decision: Mapping[str, Any]) -> bool:
    # The intent of a container's own limits stays as it is: what came of it is a record of its own.
    return decision["outcome"] == COMMITTED and decision.get("policy") is not None


def read_actions(decisions: Iterable[Mapping[str, Any]], kernel: Eyes) -> Iterator[Action]:
    """What policies did, and what ended with their leases, each beside what the kernel says now."""
    for decision in decisions:
        policy = _acting_policy(decision)
        if policy is None:
            continue
        container, field = decision["target"], decision["field"]
        yield Action(
            decision=decision["id"],
            policy=policy,
            container=container,
            field=field,
            before=decision["before"],
            after=decision["wanted"],
            read_back=_read_back(field, decision["wanted"], decision.get("writes") or ()),
            kernel=kernel.read(container, field),
            reason=decision.get("reason") or "",
            time=decision["at"],
        )


def _acting_policy(decision: Mapping[str, Any]) -> str | None:
    """Whose decision was carried out, or whose lease ended and gave back what was there before."""
    if decision.get("outcome") == APPLIED and decision.get("writes"):
        return (decision.get("policy") or {}).get("name")
    if decision.get("outcome") == EXPIRED and decision.get("result") == RESTORED:
        kind, _, name = str(decision.get("owner")).partition(":")
        return name if kind == "policy" else None
    return None


def _read_back(field: str, wanted: object, writes: Sequence[Mapping[str, Any]]) -> object:
    """What the daemon read back, as a value of the field where every file held what was written to it."""
    if all(write["read_back"] == write["value"] for write in writes):
        return wanted
    texts = [f"{write['file']}={write['read_back']}" for write in writes]
    if field.endswith("_bytes") and len(writes) == 1 and str(writes[0]["read_back"]).isdigit():
        return int(writes[0]["read_back"])
    return ", ".join(texts)
