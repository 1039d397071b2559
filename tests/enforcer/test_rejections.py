from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from cgroupfs import Cgroup
from enforcer.errors import BadWish
from enforcer.ledger import Ledger
from enforcer.ledger_rows import dump
from enforcer.rejections import MOST_PER_PERIOD, PERIOD_SEC, Rejections

WEB = cast(Cgroup, SimpleNamespace(path="/cgwarden/web", inode=7))


class Notes:
    """What would be recorded, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self.now = 0.0
        self.rejections = Rejections(cast(Ledger, self), lambda: self.now)

    def note(self, body: Mapping[str, Any]) -> None:
        self.bodies.append(body)

    def reject(self, wanted: Mapping[str, object], owner: str = "operator") -> None:
        self.rejections.note("web", WEB, owner, wanted, "asked for", BadWish("pids_max", "is no number"))


def test_the_same_wish_again_is_counted_and_not_recorded() -> None:
    notes = Notes()

    for _ in range(100):
        notes.reject({"pids_max": -1})
    notes.reject({"pids_max": -1}, owner="operator:eve")
    notes.now = PERIOD_SEC
    notes.reject({"pids_max": -1})

    assert [(body["owner"], body.get("unrecorded")) for body in notes.bodies] == [
        ("operator", None),
        ("operator:eve", 99),
        ("operator", None),
    ]
    assert notes.bodies[0]["error"] == "pids_max: is no number"


def test_a_script_that_asks_for_ever_new_things_cannot_fill_the_journal() -> None:
    notes = Notes()

    for number in range(1000):
        notes.reject({"pids_max": -number})
    notes.now = PERIOD_SEC
    notes.reject({"pids_max": -1})

    assert len(notes.bodies) == MOST_PER_PERIOD + 1
    assert notes.bodies[-1]["unrecorded"] == 1000 - MOST_PER_PERIOD


def test_a_wish_of_any_kind_and_size_can_be_stored() -> None:
    notes = Notes()

    notes.reject({"nan": float("nan"), "huge": 10**5000, "deep": [[[]]], "long": "x" * 10**6, "\ud800": None})

    text = dump(notes.bodies[0])
    assert len(text.encode()) < 2000
    assert "NaN" not in text
