"""Bounds between a decision and its plan that no policy gets around: each passes, clips or refuses."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from cgroupfs import UNLIMITED
from enforcer.decision import Decision, Kind
from enforcer.fields import BY_WIRE, CPU_QUOTA, FREEZER, MEMORY_MAX, Field, rounded
from enforcer.policy import GuardRails
from enforcer.quantities import format_quantity

PASS, CLIP, REFUSE, HALT = "pass", "clip", "refuse", "halt"
MEMORY_MARGIN_BYTES = 64 * 2**20
MEMORY_MARGIN_FRACTION = 0.10
MEMORY_DOWN_FRACTION = 0.05
MEMORY_UP_FACTOR = 2.0
CPU_UP_NODE_FRACTION = 0.10
OTHER_STEP_FRACTION = 0.5
# Ticks of 1 s come a little early or late: one write per second and field, with that much slack.
SOFT_GAP_SEC = 0.8


@dataclass(frozen=True, slots=True)
class Rail:
    """What one rail said."""

    rail: str
    result: str
    detail: str = ""

    def to_wire(self) -> dict[str, object]:
        """A line of the record's `rails`."""
        return {"rail": self.rail, "result": self.result, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Scene:
    """What the rails need to know of the container and the node, read just now."""

    labels: Mapping[str, str]
    klass: str
    sample_age_sec: float
    present: object
    usage_bytes: int | None
    sample_usage_bytes: float | None
    node_cores: float
    containers: int


@dataclass(slots=True)
class Tally:
    """What was done lately: the rails that count need a memory."""

    hard: deque[float] = field(default_factory=deque)
    engagements: dict[str, deque[float]] = field(default_factory=dict)
    written: dict[tuple[str, str], float] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)

    def count(self, decision: Decision, now: float, *, hard: bool) -> None:
        """Note that a decision was carried out."""
        self.written[(decision.target, decision.field)] = now
        if hard:
            self.hard.append(now)
        if decision.kind is Kind.ACT:
            self.engagements.setdefault(decision.policy.name, deque()).append(now)


@dataclass(frozen=True, slots=True)
class Railed:
    """The value that is left of a wish, and what each rail said."""

    value: object
    rails: tuple[Rail, ...]

    @property
    def refused(self) -> Rail | None:
        """The rail that stopped it."""
        return next((rail for rail in self.rails if rail.result in (REFUSE, HALT)), None)


def is_hard(decision: Decision) -> bool:
    """Freezing, and taking memory away: what can hurt at once."""
    if decision.field == FREEZER:
        return True
    return decision.field == MEMORY_MAX.wire and _tightens(decision.before, decision.value)


def check(decision: Decision, scene: Scene, tally: Tally, rails: GuardRails, now: float) -> Railed:
    """Pass a decision through every rail; values are clipped before they are refused."""
    said = [
        _age(decision, scene, rails),
        _protected(decision, scene, rails),
        _blast(decision, scene, tally, rails, now),
        _rate(decision, tally, now),
        _budget(decision, tally, now),
    ]
    if decision.field == FREEZER:
        return Railed(decision.value, (*said, _fresh(scene)))
    value, bounds = _bounded(decision, scene, rails)
    return Railed(value, (*said, *bounds))


def _age(decision: Decision, scene: Scene, rails: GuardRails) -> Rail:
    limit = rails.hard_sample_age_sec if is_hard(decision) else rails.sample_age_sec
    return _rail(
        "age", scene.sample_age_sec <= limit, f"sample {scene.sample_age_sec:.1f}s old, limit {limit:g}s"
    )


def _protected(decision: Decision, scene: Scene, rails: GuardRails) -> Rail:
    guarded = rails.protected.matches(decision.target, scene.labels, scene.klass)
    loosens = decision.field != FREEZER and not _tightens(scene.present, decision.value)
    return _rail("protected", not guarded or loosens, "a protected container may only be given more")


def _blast(decision: Decision, scene: Scene, tally: Tally, rails: GuardRails, now: float) -> Rail:
    if not is_hard(decision):
        return Rail("blast radius", PASS)
    _forget(tally.hard, now - rails.blast_per_sec)
    most = max(1, int(scene.containers * rails.blast_fraction))
    if decision.field == FREEZER and len(tally.frozen - {decision.target}) >= most:
        return Rail(
            "blast radius", REFUSE, f"{len(tally.frozen)} of {scene.containers} containers are frozen"
        )
    done = len(tally.hard)
    return _rail("blast radius", done < rails.blast_count, f"{done} hard actions in {rails.blast_per_sec:g}s")


