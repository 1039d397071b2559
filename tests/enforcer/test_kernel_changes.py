"""Limits and freezes of real cgroups: what the kernel shows, what the journal says, who owns what."""

from __future__ import annotations

import re
import sys
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cgroupfs import UNLIMITED, CgroupGone, Limits, Refused
from enforcer import BadWish, BelowUsage, Forbidden, JournalFull, OwnerConflict, TargetGone
from enforcer.claims import FieldClaims
from enforcer.desk import new_claim, place_of
from enforcer.failpoints import Failpoints
from launcher.errors import NotRunning
from tests.enforcer.conftest import Rig, wait_for
from tests.enforcer.texts import MIB

pytestmark = pytest.mark.kernel

HOLD_64M = "import time; held = bytearray(b'1') * (64 << 20); time.sleep(100)"
HOLDING = (sys.executable, "-S", "-c", HOLD_64M)


def test_a_limit_is_set_owned_and_journaled(rig: Rig) -> None:
    web = rig.box()

    outcome = rig.enforcer.set_limits(
        "web", {"memory_max_bytes": 64 * MIB, "cpu_max_cores": 0.5, "pids_max": 50}, reason="small"
    )

    limits = web.read_limits()
    assert (limits.memory_max_bytes, limits.cpu_max_cores, limits.pids_max) == (64 * MIB, 0.5, 50)
    assert (outcome.changed, outcome.status) == (True, "applied")
    assert all(write.read_back == write.value for write in outcome.writes)
    assert rig.enforcer.limits("web")["pids_max"] == {
        "value": 50,
        "owner": "operator",
        "baseline": "max",
        "expires_at": None,
        "waiting": None,
    }
    record = rig.enforcer.decision(str(outcome.decision))
    assert (record["outcome"], record["reason"], record["owner"]) == ("applied", "small", "operator")
    assert rig.told() == [("limit.change", "web")]


def test_what_is_so_already_changes_nothing(rig: Rig) -> None:
    rig.box()
    wish = {"memory_max_bytes": 64 * MIB + 1, "cpu_max_cores": 1 / 3}
    rig.enforcer.set_limits("web", wish, reason="once")

    second = rig.enforcer.set_limits("web", wish, reason="twice")

    assert (second.changed, second.status, second.decision, list(second.writes)) == (
        False,
        "unchanged",
        None,
        [],
    )
    assert len(rig.enforcer.decisions("web")) == 1


def test_a_dry_run_lists_the_writes_and_does_none(rig: Rig) -> None:
    web = rig.box()

    outcome = rig.enforcer.set_limits("web", {"pids_max": 96}, reason="", dry_run=True)

    assert (outcome.changed, outcome.status, outcome.decision) == (True, "planned", None)
    assert [(write.file, write.before, write.value, write.read_back) for write in outcome.writes] == [
        ("pids.max", "max", "96", None)
    ]
    assert web.read_limits().pids_max is UNLIMITED
    assert rig.enforcer.decisions() == []
    assert rig.enforcer.limits("web")["pids_max"]["owner"] is None


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({}, "limits"),
        ({"memory_max_bytes": -1}, "memory_max_bytes"),
        ({"cpu_max_cores": float("nan")}, "cpu_max_cores"),
        ({"pids_max": 10, "memory_max": 5}, "memory_max"),
    ],
)
def test_a_wish_that_no_kernel_could_take_changes_nothing(
    rig: Rig, wish: dict[str, object], field: str
) -> None:
    web = rig.box()

    with pytest.raises(BadWish) as refused:
        rig.enforcer.set_limits("web", wish, reason="")

    assert refused.value.field == field
    assert web.read_limits().pids_max is UNLIMITED
    wait_for(lambda: len(rig.enforcer.decisions("web")) == bool(wish))
    assert all(record["outcome"] == "rejected" for record in rig.enforcer.decisions("web"))


