"""The start after a stop or crash: claims of this boot taken over, interrupted changes finished.

The kernel decides: what it has is compared with what was intended. A frozen container is reported, never
thawed here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from cgroupfs import Cgroup, CgroupError, CgroupGone
from enforcer.claims import OPERATOR_PRIORITY, Claim, FieldClaims
from enforcer.clocks import boottime_ns
from enforcer.desk import Desk, read_field
from enforcer.errors import GuardianLost
from enforcer.fields import FREEZER, FROZEN, THAWED, same_value
from enforcer.lease import ALREADY, RETRY, RETRY_NS, CgroupField, compare_and_set, report_of
from enforcer.lease_ends import LeaseEnds
from enforcer.ledger_rows import EVERYBODY, LETS_GO, Intent, Place, Recorded
from enforcer.outcomes import WriteRecord
from enforcer.records import fact_body
from enforcer.transaction import lease_of

ORPHAN = "lease"
APPLIED, ABANDONED, GONE, FAILED = "applied", "abandoned", "gone", "failed"


def recover(desk: Desk, ends: LeaseEnds) -> dict[int, str]:
    """Take over claims, resolve intents left `committed`; returns decision number -> outcome."""
    _adopt_claims(desk)
    groups: defaultdict[int, list[Intent]] = defaultdict(list)
    for intent in desk.ledger.open_intents():
        groups[intent.decision].append(intent)
    outcomes = {decision: _resolve(desk, decision, intents) for decision, intents in groups.items()}
    _adopt_orphans(desk)
    _hand_leases_over(desk, ends)
    _tell_frozen(desk)
    return outcomes


def _adopt_claims(desk: Desk) -> None:
    for place, claims in desk.ledger.claims():
        cgroup = _same_cgroup(desk, place.path, place.ino)
        if cgroup is None:
            desk.ledger.keep([(place, None)])
            continue
        cgroup.close()
        desk.book.put(place, claims)


def _resolve(desk: Desk, decision: int, intents: Sequence[Intent]) -> str:
    """One interrupted change: abandoned where nothing of it is there, else finished, or undone if over."""
    first = intents[0]
    cgroup = _same_cgroup(desk, first.path, first.ino)
    if cgroup is None:
        return _close(desk, decision, intents, GONE, "its cgroup is gone", ())
    try:
        present = {intent.field: read_field(cgroup, intent.field) for intent in intents}
        untouched = all(same_value(intent.field, intent.before, present[intent.field]) for intent in intents)
        moved = any(not same_value(intent.field, intent.wanted, intent.before) for intent in intents)
        if untouched and moved:
            return _close(desk, decision, intents, ABANDONED, "nothing of it had been written", ())
        return _finish(desk, cgroup, decision, intents)
    except CgroupGone:
        return _close(desk, decision, intents, GONE, "its cgroup is gone", ())
    except CgroupError as e:
        return _close(desk, decision, intents, FAILED, str(e), ())
    finally:
        cgroup.close()


def _finish(desk: Desk, cgroup: Cgroup, decision: int, intents: Sequence[Intent]) -> str:
    now_ns = boottime_ns()
    over = any(intent.deadline_ns is not None and intent.deadline_ns <= now_ns for intent in intents)
    wanted = {intent.field: intent.before if over else intent.wanted for intent in intents}
    writes = _write(cgroup, wanted)
    if over:
        return _close(desk, decision, intents, ABANDONED, "its lease was over: taken back", writes)
    kept = []
    for intent in intents:
        place, claims = _claimed(desk, intent)
        desk.book.put(place, claims)
        kept.append((place, claims))
    return _close(desk, decision, intents, APPLIED, "interrupted, then finished", writes, kept)


def _write(cgroup: Cgroup, wanted: dict[str, object]) -> list[WriteRecord]:
    if FREEZER in wanted:
        # Never thawed silently: what was frozen stays so, whatever was intended; an event tells of it.
        return []
    return [WriteRecord(*written) for written in cgroup.apply(cgroup.plan_limits(wanted))]


def _claimed(desk: Desk, intent: Intent) -> tuple[Place, FieldClaims]:
    place = Place(intent.name, intent.path, intent.ino, intent.field)
    claims = desk.book.get(place) or FieldClaims(intent.baseline)
    if intent.priority == LETS_GO:
        return place, FieldClaims(intent.baseline) if intent.owner == EVERYBODY else claims.without(
            intent.owner
        )
    claim = Claim(
        intent.owner, intent.priority, intent.wanted, intent.deadline_ns, f"d-{intent.decision:06d}"
    )
    return place, claims.with_claim(claim)


def _close(
    desk: Desk,
    decision: int,
    intents: Sequence[Intent],
    outcome: str,
    why: str,
    writes: Sequence[WriteRecord],
    kept: Sequence[tuple[Place, FieldClaims | None]] = (),
) -> str:
    recorded = Recorded(decision, f"d-{decision:06d}", tuple(intent.id for intent in intents))
    if outcome == APPLIED:
        desk.ledger.finish(recorded, fact_body("interrupted", (), {}, why), outcome, (), ())
    desk.ledger.finish(recorded, fact_body(outcome, writes, {}, why), outcome, writes, kept)
    return outcome


def _adopt_orphans(desk: Desk) -> None:
    """Leases that a guardian still holds but no journal knows, because it was damaged or lost."""
    for lease in desk.guardian.held:
        name = lease.key.partition("|")[0]
        place = Place(name, lease.path, lease.inode, lease.field)
        cgroup = None if desk.book.get(place) is not None else _same_cgroup(desk, lease.path, lease.inode)
        if cgroup is None:
            continue
        present = read_field(cgroup, lease.field)
        cgroup.close()
        if same_value(lease.field, lease.expect, present) and lease.steps:
            deadline_ns, after = lease.steps[-1]
            claim = Claim(ORPHAN, OPERATOR_PRIORITY, lease.expect, deadline_ns)
            desk.book.put(place, FieldClaims(after, (claim,)))


def _hand_leases_over(desk: Desk, ends: LeaseEnds) -> None:
    """The guardian may be a new one, or the old one with steps that no claim wants any more."""
    now_ns = boottime_ns()
    for place, claims in desk.book.places():
        ended = [claim for claim in claims.claims if not claim.live(now_ns)]
        if not ended and not claims.timeline(now_ns):
            continue
        try:
            if ended:
                _end_now(desk, ends, place, claims)
            desk.transactions.rearm(place, desk.book.get(place))
        except (GuardianLost, CgroupError) as e:
            desk.tell("limit.drift", place.name, "guardian", str(e), None, None, None)


def _end_now(desk: Desk, ends: LeaseEnds, place: Place, claims: FieldClaims) -> None:
    """End a lease that ran out while we were away, the way the guardian does, if it has not done so."""
    now_ns = boottime_ns()
    cgroup = _same_cgroup(desk, place.path, place.ino)
    if cgroup is None:
        desk.book.put(place, None)
        return
    expect, wanted = claims.value(0), claims.value(now_ns)
    result, why = compare_and_set(CgroupField(cgroup, place.field), place.field, expect, wanted)
    cgroup.close()
    report = report_of(lease_of(place, claims, 0), wanted, result, why, now_ns)
    if result == RETRY:
        desk.book.put(
            place, FieldClaims(claims.baseline, tuple(_ending(claim, now_ns) for claim in claims.claims))
        )
        ends.defer(place, report)
        return
    by_the_guardian = desk.guardian.ended.get(str(report["key"]))
    ends.on_ended(by_the_guardian if result == ALREADY and by_the_guardian is not None else report)


def _ending(claim: Claim, now_ns: int) -> Claim:
    """A claim that is over but cannot be ended yet, for the guardian to try until it can."""
    return claim if claim.live(now_ns) else replace(claim, deadline_ns=now_ns + RETRY_NS)


def _tell_frozen(desk: Desk) -> None:
    for place, claims in desk.book.places():
        if place.field != FREEZER or claims.value(boottime_ns()) != FROZEN:
            continue
        for claim in claims.claims:
            reason = (
                f"frozen by {claim.owner} before the daemon started; `cgwarden thaw {place.name}` ends it"
            )
            desk.tell(
                "container.freeze",
                place.name,
                claim.owner,
                reason,
                THAWED,
                FROZEN,
                claim.decision,
                claim.deadline_ns,
            )


def _same_cgroup(desk: Desk, path: str, ino: int) -> Cgroup | None:
    try:
        cgroup = desk.hierarchies.cgroup(path)
    except CgroupError:
        return None
    if cgroup.inode != ino:
        cgroup.close()
        return None
    return cgroup
