"""The enforcer as the rest of the program sees it: people's changes, policies at work, their records."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence

from cgroupfs import Hierarchies, Written
from enforcer.address import read_own_cgroups
from enforcer.book import Book
from enforcer.desk import Desk, Emit
from enforcer.engine import Engine
from enforcer.errors import UnknownDecision, UnknownTarget
from enforcer.executor import Executor
from enforcer.failpoints import Failpoints
from enforcer.freezes import Freezes
from enforcer.guardian import Guardian
from enforcer.journal import Journal
from enforcer.lease_ends import LeaseEnds
from enforcer.ledger import Ledger
from enforcer.limit_changes import LimitChanges
from enforcer.load import Loaded, load_what_is_good
from enforcer.outcomes import OPERATOR, FreezeOutcome, LimitOutcome, Target
from enforcer.records import DecisionRecord
from enforcer.recovery import recover
from enforcer.spec_limits import LAUNCHING, SpecLimits
from enforcer.transaction import Transactions
from launcher.errors import UnknownContainer
from monitor import Snapshot


class Enforcer:
    """Every change of a running container's limits and freezer goes through here. Any thread may call."""

    def __init__(
        self,
        *,
        hierarchies: Hierarchies,
        find: Callable[[str], Target],
        journal: Journal,
        emit: Emit,
        guardian: Guardian,
        clock: Callable[[], float] = time.monotonic,
        stop_file: str | None = None,
        failpoints: Failpoints | None = None,
    ) -> None:
        """`find` raises for unknown names; while `stop_file` exists every policy only observes."""
        points = failpoints or Failpoints.from_environment()
        ledger, book = Ledger(journal), Book()
        transactions = Transactions(ledger, guardian, Executor(), book, points)
        self._journal = journal
        self._guardian = guardian
        self._ledger = ledger
        self._desk = Desk(hierarchies, find, emit, ledger, guardian, book, transactions, read_own_cgroups())
        self._specs = SpecLimits(self._desk)
        self._limits = LimitChanges(self._desk, points, self._specs)
        self._freezes = Freezes(self._desk)
        self._ends = LeaseEnds(self._desk)
        self._engine = Engine(
            self._desk, points, clock, lambda: stop_file is not None and os.path.exists(stop_file)
        )
        self._loaded = Loaded()
        guardian.listen(self._ends.on_ended, self._ends.on_restart)

    def recover(self) -> dict[int, str]:
        """Once, at the start: see `enforcer.recovery`."""
        if self._journal.set_aside is not None:
            self._desk.emit(
                "policy.state",
                actor_kind="daemon",
                actor_name="cgwarden",
                reason=f"the journal was damaged and is set aside as {self._journal.set_aside}",
            )
        self._ledger.close_what_never_ended(LAUNCHING)
        return recover(self._desk, self._ends)

    def on_snapshot(self, snapshot: Snapshot) -> list[DecisionRecord]:
        """Decide and act on one sweep; called by one thread."""
        with contextlib.suppress(UnknownContainer, UnknownTarget):  # it ended since the sweep
            self._specs.adopt_all(snapshot.containers.keys())
        return self._engine.on_snapshot(snapshot)

    def set_limits(
        self,
        name: str,
        wanted: Mapping[str, object],
        *,
        owner: str = OPERATOR,
        reason: str,
        lease_sec: float | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> LimitOutcome:
        """Change limits of a running container, all or none; keys are `Limits` fields, None or "max" lifts.

        A lease ends by itself after `lease_sec`, whatever becomes of the daemon. `dry_run` writes nothing.

        Raises:
            BadWish, NotOffered, OwnerConflict, BelowUsage, Forbidden, JournalUnavailable, GuardianLost:
                nothing was written.
            Refused, TargetGone, WriteTimedOut, ContainerBusy: the journal tells how it ended.
        """
        return self._limits.set(
            name, wanted, owner=owner, reason=reason, lease_sec=lease_sec, force=force, dry_run=dry_run
        )

    def release(
        self,
        name: str,
        fields: Sequence[str],
        *,
        owner: str = OPERATOR,
        reason: str = "given back",
        force: bool = False,
    ) -> LimitOutcome:
        """Give fields back: the next owner's value, or the baseline, applies again; below usage with `force`.

        Raises:
            BelowUsage: without `force`; nothing was written.
        """
        return self._limits.release(name, fields, owner=owner, reason=reason, force=force)

    def limits(self, name: str) -> dict[str, dict[str, object]]:
        """field -> value (read now), owner, baseline (what it returns to), expires_at, waiting (or None)."""
        return self._limits.read(name)

    def freeze(
        self,
        name: str,
        *,
        owner: str = OPERATOR,
        reason: str,
        lease_sec: float | None = None,
        timeout_sec: float = 10.0,
    ) -> FreezeOutcome:
        """Hold a container frozen; idempotent."""
        return self._freezes.freeze(
            name, owner=owner, reason=reason, lease_sec=lease_sec, timeout_sec=timeout_sec
        )

    def thaw(
        self,
        name: str,
        *,
        owner: str = OPERATOR,
        force: bool = False,
        reason: str = "",
        timeout_sec: float = 10.0,
    ) -> FreezeOutcome:
        """Let go of one's own hold, or with `force` of all; `holders` says who is left."""
        return self._freezes.thaw(name, owner=owner, force=force, reason=reason, timeout_sec=timeout_sec)

    def holders(self, name: str) -> tuple[str, ...]:
        """Who wants a container frozen."""
        return self._freezes.holders(name)

    def record_spec_limits(
        self, name: str, limits: Mapping[str, object], written: Sequence[Written] | None, phase: str
    ) -> None:
        """Journal the limits of a launch: `intent` before the kernel is written, `applied` after."""
        self._specs.record(name, limits, written, phase)

    def forget(self, name: str) -> None:
        """The container was removed: nothing of its claims and leases means anything any more."""
        self._specs.drop(name)
        with self._desk.book.lock(name):
            for place, claims in self._desk.book.places(name):
                self._desk.book.put(place, None)
                self._desk.ledger.keep([(place, None)])
                if any(claim.deadline_ns is not None for claim in claims.claims):
                    self._desk.transactions.rearm(place, None)

    def decisions(
        self, container: str | None = None, after: int = 0, limit: int = 100
    ) -> list[dict[str, object]]:
        """Records in order, after number `after`; the newest `limit` of them where that is 0."""
        return self._ledger.decisions(container, after, limit)

    def decision(self, id: str) -> dict[str, object]:
        """One record with everything that became known later."""
        found = self._ledger.decision(id)
        if found is None:
            raise UnknownDecision(id)
        return found

    def reload_policies(self, paths: Sequence[str]) -> list[str]:
        """Put the policies of these files in force; the mistakes are returned, each with its place.

        A broken file is set aside: the last good version of it stays in force, if there was one.
        """
        self._loaded = load_what_is_good(paths, self._loaded.files)
        self._engine.use(self._loaded.policies)
        return self.policy_errors()

    def policy_errors(self) -> list[str]:
        """What is wrong with the files that were set aside, as `file:line:column: what`."""
        return [str(error) for error in self._loaded.errors]

    def policies(self) -> list[dict[str, object]]:
        """The policies in force."""
        return [policy.to_wire() for policy in self._engine.policies.policies]

    def close(self) -> None:
        """Write what is still to be written. Leases go on without us."""
        self._journal.close()
