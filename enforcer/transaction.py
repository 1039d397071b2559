"""One change, safely: intent on disk, lease with the guardian, kernel write, read-back, outcome on disk."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cgroupfs import Cgroup, CgroupError
from enforcer.book import Book
from enforcer.claims import Claim, FieldClaims
from enforcer.clocks import boottime_ns
from enforcer.errors import ContainerBusy, EnforcerError, GuardianLost, TargetGone, WriteTimedOut
from enforcer.executor import Executor
from enforcer.failpoints import Failpoints
from enforcer.guardian import Guardian
from enforcer.lease import Lease
from enforcer.ledger import Ledger
from enforcer.ledger_rows import LETS_GO, Intent, Place, Recorded
from enforcer.outcomes import WriteRecord
from enforcer.records import fact_body

MSEC = 1000.0
# A note on errors whose outcome stands in the journal already.
RECORDED = "recorded in the journal"


@dataclass(frozen=True, slots=True)
class Move:
    """One field's claims before and after a change, and the kernel's value before it.

    `owner` is the claim that is made; where one is taken back it is None, and `lets_go` names whose.
    """

    place: Place
    owner: Claim | None
    old: FieldClaims | None
    new: FieldClaims
    before: object
    lets_go: str = ""

    def intent(self, now_ns: int) -> Intent:
        """What is kept on disk before the kernel is written."""
        claim = self.owner
        return Intent(
            name=self.place.name,
            path=self.place.path,
            ino=self.place.ino,
            field=self.place.field,
            owner=self.lets_go if claim is None else claim.owner,
            priority=LETS_GO if claim is None else claim.priority,
            baseline=self.new.baseline,
            before=self.before,
            wanted=self.new.value(now_ns),
            deadline_ns=None if claim is None else claim.deadline_ns,
        )


@dataclass(frozen=True, slots=True)
class Done:
    """A change that the kernel has taken."""

    recorded: Recorded
    writes: Sequence[WriteRecord]


class Transactions:
    """Carries out changes; the order of the steps is the promise that none is lost or left half-done."""

    def __init__(
        self, ledger: Ledger, guardian: Guardian, executor: Executor, book: Book, failpoints: Failpoints
    ) -> None:
        self._ledger = ledger
        self._guardian = guardian
        self._executor = executor
        self._book = book
        self._failpoints = failpoints

    def run(
        self,
        cgroup: Cgroup,
        moves: Sequence[Move],
        body: Mapping[str, object],
        work: Callable[[Cgroup], Sequence[WriteRecord]],
        *,
        kind: str = "limit",
        extra_sec: float = 0.0,
    ) -> Done:
        """Carry out one change of one container, whose lock the caller holds.

        Raises:
            JournalUnavailable, GuardianLost: before anything was written.
            TargetGone, ContainerBusy, WriteTimedOut, CgroupError: the outcome is in the journal.
        """
        started = time.monotonic()
        now_ns = boottime_ns()
        intents = [move.intent(now_ns) for move in moves]
        recorded = self._ledger.begin({**body, "outcome": "committed"}, intents)
        journal_ms = (time.monotonic() - started) * MSEC
        self._failpoints.reach(f"{kind}.intent")
        place = moves[0].place
        wrote = time.monotonic()
        try:
            self._guard(moves, now_ns)
            self._failpoints.reach("limit.guarded")
            writes = self._executor.run(place.name, cgroup, place.ino, work, extra_sec=extra_sec)
        except (CgroupError, EnforcerError, OSError) as e:
            self._failed(recorded, moves, e, journal_ms)
            e.add_note(RECORDED)
            raise
        self._failpoints.reach("freeze.written" if kind == "freeze" else "limit.verified")
        timing = {"journal": journal_ms, "write": (time.monotonic() - wrote) * MSEC}
        self._keep(recorded, moves, fact_body("applied", writes, timing), "applied", writes)
        self._failpoints.reach(f"{kind}.committed")
        return Done(recorded, writes)

    def rearm(self, place: Place, claims: FieldClaims | None) -> None:
        """Tell the guardian what is to happen to a field from now on."""
        lease = lease_of(place, claims or FieldClaims(None), boottime_ns())
        if lease.steps:
            self._guardian.guard(lease)
        else:
            self._guardian.forget(lease.key)

    def _guard(self, moves: Sequence[Move], now_ns: int) -> None:
        """New leases before the write; a lease that the change ends is taken back after it."""
        for move in moves:
            lease = lease_of(move.place, move.new, now_ns)
            if lease.steps:
                self._guardian.guard(lease)
            elif move.old is not None and move.old.timeline(now_ns):
                self._guardian.forget(lease.key)

    def _keep(
        self,
        recorded: Recorded,
        moves: Sequence[Move],
        fact: Mapping[str, object],
        state: str,
        writes: Sequence[WriteRecord],
    ) -> None:
        claimed = [(move.place, move.new.with_decision(move.owner, recorded.id)) for move in moves]
        for place, claims in claimed:
            self._book.put(place, claims)
        self._ledger.finish(recorded, fact, state, writes, claimed)

    def _failed(self, recorded: Recorded, moves: Sequence[Move], error: Exception, journal_ms: float) -> None:
        timing = {"journal": journal_ms}
        if isinstance(error, WriteTimedOut):
            # The kernel is still at it and may yet succeed: the lease stays, and so does the claim.
            self._keep(recorded, moves, fact_body("deferred", (), timing, str(error)), "deferred", ())
            return
        outcome = "gone" if isinstance(error, TargetGone) else "failed"
        for move in moves:
            if not isinstance(error, (GuardianLost, ContainerBusy)):
                with contextlib.suppress(GuardianLost):  # it is started again, and then gets every lease anew
                    self.rearm(move.place, move.old)
        self._ledger.finish(recorded, fact_body(outcome, (), timing, str(error)), outcome, (), ())


def lease_of(place: Place, claims: FieldClaims, now_ns: int) -> Lease:
    """What the guardian must do for a field, by its claims."""
    key = f"{place.name}|{place.ino}|{place.field}"
    steps = tuple(claims.timeline(now_ns))
    return Lease(key, place.path, place.ino, place.field, claims.value(now_ns), steps)
