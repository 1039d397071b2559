"""Freezing and thawing with holders: a container runs again when the last one lets go."""

from __future__ import annotations

from collections.abc import Sequence

from cgroupfs import Cgroup
from enforcer.claims import FieldClaims
from enforcer.clocks import boottime_ns
from enforcer.desk import Desk, new_claim, place_of, read_field
from enforcer.fields import FREEZER, FROZEN, THAWED
from enforcer.ledger_rows import EVERYBODY, Place
from enforcer.outcomes import FreezeOutcome, WriteRecord
from enforcer.records import owner_body
from enforcer.transaction import Done, Move


class Freezes:
    """Freezes and thaws running containers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def freeze(
        self, name: str, *, owner: str, reason: str, lease_sec: float | None, timeout_sec: float
    ) -> FreezeOutcome:
        """Hold the container frozen for `owner`; freezing what is frozen succeeds and changes nothing.

        Raises:
            FreezeTimeout: it did not freeze in time and was thawed again.
        """
        with self._desk.book.lock(name):
            _, cgroup = self._desk.target(name)
            place = place_of(name, cgroup, FREEZER)
            present, old = read_field(cgroup, FREEZER), self._desk.book.get(place)
            claim = new_claim(owner, FROZEN, lease_sec)
            held = None if old is None else old.live(boottime_ns()).of(owner)
            if present == FROZEN and lease_sec is None and held is not None and held.deadline_ns is None:
                return FreezeOutcome(False, FROZEN, self.holders_of(place))
            move = Move(place, claim, old, (old or FieldClaims(THAWED)).with_claim(claim), present)
            body = owner_body(
                owner=owner,
                verb="freeze",
                target=name,
                path=cgroup.path,
                ino=cgroup.inode,
                field=FREEZER,
                before=present,
                wanted=FROZEN,
                reason=reason,
                deadline_ns=claim.deadline_ns,
            )
            done = self._run(cgroup, move, body, timeout_sec)
            changed = present != FROZEN
            if changed:
                self._desk.tell(
                    "container.freeze",
                    name,
                    owner,
                    reason,
                    present,
                    FROZEN,
                    done.recorded.id,
                    claim.deadline_ns,
                )
            return FreezeOutcome(changed, FROZEN, self.holders_of(place), done.recorded.id)

    def thaw(self, name: str, *, owner: str, force: bool, reason: str, timeout_sec: float) -> FreezeOutcome:
        """Let go of `owner`'s hold, or with `force` of everybody's; it runs again when nobody holds it."""
        with self._desk.book.lock(name):
            _, cgroup = self._desk.target(name)
            place = place_of(name, cgroup, FREEZER)
            present, old = read_field(cgroup, FREEZER), self._desk.book.get(place)
            left = _after_thaw(old, owner, force)
            if present == THAWED and old is None:
                return FreezeOutcome(False, THAWED)
            if left.claims and (old is None or old.of(owner) is None):
                return FreezeOutcome(False, present_state(present), self.holders_of(place))
            wanted = FROZEN if left.claims else THAWED
            body = owner_body(
                owner=owner,
                verb="thaw",
                target=name,
                path=cgroup.path,
                ino=cgroup.inode,
                field=FREEZER,
                before=present,
                wanted=wanted,
                reason=reason,
            )
            done = self._run(
                cgroup,
                Move(place, None, old, left, present, EVERYBODY if force else owner),
                body,
                timeout_sec,
            )
            changed = present == FROZEN and wanted == THAWED
            if changed:
                self._desk.tell("container.thaw", name, owner, reason, present, THAWED, done.recorded.id)
            return FreezeOutcome(changed, wanted, self.holders_of(place), done.recorded.id)

    def holders(self, name: str) -> tuple[str, ...]:
        """Who wants the container frozen, the first to freeze first."""
        _, cgroup = self._desk.target(name)
        return self.holders_of(place_of(name, cgroup, FREEZER))

    def holders_of(self, place: Place) -> tuple[str, ...]:
        """The live holds on one freezer."""
        claims = self._desk.book.get(place)
        return () if claims is None else tuple(claim.owner for claim in claims.live(boottime_ns()).claims)

    def _run(self, cgroup: Cgroup, move: Move, body: dict[str, object], timeout_sec: float) -> Done:
        frozen = move.new.value(boottime_ns()) == FROZEN
        return self._desk.transactions.run(
            cgroup,
            [move],
            body,
            lambda held: write_freezer(held, frozen, timeout_sec),
            kind="freeze",
            extra_sec=timeout_sec,
        )


def write_freezer(cgroup: Cgroup, frozen: bool, timeout_sec: float) -> Sequence[WriteRecord]:
    """Freeze or thaw, and say what the kernel shows now; no record where nothing had to be done."""
    return [WriteRecord(*written) for written in cgroup.set_frozen(frozen, timeout_sec)]


def present_state(present: object) -> str:
    """`frozen` or `thawed`, as text."""
    return FROZEN if present == FROZEN else THAWED


def _after_thaw(old: FieldClaims | None, owner: str, force: bool) -> FieldClaims:
    """The holds that are left; leases that have ended hold nothing any more."""
    if old is None or force:
        return FieldClaims(THAWED)
    return old.live(boottime_ns()).without(owner)
