"""Freezes of real cgroups: who holds them, which files were written, and what is unchanged when repeated."""

from __future__ import annotations

from typing import Any

import pytest

from tests.enforcer.conftest import Rig, wait_for

pytestmark = pytest.mark.kernel


def test_freezing_what_is_frozen_succeeds_and_changes_nothing(rig: Rig) -> None:
    web = rig.box()

    first = rig.enforcer.freeze("web", reason="look")
    second = rig.enforcer.freeze("web", reason="look")

    assert (first.changed, first.state, first.holders) == (True, "frozen", ("operator",))
    assert (second.changed, second.state, second.decision) == (False, "frozen", None)
    assert web.read_freezer() == "frozen"


def test_a_freeze_and_a_thaw_record_the_files_that_were_written(rig: Rig) -> None:
    web = rig.box()

    def last_writes() -> list[tuple[str, ...]]:
        writes: Any = rig.enforcer.decisions("web")[-1]["writes"]
        return [tuple(write[key] for key in ("file", "before", "value", "read_back")) for write in writes]

    rig.enforcer.freeze("web", reason="look")
    assert last_writes() == [("cgroup.freeze", "0", "1", "1")]
    rig.enforcer.thaw("web")
    assert last_writes() == [("cgroup.freeze", "1", "0", "0")]
    rig.enforcer.freeze("web", reason="look")
    web.thaw()
    web.dirs["freezer"].write("freezer.state", "FROZEN")
    wait_for(lambda: web.read_freezer() == "frozen")
    rig.enforcer.thaw("web")
    assert last_writes() == [("freezer.state", "FROZEN", "THAWED", "THAWED")]


def test_a_thaw_lets_go_of_ones_own_hold_alone(rig: Rig) -> None:
    web = rig.box()
    rig.enforcer.freeze("web", reason="look")
    rig.enforcer.freeze("web", owner="policy:p", reason="full", lease_sec=60)

    mine = rig.enforcer.thaw("web")

    assert (mine.changed, mine.state, mine.holders) == (False, "frozen", ("policy:p",))
    assert (rig.enforcer.thaw("web").holders, web.read_freezer()) == (("policy:p",), "frozen")
    forced = rig.enforcer.thaw("web", force=True)
    assert (forced.changed, forced.state, forced.holders) == (True, "thawed", ())
    assert web.read_freezer() == "thawed"
    assert not rig.enforcer.thaw("web").changed
