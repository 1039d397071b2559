"""What the guardian ended: claims dropped, the end recorded and told; leases handed to a new one."""

from __future__ import annotations

from enforcer.clocks import boottime_ns, wall_of
from enforcer.desk import Desk
from enforcer.errors import GuardianLost
from enforcer.fields import FREEZER, THAWED
from enforcer.lease import ALREADY, DRIFT, GONE, RESTORED, RETRY
from enforcer.ledger_rows import Place
from enforcer.outcomes import rfc3339
from enforcer.records import owner_body


class LeaseEnds:
    """Hears the guardian."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._retried: set[str] = set()

    def on_ended(self, report: dict[str, object]) -> None:
        """A deadline came, and the guardian did what it had been told, or could not."""
        name = str(report["key"]).partition("|")[0]
        place = Place(name, str(report["path"]), int(str(report["inode"])), str(report["field"]))
        result, why = str(report["result"]), str(report["why"])
        if result == RETRY:
            if self._is_over(place, report):
                self.defer(place, report)
            return
        self._retried.discard(str(report["key"]))
        with self._desk.book.lock(name):
            self._end(place, report, result, why)

    def _end(self, place: Place, report: dict[str, object], result: str, why: str) -> None:
        claims = self._desk.book.get(place)
        if claims is None:
            return
        left = claims.live(max(boottime_ns(), int(str(report["at_ns"]))))
        ended = [claim for claim in claims.claims if claim not in left.claims]
        self._desk.book.put(place, left)
        self._desk.ledger.keep([(place, left)])
        if result == GONE or not ended:
            return
        before, wanted = report["before"], report["wanted"]
        owner = ended[-1].owner
        body = self._body(place, owner, report, _reason(owner, report))
        self._desk.ledger.note({**body, "outcome": "expired", "result": result, "ends": ended[-1].decision})
        self._tell(place, result, owner, before, wanted, ended[-1].decision, why)

    def _body(self, place: Place, owner: str, report: dict[str, object], reason: str) -> dict[str, object]:
        return owner_body(
            owner=owner,
            verb="thaw" if place.field == FREEZER else "restore",
            target=place.name,
            path=place.path,
            ino=place.ino,
            field=place.field,
            before=report["before"],
            wanted=report["wanted"],
            reason=reason,
            wake="lease",
        )

    def _tell(
        self,
        place: Place,
        result: str,
        owner: str,
        before: object,
        wanted: object,
        decision: str | None,
        why: str,
    ) -> None:
        if result == DRIFT:
            self._desk.tell("limit.drift", place.name, owner, why, before, wanted, decision)
        elif place.field == FREEZER and wanted == THAWED:
            self._desk.tell("container.thaw", place.name, owner, "the lease ended", before, wanted, decision)
        elif result in (RESTORED, ALREADY):
            change = ({place.field: before}, {place.field: wanted})
            self._desk.tell("limit.change", place.name, owner, "the lease ended", *change, decision)

    def _is_over(self, place: Place, report: dict[str, object]) -> bool:
        """Not so where somebody made another claim while the report was on its way."""
        claims = self._desk.book.get(place)
        return claims is not None and claims.live(int(str(report["at_ns"]))) != claims

    def defer(self, place: Place, report: dict[str, object]) -> None:
        """It cannot be ended yet and is tried every few seconds: shown until then, recorded and told once."""
        key, why = str(report["key"]), f"lease over, {report['why']}"
        self._desk.book.defer(place, why)
        claims = self._desk.book.get(place)
        if claims is None or key in self._retried:
            return
        self._retried.add(key)
        claim = claims.winner(0)  # as if no lease were over
        owner, decision = ("guardian", None) if claim is None else (claim.owner, claim.decision)
        body = self._body(place, owner, report, why)
        self._desk.ledger.note({**body, "outcome": "deferred", "result": RETRY, "ends": decision})
        reason = f"the lease ended but cannot be restored yet: {report['why']}"
        self._desk.tell("limit.drift", place.name, owner, reason, None, None, decision)

    def on_restart(self) -> None:
        """The guardian had died: hand every lease to the new one."""
        self._desk.emit(
            "policy.state",
            actor_kind="daemon",
            actor_name="cgwarden",
            reason="the guardian died and was started again",
        )
        for place, _ in self._desk.book.places():
            with self._desk.book.lock(place.name):
                self._hand_over(place)

    def _hand_over(self, place: Place) -> None:
        claims = self._desk.book.get(place)
        if claims is None or not claims.timeline(boottime_ns()):
            return
        try:
            self._desk.transactions.rearm(place, claims)
        except GuardianLost as e:
            reason = f"the lease of {place.field} cannot be guarded: {e}"
            self._desk.tell("limit.drift", place.name, "guardian", reason, None, None, None)


def _reason(owner: str, report: dict[str, object]) -> str:
    ended = f"the lease of {owner} ended"
    match report["result"]:
        case "restored" if report.get("while_away"):
            clock = rfc3339(wall_of(int(str(report["at_ns"]))))[11:19]
            return f"{ended}; restored by the guardian at {clock} while no daemon ran"
        case "restored":
            return ended
        case "already":
            return f"{ended}; the value was there already"
        case _:
            return f"{ended}; {report['why']}"
