"""kill -9 at every step of a change leaves the old state, the new one, or what ends by itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgroupfs import UNLIMITED, Cgroup
from enforcer.failpoints import STEPS
from tests.enforcer.conftest import Rig, wait_for
from tests.enforcer.crasher import WISH

pytestmark = pytest.mark.kernel

CRASHER = Path(__file__).with_name("crasher.py")
ROOT = Path(__file__).parents[2]
OLD = dict.fromkeys(WISH, UNLIMITED)
Crash = Callable[..., subprocess.Popen[str]]


def limits_of(cgroup: Cgroup) -> dict[str, object]:
    limits = cgroup.read_limits()
    return {field: getattr(limits, field) for field in WISH}


@pytest.fixture
def crash(rig: Rig) -> Iterator[Crash]:
    """Run a change in a process of its own that dies where it is told, or after it was done."""
    started: list[subprocess.Popen[str]] = []

    def run(verb: str, step: str | None = None) -> subprocess.Popen[str]:
        rig.stop()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "CGWARDEN_TEST_MODE": "1"}
        if step is not None:
            # The first commit of a daemon belongs to its recovery, the second one is the intent.
            passage = "@2" if step.startswith("journal.") else ""
            environment["CGWARDEN_FAILPOINT"] = f"{step}:kill{passage}"
        process = subprocess.Popen(
            [sys.executable, str(CRASHER), str(rig.directory), f"{rig.parent}/web", verb],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        if step is None:
            assert line == "done\n"
            process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
        return process

    yield run
    for process in started:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def recovered(rig: Rig) -> list[dict[str, object]]:
    rig.enforcer, rig.guardian = rig.start()
    return rig.enforcer.decisions("web")


def ends_of(rig: Rig) -> list[str]:
    return [str(record["reason"]) for record in rig.enforcer.decisions("web") if "ends" in record]


LIMIT_STEPS = {
    "limit.intent": (OLD, ["abandoned"]),
    "limit.guarded": (OLD, ["abandoned"]),
    "limit.write1": (WISH, ["interrupted", "applied"]),
    "limit.verified": (WISH, ["interrupted", "applied"]),
    "limit.committed": (WISH, ["applied"]),
    "journal.before": (OLD, None),
    "journal.after": (OLD, ["abandoned"]),
}


@pytest.mark.parametrize("step", LIMIT_STEPS)
def test_a_limit_that_is_interrupted_is_all_there_or_not_at_all(rig: Rig, crash: Crash, step: str) -> None:
    web = rig.box()
    crash("limit", step)

    records = recovered(rig)

    kernel, outcomes = LIMIT_STEPS[step]
    assert limits_of(web) == kernel
    if outcomes is None:
        assert records == []
        return
    (record,) = records
    assert [fact["outcome"] for fact in record["facts"]] == outcomes  # type: ignore[attr-defined]
    owners = {field: told["owner"] for field, told in rig.enforcer.limits("web").items() if field in WISH}
    assert set(owners.values()) == ({"operator"} if kernel is WISH else {None})
    assert rig.enforcer.recover() == {}


@pytest.mark.parametrize("step", ["limit.guarded", "limit.write1", "limit.verified", None])
def test_a_lease_ends_on_time_although_its_daemon_was_killed(
    rig: Rig, crash: Crash, step: str | None
) -> None:
    web = rig.box()

    crash("lease", step)

    wait_for(lambda: limits_of(web) == OLD)
    records = recovered(rig)
    assert records[0]["outcome"] in ("abandoned", "applied")
    if step is None:
        wait_for(lambda: len(ends_of(rig)) == len(WISH))
        by_the_guardian = (
            r"the lease of operator ended; restored by the guardian at [0-9:]{8} while no daemon ran"
        )
        assert all(re.fullmatch(by_the_guardian, reason) for reason in ends_of(rig))
    assert {told["owner"] for told in rig.enforcer.limits("web").values()} == {None}


def test_a_new_daemon_takes_the_guardian_over_with_its_leases(rig: Rig, crash: Crash) -> None:
    web = rig.box()
    crash("lease")

    recovered(rig)

    assert rig.guardian.adopted
    assert rig.enforcer.limits("web")["pids_max"]["owner"] == "operator"
    assert limits_of(web) == WISH
    wait_for(lambda: any(record["outcome"] == "expired" for record in rig.enforcer.decisions("web")))
    wait_for(lambda: limits_of(web) == OLD)


FREEZE_STEPS = {
    "freeze.intent": ("thawed", []),
    "freeze.written": ("frozen", ["operator"]),
    "freeze.committed": ("frozen", ["operator"]),
}


@pytest.mark.parametrize("step", FREEZE_STEPS)
def test_a_freeze_that_is_interrupted_is_listed_and_not_thawed(rig: Rig, crash: Crash, step: str) -> None:
    web = rig.box()
    crash("freeze", step)
    rig.events.clear()

    recovered(rig)

    state, holders = FREEZE_STEPS[step]
    assert web.read_freezer() == state
    assert list(rig.enforcer.holders("web")) == holders
    assert rig.told() == ([("container.freeze", "web")] if holders else [])
    assert rig.enforcer.thaw("web").changed == bool(holders)
    assert web.read_freezer() == "thawed"


def test_a_policys_freeze_ends_although_its_daemon_was_killed(rig: Rig, crash: Crash) -> None:
    web = rig.box()

    crash("policy-freeze")

    assert web.read_freezer() == "frozen"
    wait_for(lambda: web.read_freezer() == "thawed")
    recovered(rig)
    assert rig.enforcer.holders("web") == ()


def test_a_thaw_that_is_interrupted_leaves_no_holder_behind(rig: Rig, crash: Crash) -> None:
    web = rig.box()
    rig.enforcer.freeze("web", reason="look")

    crash("thaw", "freeze.written")
    recovered(rig)

    assert web.read_freezer() == "thawed"
    assert rig.enforcer.holders("web") == ()


def test_every_step_has_a_case() -> None:
    assert set(STEPS) == set(LIMIT_STEPS) | set(FREEZE_STEPS)


def test_a_guardian_that_dies_is_started_again_with_all_leases(rig: Rig) -> None:
    web = rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, reason="", lease_sec=4)
    first = rig.guardian.pid

    os.kill(first, signal.SIGKILL)

    wait_for(lambda: rig.guardian.pid != first)
    rig._guardians.add(rig.guardian.pid)
    wait_for(lambda: web.read_limits().pids_max is UNLIMITED)
    assert any("the guardian died" in event.reason for event in rig.events)
    wait_for(lambda: rig.enforcer.decisions("web")[-1]["outcome"] == "expired")


def test_a_guardian_that_holds_nothing_goes_with_its_daemon(rig: Rig) -> None:
    rig.stop()

    rig.reap()

    assert not (rig.directory / "guardian.sock").exists()


def test_what_somebody_else_changed_meanwhile_is_left_alone(rig: Rig) -> None:
    web = rig.box()
    rig.enforcer.set_limits("web", {"pids_max": 50}, reason="", lease_sec=1)
    web.apply(web.plan_limits({"pids_max": 77}))

    wait_for(lambda: rig.enforcer.decisions("web")[-1]["outcome"] == "expired")

    assert web.read_limits().pids_max == 77
    assert rig.enforcer.decisions("web")[-1]["result"] == "drift"
    assert ("limit.drift", "web") in rig.told()
