"""Decision records as they are stored and sent: who, on what evidence, what was done, how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enforcer.clocks import wall_of
from enforcer.decision import Decision
from enforcer.fields import to_wire
from enforcer.guardrails import Rail
from enforcer.outcomes import WriteRecord, rfc3339


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What became of one decision of the engine; `id` is None where it was stored without waiting."""

    id: str | None
    outcome: str
    decision: Decision
    writes: Sequence[WriteRecord] = ()


def policy_body(
    decision: Decision, path: str, rails: Sequence[Rail], value: object, deadline_ns: int | None
) -> dict[str, object]:
    """The record of a policy's decision, without its outcome."""
    policy = decision.policy
    return {
        "policy": {"name": policy.name, "sha256": policy.sha256, "mode": policy.mode},
        "owner": policy.owner,
        "wake": "poll",
        "target": decision.target,
        "identity": {"path": path, "ino": decision.inode},
        "verb": decision.verb,
        "kind": decision.kind.value,
        "field": decision.field,
        "before": to_wire(decision.before),
        "wanted": to_wire(value),
        "reason": decision.reason,
        "formula": decision.formula,
        "inputs": decision.inputs(),
        "predicate": [reading.to_wire() for reading in decision.readings],
        "candidates": list(decision.candidates),
        "rails": [rail.to_wire() for rail in rails],
        "overruled_by": decision.overruled_by,
        "lease_until": lease_until(deadline_ns),
        "verdict": "pending",
    }


def owner_body(
    *,
    owner: str,
    verb: str,
    target: str,
    path: str,
    ino: int,
    field: str,
    before: object,
    wanted: object,
    reason: str,
    deadline_ns: int | None = None,
    wake: str = "operator",
) -> dict[str, object]:
    """The record of what a person, a spec or the end of a lease changed."""
    return {
        "policy": None,
        "owner": owner,
        "wake": wake,
        "target": target,
        "identity": {"path": path, "ino": ino},
        "verb": verb,
        "kind": "act",
        "field": field,
        "before": to_wire(before),
        "wanted": to_wire(wanted),
        "reason": reason,
        "inputs": [],
        "predicate": [],
        "rails": [{"rail": "address", "result": "pass"}, {"rail": "identity", "result": "pass"}],
        "lease_until": lease_until(deadline_ns),
    }


def fact_body(
    outcome: str, writes: Sequence[WriteRecord], latency_ms: Mapping[str, float], error: str = ""
) -> dict[str, object]:
    """What is known after the kernel was written, or was not."""
    body: dict[str, object] = {
        "outcome": outcome,
        "writes": [write.to_wire() for write in writes],
        "latency_ms": {name: round(value, 3) for name, value in latency_ms.items()},
    }
    return {**body, "error": error} if error else body


def lease_until(deadline_ns: int | None) -> str | None:
    """The end of a lease as a time of day."""
    return None if deadline_ns is None else rfc3339(wall_of(deadline_ns))
