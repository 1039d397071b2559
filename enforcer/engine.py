"""The engine: after each sweep decide, pass the guard rails, carry out what is left, and record all of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from cgroupfs import UNLIMITED, Cgroup, CgroupError, CgroupGone
from enforcer.claims import FieldClaims
from enforcer.clocks import boottime_ns
from enforcer.decide import decide, settled
from enforcer.decision import Decision, Kind
from enforcer.desk import Desk, claims_over, new_claim, place_of, read_field, wired
from enforcer.errors import EnforcerError, TargetGone, UnknownTarget
from enforcer.failpoints import Failpoints
from enforcer.fields import FREEZER, FROZEN, THAWED
from enforcer.freezes import write_freezer
from enforcer.guardrails import HALT, Rail, Scene, Tally, check, is_hard
from enforcer.lease import CgroupField
from enforcer.ledger_rows import Place
from enforcer.limit_changes import write_plan
from enforcer.observe import view_of
from enforcer.outcomes import WriteRecord
from enforcer.policy import ENFORCE, PolicySet
from enforcer.records import DecisionRecord, policy_body
from enforcer.state import State
from enforcer.transaction import RECORDED, Move
from enforcer.view import View
from launcher.errors import NotRunning, UnknownContainer
from monitor import Snapshot

# A longer pause between two sweeps (suspend, a stalled host) voids every hold time.
MAX_GAP_SEC = 5.0
POLICY_FREEZE_SEC = 5.0


class Engine:
    """Policies at work. `on_snapshot` is called by one thread, after each sweep."""

    def __init__(
        self, desk: Desk, failpoints: Failpoints, clock: Callable[[], float], stopped: Callable[[], bool]
    ) -> None:
        self._desk = desk
        self._failpoints = failpoints
        self._clock = clock
        self._stopped = stopped
        self._policies = PolicySet()
        self._state = State()
        self._tally = Tally()
        self._last: float | None = None
        self._born: dict[tuple[str, int], float | None] = {}
        self._lock = threading.Lock()

    @property
    def policies(self) -> PolicySet:
        """The set in force."""
        return self._policies

    def use(self, policies: PolicySet) -> None:
        """Put another set in force. Holds begin anew: a policy's leaves may mean something else by now."""
        with self._lock:
            self._policies = policies
            self._state = self._state.without_holds()

    def on_snapshot(self, snapshot: Snapshot) -> list[DecisionRecord]:
        """Decide and act on one sweep."""
        with self._lock:
            now = self._clock()
            if self._last is not None and now - self._last > MAX_GAP_SEC:
                self._state = self._state.without_holds()
            self._last = now
            if not any(self._policies.active()):
                return []
            view = self._view(snapshot, now)
            decisions, self._state = decide(view, self._state, self._policies, now)
            records = [self._carry_out(decision, view, now) for decision in decisions]
            self._forget_the_gone(view)
            return records

    def _view(self, snapshot: Snapshot, now: float) -> View:
        view = view_of(
            snapshot, now, lambda name, ino: self._age_of(name, ino, snapshot.wall_time), self._desk.book.of
        )
        self._tally.frozen = {name for name, container in view.containers.items() if container.frozen}
        return view

    def _age_of(self, name: str, ino: int, wall_time: float) -> float | None:
        if (name, ino) not in self._born:
            self._born[(name, ino)] = self._read_birth(name, ino)
        born = self._born[(name, ino)]
        return None if born is None else max(0.0, wall_time - born)

    def _read_birth(self, name: str, ino: int) -> float | None:
        try:
            target = self._desk.find(name)
        except (UnknownContainer, UnknownTarget):
            return None
        if target.started_at is None or target.cgroup is None or target.cgroup.inode != ino:
            return None
        return datetime.fromisoformat(target.started_at).timestamp()

    def _forget_the_gone(self, view: View) -> None:
        alive = {container.key for container in view.containers.values()}
        # One that could not be told yet is asked again.
        self._born = {key: born for key, born in self._born.items() if key in alive and born is not None}

    def _carry_out(self, decision: Decision, view: View, now: float) -> DecisionRecord:
        match decision.kind:
            case Kind.NEAR_MISS:
                return self._note(decision, "near_miss")
            case Kind.OVERRULED:
                return self._note(decision, "overruled")
        with self._desk.book.lock(decision.target):
            record = self._try(decision, view, now)
        self._state = settled(self._state, decision, record.outcome, now)
        return record

    def _try(self, decision: Decision, view: View, now: float) -> DecisionRecord:
        try:
            _, cgroup = self._desk.target(decision.target)
            if cgroup.inode != decision.inode:
                raise TargetGone(decision.target)
            return self._railed(decision, cgroup, view, now)
        except (UnknownContainer, UnknownTarget, NotRunning, TargetGone, CgroupGone) as e:
            return self._failed(decision, "gone", e)
        except (EnforcerError, CgroupError) as e:
            return self._failed(decision, "failed", e)

    def _failed(self, decision: Decision, outcome: str, error: Exception) -> DecisionRecord:
        """A transaction that had begun has recorded its end; here what never began is told."""
        if RECORDED in getattr(error, "__notes__", ()):
            return DecisionRecord(None, outcome, decision)
        return self._note(decision, outcome, reason=str(error))

    def _railed(self, decision: Decision, cgroup: Cgroup, view: View, now: float) -> DecisionRecord:
        if decision.kind is Kind.RENEW:
            return self._renew(decision, cgroup)
        if decision.kind is Kind.RELEASE:
            return self._act(decision, cgroup, (), None, now)
        scene = self._scene(decision, cgroup, view, now)
        railed = check(decision, scene, self._tally, self._policies.rails, now)
        if decision.policy.mode != ENFORCE or self._stopped():
            return self._note(decision, "observed", railed.rails, railed.value)
        if railed.refused is not None:
            outcome = "observed" if railed.refused.result == HALT else "refused"
            return self._note(decision, outcome, railed.rails, railed.value)
        record = self._act(decision, cgroup, railed.rails, railed.value, now)
        self._tally.count(decision, now, hard=is_hard(decision))
        return record

    def _scene(self, decision: Decision, cgroup: Cgroup, view: View, now: float) -> Scene:
        container = view.containers[decision.target]
        return Scene(
            labels=container.labels,
            klass=container.klass,
            sample_age_sec=container.sample_age_sec + max(0.0, self._clock() - now),
            present=read_field(cgroup, decision.field),
            usage_bytes=CgroupField(cgroup, decision.field).usage_bytes() if is_hard(decision) else None,
            sample_usage_bytes=container.signals.get("memory.usage"),
            node_cores=view.node.get("cpu.capacity") or 1.0,
            containers=len(view.containers),
        )

    def _renew(self, decision: Decision, cgroup: Cgroup) -> DecisionRecord:
        """A longer lease for what is there already: no kernel write, so no intent."""
        place = place_of(decision.target, cgroup, decision.field)
        claims = self._desk.book.get(place)
        claim = None if claims is None else claims.of(decision.policy.owner)
        if claims is None or claim is None:
            return DecisionRecord(None, "lapsed", decision)
        fresh = new_claim(decision.policy.owner, claim.wanted, decision.lease_sec, decision.policy.priority)
        longer = claims.with_claim(replace(fresh, decision=claim.decision, since=claim.since))
        self._desk.transactions.rearm(place, longer)
        self._desk.book.put(place, longer)
        self._desk.ledger.keep([(place, longer)])
        return DecisionRecord(claim.decision, "applied", decision)

    def _act(
        self, decision: Decision, cgroup: Cgroup, rails: Sequence[Rail], value: object, now: float
    ) -> DecisionRecord:
        place = place_of(decision.target, cgroup, decision.field)
        move = self._move(decision, place, cgroup, value)
        wanted = move.new.value(boottime_ns())
        deadline_ns = move.owner.deadline_ns if move.owner is not None else None
        body = policy_body(replace(decision, before=move.before), cgroup.path, rails, wanted, deadline_ns)
        kind = "freeze" if decision.field == FREEZER else "limit"
        done = self._desk.transactions.run(
            cgroup, [move], body, lambda held: self._write(held, decision.field, wanted), kind=kind
        )
        self._tell(decision, move, wanted, done.recorded.id, deadline_ns)
        return DecisionRecord(done.recorded.id, "applied", decision, done.writes)

    def _move(self, decision: Decision, place: Place, cgroup: Cgroup, value: object) -> Move:
        present, old = read_field(cgroup, decision.field), self._desk.book.get(place)
        start = FieldClaims(THAWED) if decision.field == FREEZER else present
        known = start if isinstance(start, FieldClaims) and old is None else claims_over(old, present)
        owner = decision.policy.owner
        if decision.kind is Kind.RELEASE:
            return Move(place, None, old, known.without(owner), present, owner)
        claim = new_claim(owner, value, decision.lease_sec, decision.policy.priority)
        return Move(place, claim, old, known.with_claim(claim), present)

    def _write(self, cgroup: Cgroup, field: str, wanted: object) -> Sequence[WriteRecord]:
        if field == FREEZER:
            return write_freezer(cgroup, wanted == FROZEN, POLICY_FREEZE_SEC)
        return write_plan(
            cgroup, cgroup.plan_limits({field: UNLIMITED if wanted is None else wanted}), self._failpoints
        )

    def _tell(
        self, decision: Decision, move: Move, wanted: object, identifier: str, deadline_ns: int | None
    ) -> None:
        freezing = decision.field == FREEZER
        self._desk.tell(
            "container.freeze" if freezing else "limit.change",
            decision.target,
            decision.policy.owner,
            decision.reason,
            move.before if freezing else wired({decision.field: move.before}),
            wanted if freezing else wired({decision.field: wanted}),
            identifier,
            deadline_ns,
        )

    def _note(
        self,
        decision: Decision,
        outcome: str,
        rails: Sequence[Rail] = (),
        value: object = None,
        reason: str = "",
    ) -> DecisionRecord:
        body = policy_body(decision, "", rails, decision.value if value is None else value, None)
        self._desk.ledger.note({**body, "outcome": outcome, "reason": reason or decision.reason})
        return DecisionRecord(None, outcome, decision)