def test_a_limit_below_usage_needs_force_and_then_nothing_dies(rig: Rig) -> None:
    web = rig.box(command=HOLDING)
    wait_for(lambda: (web.hot(keep=False).read().memory or (0,))[0] > 64 * MIB)

    with pytest.raises(BelowUsage) as refused:
        rig.enforcer.set_limits("web", {"memory_max_bytes": 32 * MIB}, reason="")

    assert refused.value.usage > 64 * MIB
    wait_for(lambda: bool(rig.enforcer.decisions("web")))
    (record,) = rig.enforcer.decisions("web")
    assert (record["outcome"], record["owner"], record["writes"]) == ("rejected", "operator", [])
    assert record["wanted"] == {"memory_max_bytes": 32 * MIB}
    assert "is below the present usage" in str(record["error"])
    assert web.read_limits().memory_max_bytes is UNLIMITED
    assert len(web.procs()) == 1


def test_people_take_over_from_policies_and_not_the_other_way_round(rig: Rig) -> None:
    rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, owner="policy:p", reason="", lease_sec=60)
    rig.enforcer.set_limits("web", {"pids_max": 70}, reason="")

    with pytest.raises(OwnerConflict, match="pids_max is held by operator; use force to take it over"):
        rig.enforcer.set_limits("web", {"pids_max": 60}, owner="policy:p", reason="", lease_sec=60)

    assert rig.enforcer.limits("web")["pids_max"]["owner"] == "operator"


def test_a_field_that_is_given_back_has_its_baseline_again(rig: Rig) -> None:
    web = rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, reason="")

    assert rig.enforcer.release("web", ["pids_max"]).changed
    assert not rig.enforcer.release("web", ["pids_max"]).changed
    assert web.read_limits().pids_max is UNLIMITED
    assert rig.enforcer.limits("web")["pids_max"]["owner"] is None


def test_giving_back_below_usage_needs_force_and_then_the_kernel_decides(rig: Rig) -> None:
    web = rig.box(command=HOLDING)
    rig.enforcer.set_limits("web", {"memory_max_bytes": 200 * MIB}, reason="")
    wait_for(lambda: (web.hot(keep=False).read().memory or (0,))[0] > 64 * MIB)
    place = place_of("web", web, "memory_max_bytes")
    mine = new_claim("operator", 200 * MIB, None)
    rig.enforcer._desk.book.put(place, FieldClaims(32 * MIB, (mine,)))

    with pytest.raises(BelowUsage, match="use force"):
        rig.enforcer.release("web", ["memory_max_bytes"], reason="enough")
    wait_for(lambda: len(rig.enforcer.decisions("web")) == 2)
    with pytest.raises(Refused, match=r"memory\.limit_in_bytes"):
        rig.enforcer.release("web", ["memory_max_bytes"], reason="enough", force=True)

    rejected, failed = rig.enforcer.decisions("web")[1:]
    assert (rejected["outcome"], rejected["verb"], rejected["reason"]) == ("rejected", "release", "enough")
    assert (failed["outcome"], failed["verb"]) == ("failed", "release")
    assert web.read_limits().memory_max_bytes == 200 * MIB
    assert len(web.procs()) == 1