def _rate(decision: Decision, tally: Tally, now: float) -> Rail:
    last = tally.written.get((decision.target, decision.field))
    return _rail("rate", last is None or now - last >= SOFT_GAP_SEC, "one write a second for each field")


def _budget(decision: Decision, tally: Tally, now: float) -> Rail:
    budget = decision.policy.budget
    done = tally.engagements.setdefault(decision.policy.name, deque())
    _forget(done, now - budget.per_sec)
    if decision.kind is not Kind.ACT or len(done) < budget.engagements:
        return Rail("budget", PASS)
    return Rail("budget", HALT, f"{len(done)} engagements in {budget.per_sec:g}s: only observing for now")


def _fresh(scene: Scene) -> Rail:
    """A hard action re-reads what it is about: a container that let go of memory is not frozen for it."""
    if scene.usage_bytes is None or scene.sample_usage_bytes is None:
        return Rail("re-read", PASS, "memory usage is not offered")
    fell = scene.usage_bytes < scene.sample_usage_bytes * (1 - MEMORY_MARGIN_FRACTION)
    return _rail("re-read", not fell, f"memory usage is {scene.usage_bytes} bytes by now")


def _bounded(decision: Decision, scene: Scene, rails: GuardRails) -> tuple[object, list[Rail]]:
    known_field = BY_WIRE[decision.field]
    if not isinstance(decision.value, (int, float)):
        return decision.value, []
    value, said = float(decision.value), []
    for name, low, high in (
        ("floor and ceiling", rails.floors.get(known_field.name), rails.ceilings.get(known_field.name)),
        ("step", *_step(known_field, scene)),
        ("distance to usage", _least_memory(known_field, decision, scene), None),
    ):
        clipped = value if low is None else max(value, low)
        clipped = clipped if high is None else min(clipped, high)
        said.append(_clipped(name, known_field, value, clipped))
        value = clipped
    value = rounded(known_field, value)
    if _turned_round(scene.present, decision.value, value):
        said.append(Rail("effect", REFUSE, "the other rails leave nothing to do"))
    return value, said


def _step(known_field: Field, scene: Scene) -> tuple[float | None, float | None]:
    present = scene.present
    if isinstance(present, bool) or not isinstance(present, (int, float)):
        return None, None
    if known_field is MEMORY_MAX:
        return present * (1 - MEMORY_DOWN_FRACTION), present * MEMORY_UP_FACTOR
    if known_field is CPU_QUOTA:
        return None, present + CPU_UP_NODE_FRACTION * scene.node_cores
    return present * (1 - OTHER_STEP_FRACTION), max(present * (1 + OTHER_STEP_FRACTION), present + 1)


def _least_memory(known_field: Field, decision: Decision, scene: Scene) -> float | None:
    """A memory limit that is lowered stays clear of usage; one that is raised cannot come too near."""
    if known_field is not MEMORY_MAX or not _tightens(scene.present, decision.value):
        return None
    if scene.usage_bytes is None:
        return float("inf")
    return scene.usage_bytes + max(MEMORY_MARGIN_BYTES, scene.usage_bytes * MEMORY_MARGIN_FRACTION)


def _tightens(present: object, wanted: object) -> bool:
    if wanted is UNLIMITED or wanted is None:
        return False
    if not isinstance(present, (int, float)) or not isinstance(wanted, (int, float)):
        return True
    return wanted < present


def _turned_round(present: object, wanted: object, value: float) -> bool:
    """Did the rails leave nothing, or even the opposite, of what was wanted?"""
    if not isinstance(present, (int, float)):
        return value == float("inf")
    return value >= present if _tightens(present, wanted) else value <= present


def _clipped(name: str, known_field: Field, before: float, after: float) -> Rail:
    if after == before or after == float("inf"):
        return Rail(name, PASS if after == before else CLIP)
    unit = known_field.unit
    return Rail(name, CLIP, f"{format_quantity(before, unit)} to {format_quantity(after, unit)}")


def _rail(name: str, passes: bool, detail: str) -> Rail:
    return Rail(name, PASS) if passes else Rail(name, REFUSE, detail)


def _forget(times: deque[float], before: float) -> None:
    while times and times[0] <= before:
        times.popleft()
