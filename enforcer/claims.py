"""Who wants what of a field: claims with priorities and leases over a baseline; the highest live claim wins.

Pure values: every change makes a new `FieldClaims`, which is stored only once the kernel has taken it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from enforcer.outcomes import SPEC

SPEC_PRIORITY = -1
OPERATOR_PRIORITY = 2000


def priority_of(owner: str, policy_priority: int = 0) -> int:
    """The spec stands below all policies (0-1000), people above them."""
    if owner == SPEC:
        return SPEC_PRIORITY
    return policy_priority if owner.startswith("policy:") else OPERATOR_PRIORITY


@dataclass(frozen=True, slots=True)
class Claim:
    """One owner's wanted value. `deadline_ns` is CLOCK_BOOTTIME; None: until it is taken back."""

    owner: str
    priority: int
    wanted: object
    deadline_ns: int | None = None
    decision: str | None = None
    since: float = 0.0

    def live(self, now_ns: int) -> bool:
        """Has its lease not ended?"""
        return self.deadline_ns is None or self.deadline_ns > now_ns


@dataclass(frozen=True, slots=True)
class FieldClaims:
    """The claims on one field, oldest first, and what the field was before the first of them."""

    baseline: object
    claims: tuple[Claim, ...] = ()

    def with_claim(self, claim: Claim) -> FieldClaims:
        """With this owner's claim made or replaced.

        A leased claim lies over the owner's lasting one, which counts again when the lease ends; a lasting
        one replaces both.
        """
        lasting = claim.deadline_ns is None
        others = tuple(
            other
            for other in self.claims
            if other.owner != claim.owner or (not lasting and other.deadline_ns is None)
        )
        return replace(self, claims=(*others, claim))

    def with_decision(self, claim: Claim | None, decision: str) -> FieldClaims:
        """With the id of the decision that made a claim written into it."""
        if claim is None or self.of(claim.owner) is None:
            return self
        return self.with_claim(replace(claim, decision=decision))

    def without(self, owner: str) -> FieldClaims:
        """With this owner's claim taken back."""
        return replace(self, claims=tuple(claim for claim in self.claims if claim.owner != owner))

    def live(self, now_ns: int) -> FieldClaims:
        """Without the claims whose lease has ended."""
        return replace(self, claims=tuple(claim for claim in self.claims if claim.live(now_ns)))

    def of(self, owner: str) -> Claim | None:
        """This owner's claim; the leased one where there are two."""
        mine = [claim for claim in self.claims if claim.owner == owner]
        return max(mine, key=lambda claim: claim.deadline_ns is not None, default=None)

    def winner(self, now_ns: int) -> Claim | None:
        """The live claim that decides: the highest priority, leases first, and of equals the oldest."""
        live = [claim for claim in self.claims if claim.live(now_ns)]
        return max(live, key=lambda claim: (claim.priority, claim.deadline_ns is not None), default=None)

    def value(self, now_ns: int) -> object:
        """What the field should be at this instant."""
        winner = self.winner(now_ns)
        return self.baseline if winner is None else winner.wanted

    def beneath(self, claim: Claim, now_ns: int) -> object:
        """What the field returns to when `claim` ends: the next claim's value, or the baseline."""
        others = replace(self, claims=tuple(other for other in self.claims if other is not claim))
        return others.value(max(now_ns, claim.deadline_ns or 0))

    def resting(self) -> object:
        """What the field is when no policy and no person wants anything: spec's value or baseline."""
        spec = self.of(SPEC)
        return self.baseline if spec is None else spec.wanted

    def timeline(self, now_ns: int) -> list[tuple[int, object]]:
        """What the field must become as leases end: (deadline, value) in order, where the value changes."""
        steps: list[tuple[int, object]] = []
        present = self.value(now_ns)
        deadlines = {claim.deadline_ns for claim in self.claims if claim.deadline_ns is not None}
        for deadline_ns in sorted(deadlines):
            after = self.value(deadline_ns)
            if deadline_ns > now_ns and after != present:
                steps.append((deadline_ns, after))
                present = after
        return steps
