"""What every kind of change works with: journal, claims, guardian, containers and the event log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cgroupfs import Cgroup, Hierarchies
from enforcer.address import check_address
from enforcer.book import Book
from enforcer.claims import Claim, FieldClaims, priority_of
from enforcer.clocks import NSEC_PER_SEC, boottime_ns
from enforcer.fields import FREEZER, FROZEN, THAWED, to_wire
from enforcer.guardian import Guardian
from enforcer.ledger import Ledger
from enforcer.ledger_rows import Place
from enforcer.outcomes import OPERATOR, SPEC, Target
from enforcer.records import lease_until
from enforcer.transaction import Transactions
from launcher.errors import NotRunning


class Emit(Protocol):
    """The event log's `append`."""

    def __call__(
        self,
        type: str,
        *,
        container: str | Mapping[str, object] | None = None,
        actor_kind: str,
        actor_name: str,
        reason: str = "",
        before: object = None,
        after: object = None,
        decision: str | None = None,
        until: str | None = None,
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts that changes share; made once, by `Enforcer`."""

    hierarchies: Hierarchies
    find: Callable[[str], Target]
    emit: Emit
    ledger: Ledger
    guardian: Guardian
    book: Book
    transactions: Transactions
    own_cgroups: frozenset[str]

    def target(self, name: str) -> tuple[Target, Cgroup]:
        """The running container of that name, if it may be touched at all."""
        found = self.find(name)
        if found.cgroup is None:
            raise NotRunning(name, "exited")
        check_address(found.cgroup.path, self.own_cgroups)
        return found, found.cgroup

    def tell(
        self,
        type: str,
        name: str,
        owner: str,
        reason: str,
        before: object,
        after: object,
        decision: str | None,
        deadline_ns: int | None = None,
    ) -> None:
        """An event of a change, by its owner."""
        kind, _, actor = owner.partition(":")
        known = kind in ("policy", OPERATOR)
        self.emit(
            type,
            container=name,
            actor_kind=kind if known else "daemon" if owner == SPEC else OPERATOR,
            actor_name=actor if known and actor else owner,
            reason=reason,
            before=before,
            after=after,
            decision=decision,
            until=lease_until(deadline_ns),
        )


def place_of(name: str, cgroup: Cgroup, field: str) -> Place:
    """One field of a container's present cgroup."""
    return Place(name, cgroup.path, cgroup.inode, field)


def new_claim(owner: str, wanted: object, lease_sec: float | None, policy_priority: int = 0) -> Claim:
    """A claim that begins now."""
    deadline_ns = None if lease_sec is None else boottime_ns() + int(lease_sec * NSEC_PER_SEC)
    return Claim(owner, priority_of(owner, policy_priority), wanted, deadline_ns, None, time.time())


def claims_over(known: FieldClaims | None, present: object) -> FieldClaims:
    """The claims on a field; the baseline is read only without any, so that an own value never becomes it."""
    return known if known is not None else FieldClaims(present)


def read_field(cgroup: Cgroup, field: str) -> object:
    """The kernel's value of a limit, or `frozen` (freezing included) or `thawed`."""
    if field == FREEZER:
        return THAWED if cgroup.read_freezer() == THAWED else FROZEN
    return getattr(cgroup.read_limits(), field)


def wired(values: Mapping[str, object]) -> dict[str, object]:
    """Limits as they go into events."""
    return {field: to_wire(value) for field, value in values.items()}
