"""/healthz: alive or not by its status, and what works less well in words for everybody."""

import pytest

from tests.web.rig import Rig
from web import Health

FAULTS = [
    (Health(journal_writable=False), "the journal cannot be written: limits stay as they are"),
    (Health(events_on_disk=False), "events do not reach the disk"),
    (Health(policy_errors=1), "policy files have errors"),
    (Health(unkept=7), "too few file descriptors for all containers"),
]


def test_a_daemon_without_faults_is_ok(rig: Rig) -> None:
    assert rig.get("/healthz").json == {"status": "ok", "sweep_age_sec": None, "reasons": []}


@pytest.mark.parametrize(("health", "reason"), FAULTS)
def test_a_fault_degrades_it_and_it_stays_alive(rig: Rig, health: Health, reason: str) -> None:
    rig.health = health

    answer = rig.get("/healthz", tcp=True)

    assert answer.status == 200
    assert (answer.json["status"], answer.json["reasons"]) == ("degraded", [reason])