def test_a_limit_that_this_kernel_does_not_offer_is_told_as_null(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = rig.box()
    lacking = replace(web.read_limits(), memory_swap_max_bytes=None)
    monkeypatch.setattr(web, "read_limits", lambda: lacking)

    fields = rig.enforcer.limits("web")

    assert list(fields) == [field.name for field in dataclass_fields(Limits)]
    assert fields["memory_swap_max_bytes"] == {
        "value": None,
        "owner": None,
        "baseline": None,
        "expires_at": None,
        "waiting": None,
    }


def test_limits_of_a_launch_belong_to_the_spec(rig: Rig) -> None:
    web = rig.box()
    web.apply(web.plan_limits({"pids_max": 50}))
    rig.enforcer.record_spec_limits("web", {"pids_max": 50}, None, "intent")
    rig.enforcer.record_spec_limits("web", {"pids_max": 50}, [], "applied")

    assert rig.enforcer.limits("web")["pids_max"]["owner"] == "spec"
    rig.enforcer.set_limits("web", {"pids_max": 70}, reason="")
    rig.enforcer.release("web", ["pids_max"])

    assert web.read_limits().pids_max == 50
    assert rig.enforcer.decisions("web")[0]["outcome"] == "applied"
    assert [record["owner"] for record in rig.enforcer.decisions("web")] == [
        "spec",
        "operator",
        "operator",
    ]


def test_the_baseline_is_what_a_field_returns_to_when_its_owner_lets_go(rig: Rig) -> None:
    rig.box()
    rig.enforcer.record_spec_limits("web", {"pids_max": 50}, None, "intent")
    rig.enforcer.record_spec_limits("web", {"pids_max": 50}, [], "applied")

    def told() -> tuple[object, object]:
        field = rig.enforcer.limits("web")["pids_max"]
        return field["owner"], field["baseline"]

    assert told() == ("spec", "max")
    rig.enforcer.set_limits("web", {"pids_max": 60}, owner="policy:p", reason="", lease_sec=60)
    assert told() == ("policy:p", 50)
    rig.enforcer.set_limits("web", {"pids_max": 70}, reason="")
    assert told() == ("operator", 60)
    rig.enforcer.set_limits("web", {"pids_max": 80}, reason="", lease_sec=90)
    assert told() == ("operator", 70)


def test_a_lease_that_cannot_end_yet_says_what_it_waits_for(rig: Rig) -> None:
    web = rig.box(command=HOLDING)
    wait_for(lambda: (web.hot(keep=False).read().memory or (0,))[0] > 64 * MIB)
    web.apply(web.plan_limits({"memory_max_bytes": 200 * MIB}))
    # The value beneath was taken when usage was small.
    place = place_of("web", web, "memory_max_bytes")
    small = FieldClaims(UNLIMITED, (new_claim("spec", 32 * MIB, None),))
    rig.enforcer._desk.book.put(place, small)
    rig.enforcer.set_limits("web", {"memory_max_bytes": 201 * MIB}, reason="", lease_sec=0.5)

    wait_for(lambda: rig.enforcer.decisions("web")[-1]["outcome"] == "deferred")

    told = rig.enforcer.limits("web")["memory_max_bytes"]
    assert (told["owner"], told["baseline"]) == ("operator", 32 * MIB)
    assert re.fullmatch(
        r"lease over, waiting until \d\d MiB are freed, so that 32 MiB fit", str(told["waiting"])
    )
    assert rig.enforcer.decisions("web")[-1]["ends"] == rig.enforcer.decisions("web")[0]["id"]
    rig.restart()
    assert rig.enforcer.limits("web")["memory_max_bytes"]["waiting"] == told["waiting"]
    assert web.read_limits().memory_max_bytes == 201 * MIB
    rig.enforcer.set_limits("web", {"memory_max_bytes": 210 * MIB}, reason="")
    assert rig.enforcer.limits("web")["memory_max_bytes"]["waiting"] is None


def test_a_lease_that_ends_amid_another_change_of_its_container_does_not_hold_that_up(rig: Rig) -> None:
    web = rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, reason="", lease_sec=0.3)

    with rig.enforcer._desk.book.lock("web"):
        wait_for(lambda: web.read_limits().pids_max is UNLIMITED)
        rig.enforcer.set_limits("web", {"cpu_max_cores": 0.5}, reason="", lease_sec=60)

    wait_for(lambda: any(record["outcome"] == "expired" for record in rig.enforcer.decisions("web")))
    assert rig.enforcer.limits("web")["cpu_max_cores"]["owner"] == "operator"


def test_a_namesake_is_never_written(rig: Rig) -> None:
    web = rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, reason="", lease_sec=60)
    web.kill()
    rig.hierarchies.remove(web.path)
    reborn = rig.hierarchies.create(web.path)

    with pytest.raises((TargetGone, CgroupGone)):
        rig.enforcer.set_limits("web", {"pids_max": 60}, reason="")

    assert reborn.read_limits().pids_max is UNLIMITED
    reborn.close()


