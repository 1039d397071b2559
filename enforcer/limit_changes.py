"""Limits that people and specs ask for: checked, planned, journaled, applied; and who owns what."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence

from cgroupfs import UNLIMITED, BadLimit, Cgroup, Refused, Write
from enforcer.claims import Claim, FieldClaims
from enforcer.clocks import boottime_ns
from enforcer.desk import Desk, claims_over, new_claim, place_of, wired
from enforcer.errors import BadWish, BelowUsage, OwnerConflict
from enforcer.failpoints import Failpoints
from enforcer.fields import same_value, to_wire
from enforcer.lease import CgroupField
from enforcer.outcomes import LimitOutcome, Target, WriteRecord
from enforcer.records import lease_until, owner_body
from enforcer.rejections import Rejections
from enforcer.spec_limits import SpecLimits
from enforcer.transaction import Move

_MEMORY = "memory_max_bytes"
# A limit below usage is EBUSY while the kernel reclaims: insisted on for as long as this.
BUSY_SEC = 5.0


class LimitChanges:
    """Sets and reads the limits of running containers."""

    def __init__(self, desk: Desk, failpoints: Failpoints, specs: SpecLimits) -> None:
        self._desk = desk
        self._failpoints = failpoints
        self._specs = specs
        self._rejections = Rejections(desk.ledger)

    def set(
        self,
        name: str,
        wanted: Mapping[str, object],
        *,
        owner: str,
        reason: str,
        lease_sec: float | None,
        force: bool,
        dry_run: bool,
    ) -> LimitOutcome:
        """Make `wanted` true for `owner`: all of it or nothing."""
        if not wanted:
            raise BadWish("limits", "nothing is asked for")
        wishes: Mapping[str, object] = {
            field: UNLIMITED if value in (None, "max") else value for field, value in wanted.items()
        }
        with self._desk.book.lock(name):
            target, cgroup = self._desk.target(name)
            wishes, reason = _translated(cgroup, wishes, reason)
            try:
                plan = self._accept(name, cgroup, wishes, owner, force)
            except (BadWish, BelowUsage, OwnerConflict) as e:
                if not dry_run:
                    self._rejections.note(name, cgroup, owner, wishes, reason, e)
                raise
            if dry_run:
                return LimitOutcome(bool(plan), "planned", None, _unwritten(cgroup, plan))
            return self._apply(target, cgroup, wishes, plan, owner, reason, lease_sec, force)

    def _accept(
        self, name: str, cgroup: Cgroup, wishes: Mapping[str, object], owner: str, force: bool
    ) -> list[Write]:
        plan = _planned(cgroup, wishes)
        if not force:
            self._refuse_conflicts(name, cgroup, wishes, owner)
            _refuse_below_usage(cgroup, wishes, plan)
        return plan

    def _apply(
        self,
        target: Target,
        cgroup: Cgroup,
        wishes: Mapping[str, object],
        plan: Sequence[Write],
        owner: str,
        reason: str,
        lease_sec: float | None,
        force: bool,
    ) -> LimitOutcome:
        self._specs.adopt(target)
        moves = self._moves(target.name, cgroup, wishes, owner, lease_sec)
        if not plan and lease_sec is None and all(_is_settled(move) for move in moves):
            return LimitOutcome(False, "unchanged", None, ())
        before = {move.place.field: move.before for move in moves}
        first = moves[0]
        several = len(moves) > 1
        body = owner_body(
            owner=owner,
            verb="set",
            target=target.name,
            path=cgroup.path,
            ino=cgroup.inode,
            field=", ".join(before),
            before=wired(before) if several else first.before,
            wanted=wired(wishes) if several else wishes[first.place.field],
            reason=reason,
            deadline_ns=first.owner.deadline_ns if first.owner else None,
        )
        busy_sec = BUSY_SEC if force else 0.0
        done = self._desk.transactions.run(
            cgroup, moves, body, lambda held: write_plan(held, plan, self._failpoints, busy_sec=busy_sec)
        )
        if plan:
            deadline_ns = first.owner.deadline_ns if first.owner else None
            self._desk.tell(
                "limit.change",
                target.name,
                owner,
                reason,
                wired(before),
                wired(wishes),
                done.recorded.id,
                deadline_ns,
            )
        return LimitOutcome(bool(plan), "applied" if plan else "unchanged", done.recorded.id, done.writes)

    def _moves(
        self, name: str, cgroup: Cgroup, wishes: Mapping[str, object], owner: str, lease_sec: float | None
    ) -> list[Move]:
        limits, moves = cgroup.read_limits(), []
        for field, value in wishes.items():
            place = place_of(name, cgroup, field)
            present = getattr(limits, field)
            old = self._desk.book.get(place)
            claim = new_claim(owner, value, lease_sec)
            moves.append(Move(place, claim, old, claims_over(old, present).with_claim(claim), present))
        return moves

    def _refuse_conflicts(self, name: str, cgroup: Cgroup, wishes: Mapping[str, object], owner: str) -> None:
        now_ns = boottime_ns()
        for field, value in wishes.items():
            claims = self._desk.book.get(place_of(name, cgroup, field))
            winner = claims.winner(now_ns) if claims is not None else None
            if winner is None or winner.owner == owner:
                continue
            if winner.priority > new_claim(owner, value, None).priority:
                raise OwnerConflict(field, winner.owner, lease_until(winner.deadline_ns))

    def release(
        self, name: str, fields: Sequence[str], *, owner: str, reason: str, force: bool
    ) -> LimitOutcome:
        """Take back `owner`'s claims; the next claim or the baseline applies again."""
        with self._desk.book.lock(name):
            _, cgroup = self._desk.target(name)
            fields = _names_here(cgroup, fields)
            limits, now_ns = cgroup.read_limits(), boottime_ns()
            moves: list[Move] = []
            for field in fields:
                place = place_of(name, cgroup, field)
                old = self._desk.book.get(place)
                if old is not None and old.of(owner) is not None:
                    moves.append(Move(place, None, old, old.without(owner), getattr(limits, field), owner))
            if not moves:
                return LimitOutcome(False, "unchanged", None, ())
            wishes = {move.place.field: move.new.value(now_ns) for move in moves}
            plan = _planned(cgroup, wishes)
            try:
                if not force:
                    _refuse_below_usage(cgroup, wishes, plan)
            except BelowUsage as e:
                self._rejections.note(name, cgroup, owner, wishes, reason, e, verb="release")
                raise
            busy_sec = BUSY_SEC if force else 0.0
            before = {move.place.field: move.before for move in moves}
            body = owner_body(
                owner=owner,
                verb="release",
                target=name,
                path=cgroup.path,
                ino=cgroup.inode,
                field=", ".join(wishes),
                before=wired(before),
                wanted=wired(wishes),
                reason=reason,
            )
            done = self._desk.transactions.run(
                cgroup, moves, body, lambda held: write_plan(held, plan, self._failpoints, busy_sec=busy_sec)
            )
            self._desk.tell(
                "limit.change", name, owner, reason, wired(before), wired(wishes), done.recorded.id
            )
            return LimitOutcome(bool(plan), "applied", done.recorded.id, done.writes)

    def read(self, name: str) -> dict[str, dict[str, object]]:
        """Each limit, read now (None: this kernel has no such), with owner, baseline and end of lease."""
        target, cgroup = self._desk.target(name)
        self._specs.adopt(target)
        return self._fields(target.name, cgroup)

    def _fields(self, name: str, cgroup: Cgroup) -> dict[str, dict[str, object]]:
        limits, now_ns = cgroup.read_limits(), boottime_ns()
        claimed = self._desk.book.of(name, cgroup.inode)
        fields: dict[str, dict[str, object]] = {}
        for field in type(limits).__dataclass_fields__:
            value = getattr(limits, field)
            claims = claimed.get(field)
            waiting = self._desk.book.waiting(place_of(name, cgroup, field))
            # A lease that is over but cannot be ended yet still is what holds the field.
            winner = None if claims is None else claims.winner(now_ns if waiting is None else 0)
            fields[field] = {
                "value": to_wire(value),
                "owner": None if winner is None else winner.owner,
                "baseline": _returns_to(claims, winner, now_ns),
                "expires_at": None if winner is None else lease_until(winner.deadline_ns),
                "waiting": waiting,
            }
        return fields


