"""Limits given at launch: journaled like any change, then claims of the owner `spec`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cgroupfs import UNLIMITED, Written
from enforcer.desk import Desk, claims_over, new_claim, place_of, wired
from enforcer.fields import from_wire
from enforcer.ledger_rows import Recorded
from enforcer.outcomes import SPEC, Target, WriteRecord
from enforcer.records import fact_body, owner_body

# Not "committed": the kernel side of a launch is the launcher's to finish or to undo, not recovery's.
LAUNCHING = "launching"


class SpecLimits:
    """From a launch's intent to the claims that policies and people stand above."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._begun: dict[str, Recorded] = {}
        self._known: dict[str, Mapping[str, object]] = {}

    def record(
        self, name: str, limits: Mapping[str, object], written: Sequence[Written] | None, phase: str
    ) -> None:
        """`intent` before the kernel is written, any other phase (`applied`) after it."""
        if phase == "intent":
            self.drop(name)
            self._begun[name] = self._desk.ledger.begin({**_body(name, limits), "outcome": LAUNCHING})
            return
        begun = self._begun.pop(name, None) or self._desk.ledger.begin(_body(name, limits))
        self._known[name] = dict(limits)
        writes = [WriteRecord(*write) for write in written or ()]
        self._desk.ledger.finish(begun, fact_body(phase, writes, {}), phase, writes, ())

    def adopt_all(self, names: Collection[str]) -> None:
        """Adopt those of the containers seen that are still to be adopted."""
        for name in [name for name in self._known if name in names]:
            self.adopt(self._desk.find(name))

    def adopt(self, target: Target) -> None:
        """Make the launch limits of a container claims of `spec`, as soon as its cgroup is known."""
        if target.cgroup is None or target.name not in self._known:
            return
        kept = []
        for field, value in target.cgroup.translate(self._known.pop(target.name)).wanted.items():
            place = place_of(target.name, target.cgroup, field)
            before = UNLIMITED if "max" in field else None
            claim = new_claim(SPEC, from_wire(value), None)
            claims = claims_over(self._desk.book.get(place), before).with_claim(claim)
            self._desk.book.put(place, claims)
            kept.append((place, claims))
        self._desk.ledger.keep(kept)

    def drop(self, name: str) -> None:
        """The launch failed, or the container was removed before anybody asked."""
        self._known.pop(name, None)
        begun = self._begun.pop(name, None)
        if begun is not None:
            self._desk.ledger.finish(begun, fact_body("abandoned", (), {}), "abandoned", (), ())


def _body(name: str, limits: Mapping[str, object]) -> dict[str, object]:
    return owner_body(
        owner=SPEC,
        verb="set",
        target=name,
        path="",
        ino=0,
        field=", ".join(limits),
        before=None,
        wanted=wired(limits),
        reason="limits given at launch",
        wake="launch",
    )
