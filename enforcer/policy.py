"""Policies as frozen values, after the file has been read: what may be touched, when, and what is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeAlias

from enforcer.conditions import NODE, Condition, Leaf, leaves
from enforcer.fields import FREEZER, Field

OBSERVE = "observe"
ENFORCE = "enforce"
CONTAINER_SCOPE = "container"
NODE_SCOPE = "node"
CLASSES = ("guaranteed", "burstable", "besteffort")


@dataclass(frozen=True, slots=True)
class Expression:
    """One `matchExpressions` entry with Kubernetes' operators."""

    key: str
    operator: str
    values: tuple[str, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Kubernetes' rules: `NotIn` and `DoesNotExist` hold where the label is missing."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class Selector:
    """Which containers: every given part must hold; a selector without parts matches all."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[Expression, ...] = ()
    names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    min_age_sec: float = 0.0

    def matches(self, name: str, labels: Mapping[str, str], klass: str) -> bool:
        """Everything but the age, which changes and is asked each time."""
        return (
            (not self.names or any(fnmatchcase(name, pattern) for pattern in self.names))
            and (not self.classes or klass in self.classes)
            and all(labels.get(key) == value for key, value in self.labels)
            and all(expression.matches(labels) for expression in self.expressions)
        )


@dataclass(frozen=True, slots=True)
class Change:
    """`scale`, `set` or `step`: a field's new value from its present one, between floor and ceiling."""

    verb: str
    field: Field
    amount: float
    floor: float | None
    ceiling: float | None


@dataclass(frozen=True, slots=True)
class Suppress:
    """`control`, law `suppress`: best-effort containers get what the others leave of the node's CPU."""

    field: Field
    target_fraction: float
    reserve_cores: float
    floor_cores: float
    up_fraction: float
    dead_band_fraction: float
    by_weight: bool


@dataclass(frozen=True, slots=True)
class Freeze:
    """Stop every process of the target for a bounded time."""

    for_sec: float


Action: TypeAlias = Change | Suppress | Freeze


def verb_of(action: Action) -> str:
    """The action's word in policy files and records."""
    match action:
        case Change(verb):
            return verb
        case Suppress():
            return "control"
        case Freeze():
            return "freeze"


def wire_field_of(action: Action) -> str:
    """The field that the action claims, by its wire name."""
    return FREEZER if isinstance(action, Freeze) else action.field.wire


@dataclass(frozen=True, slots=True)
class Budget:
    """Engagements allowed per period."""

    engagements: int = 30
    per_sec: float = 3600.0


@dataclass(frozen=True, slots=True)
class Policy:
    """One loaded policy; `sha256` is of its whole document, so a record tells which text decided."""

    name: str
    sha256: str
    file: str
    mode: str
    suspend: bool
    priority: int
    scope: str
    targets: Selector
    when: Condition
    actions: tuple[Action, ...]
    lease_sec: float
    cooldown_policy_sec: float
    cooldown_target_sec: float
    budget: Budget
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return f"policy:{self.name}"

    def lease_of(self, action: Action) -> float:
        """How long the action's effect lasts without renewal; a freeze carries its own end."""
        return action.for_sec if isinstance(action, Freeze) else self.lease_sec

    def leaves(self) -> Iterator[Leaf]:
        return leaves(self.when)

    def to_wire(self) -> dict[str, object]:
        """For `GET /api/v1/policies`."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "file": self.file,
            "mode": self.mode,
            "suspend": self.suspend,
            "priority": self.priority,
            "scope": self.scope,
            "when": [
                f"{leaf.text()} of {leaf.of}" if leaf.of == NODE else leaf.text() for leaf in self.leaves()
            ],
            "do": [verb_of(action) for action in self.actions],
            "fields": sorted({wire_field_of(action) for action in self.actions}),
            "lease_sec": self.lease_sec,
            "cooldown_policy_sec": self.cooldown_policy_sec,
            "cooldown_target_sec": self.cooldown_target_sec,
            "labels": dict(self.labels),
        }


@dataclass(frozen=True, slots=True)
class GuardRails:
    """Bounds outside all policies; the defaults hold without a file."""

    protected: Selector = Selector(labels=(("tier", "core"),))
    floors: Mapping[str, float] = field(default_factory=lambda: {"memory.max": 64 * 2**20, "cpu.quota": 0.05})
    ceilings: Mapping[str, float] = field(default_factory=dict)
    blast_fraction: float = 0.25
    blast_count: int = 10
    blast_per_sec: float = 3600.0
    sample_age_sec: float = 3.0
    hard_sample_age_sec: float = 1.0


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Everything in force at one time, highest priority first, equal ones by name."""

    policies: tuple[Policy, ...] = ()
    rails: GuardRails = field(default_factory=GuardRails)

    def active(self) -> Iterator[Policy]:
        """The policies that are evaluated."""
        return (policy for policy in self.policies if not policy.suspend)
