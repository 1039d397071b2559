"""The only brain, and pure: (view, state, policies, now) -> decisions and the next state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from enforcer.decision import Decision, Kind
from enforcer.fields import FROZEN
from enforcer.holds import truth
from enforcer.laws import changed_value
from enforcer.policy import Change, Freeze, Policy, PolicySet, Suppress
from enforcer.reading import extend_histories, targets_of, too_young
from enforcer.state import State
from enforcer.suppression import Member, suppress
from enforcer.turn import RETRY_SEC, Turn, decision_of, renewal_due
from enforcer.view import ContainerView, View


def decide(view: View, state: State, policies: PolicySet, now: float) -> tuple[list[Decision], State]:
    """Everything that should be done now, highest priority first, and what to remember.

    `now` is monotonic seconds. Nothing is read, written or waited for.
    """
    turn = Turn(view, state, extend_histories(view, state, policies, now), now)
    for policy in policies.active():
        _decide_policy(policy, turn)
    return turn.decisions, turn.next_state()


def settled(state: State, decision: Decision, outcome: str, now: float) -> State:
    """The state once it is known what became of a decision: a failed one engages nothing and is retried."""
    if outcome == "applied" or decision.kind in (Kind.NEAR_MISS, Kind.OVERRULED):
        return state
    key = (decision.policy.name, decision.entity)
    engaged = {other: engagement for other, engagement in state.engaged.items() if other != key}
    if outcome == "observed":
        return replace(state, engaged=engaged)
    retry = max(state.quiet_targets.get(key, 0.0), now + RETRY_SEC)
    return replace(state, engaged=engaged, quiet_targets={**state.quiet_targets, key: retry})


def _decide_policy(policy: Policy, turn: Turn) -> None:
    targets = targets_of(policy, turn.view)
    members: list[Member] = []
    for container in targets:
        readings = turn.read(policy, container, targets)
        start = truth(policy.when, lambda leaf, seen=readings: seen[leaf.index].start)  # type: ignore[misc]
        stay = truth(policy.when, lambda leaf, seen=readings: seen[leaf.index].stay)  # type: ignore[misc]
        members.append(Member(container, readings, start, stay))
    for action in policy.actions:
        if isinstance(action, Suppress):
            suppress(policy, action, members, turn)
    steady = [action for action in policy.actions if not isinstance(action, Suppress)]
    for member in members:
        _decide_member(policy, steady, member, turn)


def _decide_member(policy: Policy, actions: Sequence[Change | Freeze], member: Member, turn: Turn) -> None:
    container = member.container
    if member.start is True and actions and not turn.rests(policy, container):
        for action in actions:
            _act(policy, action, member, turn)
    engagement = turn.engagement(policy, container)
    if engagement is None or member.stay is not True:
        return
    for action in actions:
        if isinstance(action, Change) and renewal_due(engagement, policy.lease_sec, turn.now):
            _renew(policy, action, member, turn)


def _act(policy: Policy, action: Change | Freeze, member: Member, turn: Turn) -> None:
    container = member.container
    value = _wanted(action, container)
    if value is None:
        return
    holder = turn.overruled_by(policy, container, action.field.wire) if isinstance(action, Change) else None
    decision = decision_of(
        Kind.ACT if holder is None else Kind.OVERRULED,
        policy,
        action,
        container,
        value,
        member.readings,
        candidates=_candidates(policy, turn),
        overruled_by=holder,
    )
    if holder is None:
        turn.want(decision)
    else:
        turn.overrule(decision)


def _wanted(action: Change | Freeze, container: ContainerView) -> object:
    if isinstance(action, Freeze):
        return None if container.frozen else FROZEN
    return changed_value(action, container.fields.get(action.field.wire))


def _renew(policy: Policy, action: Change, member: Member, turn: Turn) -> None:
    value = member.container.fields.get(action.field.wire)
    turn.renew(decision_of(Kind.RENEW, policy, action, member.container, value, member.readings))


def _candidates(policy: Policy, turn: Turn) -> tuple[dict[str, object], ...]:
    """Who else was in question, and why not: what `cgwarden why` tells."""
    minimum = policy.targets.min_age_sec
    return tuple(
        {
            "name": young.name,
            "ino": young.inode,
            "rejected": f"minAge {young.age_sec or 0:.0f}s < {minimum:.0f}s",
        }
        for young in too_young(policy, turn.view)
    )