def test_an_ended_container_has_no_limits(rig: Rig) -> None:
    rig.find = lambda name: SimpleNamespace(name=name, cgroup=None)

    with pytest.raises(NotRunning):
        rig.enforcer.limits("gone")


def test_the_daemons_own_cgroup_is_never_changed(rig: Rig) -> None:
    names = {"root": "/", "climber": "/a/../..", "nobody": ""}
    boxes = {
        name: SimpleNamespace(name=name, cgroup=SimpleNamespace(path=path)) for name, path in names.items()
    }
    rig.find = boxes.__getitem__

    for name in names:
        with pytest.raises(Forbidden):
            rig.enforcer.freeze(name, reason="")


def test_without_a_journal_nothing_is_written_to_the_kernel(rig: Rig) -> None:
    web = rig.box()
    rig.stop()
    rig.enforcer, rig.guardian = rig.start(Failpoints({"journal.before": ("enospc", 2)}))

    with pytest.raises(JournalFull, match="no limit was changed"):
        rig.enforcer.set_limits("web", {"pids_max": 50}, reason="")

    assert web.read_limits().pids_max is UNLIMITED
    assert rig.enforcer.set_limits("web", {"pids_max": 50}, reason="").changed


def test_a_rejection_that_cannot_be_recorded_is_answered_all_the_same(rig: Rig) -> None:
    rig.box()
    rig.stop()
    rig.enforcer, rig.guardian = rig.start(Failpoints({"journal.before": ("enospc", 2)}))

    with pytest.raises(BadWish):
        rig.enforcer.set_limits("web", {"pids_max": -1}, reason="")

    assert rig.enforcer.set_limits("web", {"pids_max": 50}, reason="").changed
    assert [record["outcome"] for record in rig.enforcer.decisions("web")] == ["applied"]


def test_claims_and_holders_are_known_after_a_restart(rig: Rig) -> None:
    web = rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, reason="")
    rig.enforcer.freeze("web", reason="look")
    rig.events.clear()

    rig.restart()

    assert rig.enforcer.limits("web")["pids_max"]["owner"] == "operator"
    assert rig.enforcer.holders("web") == ("operator",)
    assert web.read_freezer() == "frozen"
    assert rig.told() == [("container.freeze", "web")]
    assert rig.enforcer.thaw("web").changed


def test_a_removed_container_is_forgotten(rig: Rig) -> None:
    rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, reason="", lease_sec=60)

    rig.enforcer.forget("web")

    assert rig.enforcer.limits("web")["pids_max"]["owner"] is None
    rig.restart()
    assert rig.guardian.held == []


def test_a_damaged_journal_is_told_and_leases_are_still_known(rig: Rig) -> None:
    rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, reason="", lease_sec=60)
    rig.stop()
    Path(rig.directory / "journal.db").write_bytes(b"rubbish" * 1000)
    rig.events.clear()

    rig.enforcer, rig.guardian = rig.start()

    assert "set aside as" in rig.events[0].reason
    told = rig.enforcer.limits("web")["pids_max"]
    assert (told["value"], told["owner"], told["baseline"]) == (50, "lease", "max")
    assert told["expires_at"] is not None


def test_with_force_a_limit_below_usage_is_tried_and_the_kernels_no_is_recorded(rig: Rig) -> None:
    web = rig.box(command=HOLDING)
    wait_for(lambda: (web.hot(keep=False).read().memory or (0,))[0] > 64 * MIB)

    with pytest.raises(Refused, match=r"memory\.limit_in_bytes"):
        rig.enforcer.set_limits("web", {"pids_max": 50, "memory_max_bytes": 32 * MIB}, reason="", force=True)

    limits = web.read_limits()
    assert (limits.memory_max_bytes, limits.pids_max) == (UNLIMITED, UNLIMITED)
    assert len(web.procs()) == 1
    (record,) = rig.enforcer.decisions("web")
    assert record["outcome"] == "failed"
    assert rig.enforcer.limits("web")["pids_max"]["owner"] is None
