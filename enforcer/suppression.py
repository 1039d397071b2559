"""The control law `suppress` as an engagement: begin, follow the node, let go slowly, restore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from enforcer.decision import Kind
from enforcer.holds import LeafReading
from enforcer.laws import shares, step_towards, suppressed_budget_cores
from enforcer.policy import OBSERVE, Policy, Suppress
from enforcer.reading import non_target_cores
from enforcer.signals import known
from enforcer.turn import Turn, decision_of, renewal_due
from enforcer.view import ContainerView


@dataclass(frozen=True, slots=True)
class Member:
    """One target of a policy with its readings and the truth of the whole condition, to start and to stay."""

    container: ContainerView
    readings: tuple[LeafReading, ...]
    start: bool | None
    stay: bool | None


@dataclass(frozen=True, slots=True)
class _Room:
    """What the node leaves for the suppressed containers, and how that came about."""

    cores: float
    capacity: float
    formula: str


def suppress(policy: Policy, law: Suppress, members: Sequence[Member], turn: Turn) -> None:
    """Squeeze every member whose condition holds; release, `up` a tick, those whose condition has cleared."""
    squeezed = [member for member in members if _takes_part(policy, member, turn)]
    capacity = known(turn.view.node.get("cpu.capacity"))
    room = _room(law, members, turn)
    if squeezed and room is not None:
        parts = shares([member.container.weight for member in squeezed], law.by_weight)
        for member, share in zip(squeezed, parts, strict=True):
            _squeeze(policy, law, member, share, room, turn)
    for member in members:
        if capacity is not None and member.stay is False and turn.engagement(policy, member.container):
            _let_go(policy, law, member, capacity, turn)


def _takes_part(policy: Policy, member: Member, turn: Turn) -> bool:
    if turn.engagement(policy, member.container) is not None:
        return member.stay is True
    return member.start is True and not turn.rests(policy, member.container)


def _room(law: Suppress, members: Sequence[Member], turn: Turn) -> _Room | None:
    capacity = known(turn.view.node.get("cpu.capacity"))
    system = known(turn.view.node.get("cpu.systemCores"))
    others = non_target_cores(turn.view, [member.container for member in members])
    if capacity is None or system is None or others is None or capacity <= 0:
        return None
    cores = suppressed_budget_cores(law, capacity, others, system)
    taken = max(system, law.reserve_cores)
    formula = f"{capacity:g}×{law.target_fraction:g} − {others:.2f} − {taken:.2f} = {cores:.2f} cores"
    return _Room(cores, capacity, formula)


def _squeeze(policy: Policy, law: Suppress, member: Member, share: float, room: _Room, turn: Turn) -> None:
    container = member.container
    engagement = turn.engagement(policy, container)
    wire = law.field.wire
    holder = turn.overruled_by(policy, container, wire)
    value = step_towards(law, room.cores * share, _cores(container.fields.get(wire)), room.capacity, share)
    value = _within_baseline(value, container, wire)
    if value is None:
        if engagement is not None and renewal_due(engagement, policy.lease_sec, turn.now):
            present = container.fields.get(wire)
            turn.renew(decision_of(Kind.RENEW, policy, law, container, present, member.readings))
        return
    if engagement is not None and policy.mode == OBSERVE:
        return
    kind = Kind.OVERRULED if holder else Kind.STEP if engagement is not None else Kind.ACT
    decision = decision_of(
        kind, policy, law, container, value, member.readings, formula=room.formula, overruled_by=holder
    )
    if holder:
        turn.overrule(decision)
    else:
        turn.want(decision)


def _within_baseline(value: float | None, container: ContainerView, wire: str) -> float | None:
    """Suppression only takes away: a container never gets more than it had before."""
    present = container.fields.get(wire)
    baseline = _cores(container.baselines.get(wire, present))
    if value is None or baseline is None:
        return value
    value = min(value, baseline)
    return None if value == present else value


def _let_go(policy: Policy, law: Suppress, member: Member, capacity: float, turn: Turn) -> None:
    container = member.container
    wire = law.field.wire
    present = _cores(container.fields.get(wire))
    baseline = _cores(container.baselines.get(wire))
    enough = capacity if baseline is None else min(capacity, baseline)
    wanted = None if present is None else round(present + law.up_fraction * capacity, 5)
    if wanted is None or wanted >= enough or turn.overruled_by(policy, container, wire):
        reason = "the node is calm again: back to what it was"
        turn.release(decision_of(Kind.RELEASE, policy, law, container, None, member.readings, reason=reason))
        return
    reason = f"the node is calm again: {law.up_fraction:.0%} of it given back each tick"
    turn.want(decision_of(Kind.STEP, policy, law, container, wanted, member.readings, reason=reason))


def _cores(limit: object) -> float | None:
    """A quota as a number; None for unlimited and unknown."""
    return float(limit) if isinstance(limit, (int, float)) and not isinstance(limit, bool) else None
