"""Many launches at once: what the journal holds of their limits afterwards, and nothing twice."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from enforcer.journal_file import check_chain
from tests.enforcer.conftest import Rig

pytestmark = pytest.mark.kernel

LAUNCHES = 30


def test_thirty_launches_at_once_leave_one_intent_and_one_outcome_each(rig: Rig) -> None:
    together = threading.Barrier(LAUNCHES)

    def launch(number: int) -> None:
        limits = {"pids_max": 50 + number}
        together.wait(20)
        rig.enforcer.record_spec_limits(f"web-{number}", limits, None, "intent")
        rig.enforcer.record_spec_limits(f"web-{number}", limits, [], "applied")

    threads = [threading.Thread(target=launch, args=(number,)) for number in range(LAUNCHES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rig.stop()

    journal = sqlite3.connect(rig.directory / "journal.db")
    begun = journal.execute("SELECT seq, target, outcome FROM decision ORDER BY seq").fetchall()
    ended = journal.execute(
        "SELECT decision, json_extract(body, '$.outcome') FROM fact ORDER BY decision"
    ).fetchall()
    check_chain(journal, "decision")
    check_chain(journal, "fact")
    journal.close()
    rig.enforcer, rig.guardian = rig.start()
    assert [(seq, outcome) for seq, _, outcome in begun] == [(n, "launching") for n in range(1, LAUNCHES + 1)]
    assert {target for _, target, _ in begun} == {f"web-{number}" for number in range(LAUNCHES)}
    assert ended == [(n, "applied") for n in range(1, LAUNCHES + 1)]
