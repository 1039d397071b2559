"""One pass of deciding: what has been read, decided and remembered so far; private to `decide`."""

from __future__ import annotations

from collections.abc import Sequence

from enforcer.conditions import NODE, Leaf
from enforcer.decision import Decision, Kind, explain
from enforcer.fields import FREEZER
from enforcer.holds import LeafReading, advance, missed_narrowly
from enforcer.policy import OBSERVE, Action, Policy, verb_of, wire_field_of
from enforcer.reading import Histories, Reader
from enforcer.state import THE_NODE, Engagement, Entity, LeafState, State
from enforcer.view import ContainerView, View

# A failed wish is not repeated every second, and one that somebody else overrules even less often.
RETRY_SEC = 10.0
OVERRULED_SEC = 60.0
RENEWALS_PER_LEASE = 3


class Turn:
    """Collects decisions and the next state; `state` itself is never changed."""

    def __init__(self, view: View, state: State, histories: Histories, now: float) -> None:
        self.view = view
        self.now = now
        self.decisions: list[Decision] = []
        self._before = state
        self._histories = histories
        self._reader = Reader(view, histories, now)
        self._leaves: dict[tuple[str, int, Entity], LeafState] = {}
        self._readings: dict[tuple[str, int, Entity], LeafReading] = {}
        self._listed: dict[str, tuple[Leaf, ...]] = {}
        self._wanted: dict[tuple[str, str], str] = {}
        present = {container.key for container in view.containers.values()}
        self._engaged = {
            key: engagement
            for key, engagement in state.engaged.items()
            if key[1] in present and engagement.lease_until > now
        }
        self._quiet_policies = {name: until for name, until in state.quiet_policies.items() if until > now}
        self._quiet_targets = {
            key: until for key, until in state.quiet_targets.items() if until > now and key[1] in present
        }

    def next_state(self) -> State:
        """What the next turn starts from."""
        return State(self._leaves, self._histories, self._engaged, self._quiet_policies, self._quiet_targets)

    def read(
        self, policy: Policy, container: ContainerView, targets: Sequence[ContainerView]
    ) -> tuple[LeafReading, ...]:
        """Every leaf of the policy for this container; a leaf about the node is read once for all."""
        return tuple([self._read(policy, leaf, container, targets) for leaf in self._leaves_of(policy)])

    def _leaves_of(self, policy: Policy) -> tuple[Leaf, ...]:
        if policy.name not in self._listed:
            self._listed[policy.name] = tuple(policy.leaves())
        return self._listed[policy.name]

    def _read(
        self, policy: Policy, leaf: Leaf, container: ContainerView, targets: Sequence[ContainerView]
    ) -> LeafReading:
        entity = THE_NODE if leaf.of == NODE else container.key
        key = (policy.name, leaf.index, entity)
        if key not in self._readings:
            before = self._before.leaves.get(key, LeafState())
            value = self._reader.read(leaf, container, targets)
            reading, after = advance(leaf, before, value, self._reader.age_sec(leaf, container), self.now)
            self._readings[key], self._leaves[key] = reading, after
            held = missed_narrowly(leaf, before, after)
            if held is not None:
                self._near_miss(policy, reading, entity, held)
        return self._readings[key]

    def _near_miss(self, policy: Policy, reading: LeafReading, entity: Entity, held: float) -> None:
        leaf, action = reading.leaf, policy.actions[0]
        reason = f"{leaf.text()} was true for {held:.0f} s of {leaf.for_sec:g} s, then cleared"
        self.decisions.append(
            Decision(
                kind=Kind.NEAR_MISS,
                policy=policy,
                target=entity[0],
                inode=entity[1],
                verb=verb_of(action),
                field=wire_field_of(action),
                value=None,
                before=None,
                lease_sec=0.0,
                reason=reason,
                readings=(reading,),
            )
        )

    def engagement(self, policy: Policy, container: ContainerView) -> Engagement | None:
        return self._engaged.get((policy.name, container.key))

    def rests(self, policy: Policy, container: ContainerView) -> bool:
        """Does a cool-down of the policy or of this target run?"""
        return policy.name in self._quiet_policies or (policy.name, container.key) in self._quiet_targets

    def overruled_by(self, policy: Policy, container: ContainerView, field: str) -> str | None:
        """Who holds the field with at least this policy's priority; a freeze overrules nobody."""
        if field == FREEZER:
            return None
        earlier = self._wanted.get((container.name, field))
        if earlier is not None and earlier != policy.owner:
            return earlier
        owner, priority = container.owners.get(field, (policy.owner, 0))
        return owner if owner != policy.owner and priority >= policy.priority else None

    def overrule(self, decision: Decision) -> None:
        """Record the loser, and let it rest, or it would be told every second."""
        self.decisions.append(decision)
        key = (decision.policy.name, decision.entity)
        self._quiet_targets[key] = self.now + max(decision.policy.cooldown_target_sec, OVERRULED_SEC)

    def want(self, decision: Decision) -> None:
        """Claim the field for this turn, engage, and start the cool-downs of a new engagement."""
        policy = decision.policy
        key = (policy.name, decision.entity)
        self.decisions.append(decision)
        if decision.field != FREEZER:
            self._wanted[(decision.target, decision.field)] = policy.owner
        since = self._engaged[key].since if key in self._engaged else self.now
        self._engaged[key] = Engagement(since, self.now, self.now + decision.lease_sec)
        if decision.kind is Kind.ACT:
            self._rest(policy, key, decision.lease_sec)

    def renew(self, decision: Decision) -> None:
        """Lengthen the lease of a claim whose condition still holds."""
        self.decisions.append(decision)
        key = (decision.policy.name, decision.entity)
        since = self._engaged[key].since
        self._engaged[key] = Engagement(since, self.now, self.now + decision.lease_sec)

    def release(self, decision: Decision) -> None:
        """End an engagement; the policy rests before it begins another."""
        self.decisions.append(decision)
        key = (decision.policy.name, decision.entity)
        del self._engaged[key]
        self._rest(decision.policy, key, 0.0)

    def _rest(self, policy: Policy, key: tuple[str, Entity], lease_sec: float) -> None:
        # A policy that only observes changes nothing, so its condition would be true again at the next tick.
        target_sec = max(policy.cooldown_target_sec, lease_sec if policy.mode == OBSERVE else 0.0)
        if target_sec > 0:
            self._quiet_targets[key] = self.now + target_sec
        if policy.cooldown_policy_sec > 0:
            self._quiet_policies[policy.name] = self.now + policy.cooldown_policy_sec


def renewal_due(engagement: Engagement, lease_sec: float, now: float) -> bool:
    """Has a third of the lease passed since it was last renewed?"""
    return now - engagement.renewed_at >= lease_sec / RENEWALS_PER_LEASE


def decision_of(
    kind: Kind,
    policy: Policy,
    action: Action,
    container: ContainerView,
    value: object,
    readings: tuple[LeafReading, ...],
    *,
    formula: str = "",
    reason: str = "",
    candidates: tuple[dict[str, object], ...] = (),
    overruled_by: str | None = None,
) -> Decision:
    """A decision about one container with the evidence that led to it."""
    field = wire_field_of(action)
    return Decision(
        kind=kind,
        policy=policy,
        target=container.name,
        inode=container.inode,
        verb=verb_of(action),
        field=field,
        value=value,
        before=container.fields.get(field),
        lease_sec=policy.lease_of(action),
        reason=reason or "; ".join(part for part in (explain(readings), formula) if part),
        readings=readings,
        formula=formula,
        candidates=candidates,
        overruled_by=overruled_by,
    )