def write_plan(
    cgroup: Cgroup, plan: Sequence[Write], failpoints: Failpoints, *, busy_sec: float = 0.0
) -> list[WriteRecord]:
    """Apply a plan, all or nothing, and say what the kernel shows; insist on a busy limit for `busy_sec`."""
    until = time.monotonic() + busy_sec
    while True:
        try:
            return [WriteRecord(*written) for written in cgroup.apply(failpoints.between(plan))]
        except Refused as e:
            if e.errno != errno.EBUSY or time.monotonic() >= until:
                raise
        time.sleep(0.1)


def _translated(
    cgroup: Cgroup, wishes: Mapping[str, object], reason: str
) -> tuple[Mapping[str, object], str]:
    """The wish under the names that this kernel has: owners, leases and the journal go by these alone."""
    try:
        wishes, notes = cgroup.translate(wishes)
    except BadLimit as e:
        raise BadWish(e.field, e.why) from e
    return wishes, "; ".join([*filter(None, [reason]), *notes])


def _names_here(cgroup: Cgroup, fields: Sequence[str]) -> tuple[str, ...]:
    names = (name for field in fields for name in cgroup.translate({field: None}).wanted)
    return tuple(dict.fromkeys(names))


def _planned(cgroup: Cgroup, wishes: Mapping[str, object]) -> list[Write]:
    try:
        return cgroup.plan_limits(wishes)
    except BadLimit as e:
        raise BadWish(e.field, e.why) from e


def _unwritten(cgroup: Cgroup, plan: Sequence[Write]) -> list[WriteRecord]:
    return [
        WriteRecord(write.controller, write.file, cgroup.read_value(write), write.value, None)
        for write in plan
    ]


def _refuse_below_usage(cgroup: Cgroup, wishes: Mapping[str, object], plan: Sequence[Write]) -> None:
    wanted = wishes.get(_MEMORY)
    if not plan or not isinstance(wanted, int):
        return
    usage = CgroupField(cgroup, _MEMORY).usage_bytes()
    if usage is not None and wanted < usage:
        raise BelowUsage(_MEMORY, wanted, usage)


def _returns_to(claims: FieldClaims | None, winner: Claim | None, now_ns: int) -> object:
    """What the field becomes when its present owner lets go; None where nobody owns it."""
    if claims is None:
        return None
    return to_wire(claims.baseline if winner is None else claims.beneath(winner, now_ns))


def _is_settled(move: Move) -> bool:
    """Does the owner claim exactly this already, for good?"""
    if move.old is None or move.owner is None:
        return False
    claim = move.old.of(move.owner.owner)
    return (
        claim is not None
        and claim.deadline_ns is None
        and same_value(move.place.field, move.owner.wanted, claim.wanted)
    )
