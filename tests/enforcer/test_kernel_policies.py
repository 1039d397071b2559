"""Policies at work on real cgroups, from the monitor's sweep to the kernel's file and the record of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cgroupfs import UNLIMITED
from enforcer.records import DecisionRecord
from monitor import EventLog, Monitor, Watched
from tests.enforcer.conftest import Rig, wait_for
from tests.enforcer.texts import MIB, document

pytestmark = pytest.mark.kernel

HOLDING = (sys.executable, "-S", "-c", "import time; held = bytearray(b'1') * (64 << 20); time.sleep(100)")
SPINNING = (sys.executable, "-S", "-c", "while True: pass")
RAISE = """
mode: enforce
when: {signal: memory.usedRatio, above: 70%}
do: [{scale: {field: memory.max, by: 125%, ceiling: 1Gi}}]
lease: 2s
cooldown: {target: 60s}
"""
FREEZE = """
mode: enforce
when: {signal: memory.usage, above: 32Mi}
do: [{freeze: {for: 1s}}]
cooldown: {target: 60s}
"""
SQUEEZE = """
mode: enforce
scope: node
targets: {classes: [besteffort]}
when: {signal: cpu.usedRatio, of: node, above: 1%}
do: [{control: {field: cpu.quota, law: suppress, target: 30%, floor: 100m}}]
"""


class Sweeps:
    """A monitor over the rig's containers, ticked by hand."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.monitor = Monitor(
            source=self, hierarchies=rig.hierarchies, events=EventLog(None), interval_sec=0.1, history_sec=10
        )

    def containers(self) -> Sequence[Watched]:
        return list(self.rig.boxes.values())

    def use(self, spec: str) -> None:
        file = self.rig.directory / "policy.yaml"
        file.write_text(document(spec, "p"))
        self.rig.enforcer.reload_policies([str(file)])

    def tick(self) -> list[DecisionRecord]:
        return self.rig.enforcer.on_snapshot(self.monitor.tick())

    def until_decided(self) -> DecisionRecord:
        found: list[DecisionRecord] = []

        def decided() -> bool:
            found.extend(self.tick())
            return bool(found)

        wait_for(decided)
        return found[0]


@pytest.fixture
def sweeps(rig: Rig) -> Iterator[Sweeps]:
    made = Sweeps(rig)
    yield made
    made.monitor.close()


def holding(rig: Rig, limit_mib: int = 80) -> None:
    web = rig.box(command=HOLDING)
    wait_for(lambda: (web.hot(keep=False).read().memory or (0,))[0] > 64 * MIB)
    web.apply(web.plan_limits({"memory_max_bytes": limit_mib * MIB}))


def test_a_nearly_full_limit_is_raised_and_comes_back_when_its_lease_ends(rig: Rig, sweeps: Sweeps) -> None:
    holding(rig)
    sweeps.use(RAISE)

    done = sweeps.until_decided()

    web = rig.boxes["web"].cgroup
    assert (done.outcome, web.read_limits().memory_max_bytes) == ("applied", 100 * MIB)
    record = rig.enforcer.decision(str(done.id))
    assert record["owner"] == "policy:p"
    assert str(record["reason"]).startswith("memory.usedRatio 8")
    assert record["writes"][0]["read_back"] == str(100 * MIB)  # type: ignore[index]
    assert record["inputs"][0]["unit"] == "ratio"  # type: ignore[index]
    assert {rail["result"] for rail in record["rails"]} == {"pass"}  # type: ignore[attr-defined]
    assert rig.enforcer.limits("web")["memory_max_bytes"]["owner"] == "policy:p"
    wait_for(lambda: web.read_limits().memory_max_bytes == 80 * MIB)
    wait_for(lambda: rig.enforcer.decisions("web")[-1]["outcome"] == "expired")


def test_a_policys_freeze_ends_by_itself(rig: Rig, sweeps: Sweeps) -> None:
    holding(rig)
    sweeps.use(FREEZE)

    done = sweeps.until_decided()

    web = rig.boxes["web"].cgroup
    assert (done.outcome, web.read_freezer()) == ("applied", "frozen")
    assert rig.enforcer.holders("web") == ("policy:p",)
    wait_for(lambda: web.read_freezer() == "thawed")
    wait_for(lambda: ("container.thaw", "web") in rig.told())
    wait_for(lambda: rig.enforcer.decisions("web")[-1]["outcome"] == "expired")
    assert rig.enforcer.decisions("web")[-1]["ends"] == done.id


def test_a_person_who_holds_the_freeze_outlasts_the_policy(rig: Rig, sweeps: Sweeps) -> None:
    holding(rig)
    sweeps.use(FREEZE)
    sweeps.until_decided()
    rig.enforcer.freeze("web", reason="look")

    wait_for(lambda: rig.enforcer.holders("web") == ("operator",))

    assert rig.boxes["web"].cgroup.read_freezer() == "frozen"


def test_best_effort_cpu_is_squeezed_while_the_host_is_busy(rig: Rig, sweeps: Sweeps) -> None:
    job = rig.box("job", command=SPINNING)
    rig.boxes["job"].klass = "besteffort"
    sweeps.use(SQUEEZE)

    done = sweeps.until_decided()

    assert done.outcome == "applied"
    quota = job.read_limits().cpu_max_cores
    assert isinstance(quota, float)
    assert 0.1 <= quota < 2
    assert "cores" in str(rig.enforcer.decision(str(done.id))["formula"])


def test_a_policy_that_observes_writes_nothing(rig: Rig, sweeps: Sweeps) -> None:
    holding(rig)
    sweeps.use(RAISE.replace("enforce", "observe"))

    done = sweeps.until_decided()

    assert done.outcome == "observed"
    assert rig.boxes["web"].cgroup.read_limits().memory_max_bytes == 80 * MIB
    wait_for(lambda: bool(rig.enforcer.decisions("web")))
    assert rig.enforcer.decisions("web")[0]["wanted"] == 100 * MIB


def test_what_a_person_set_is_left_to_that_person(rig: Rig, sweeps: Sweeps) -> None:
    holding(rig)
    rig.enforcer.set_limits("web", {"memory_max_bytes": 84 * MIB}, reason="mine")
    sweeps.use(RAISE)

    done = sweeps.until_decided()

    assert done.outcome == "overruled"
    assert done.decision.overruled_by == "operator"
    assert rig.boxes["web"].cgroup.read_limits().memory_max_bytes == 84 * MIB


def test_a_cgroup_replaced_between_sweep_and_write_is_left_alone(rig: Rig, sweeps: Sweeps) -> None:
    holding(rig)
    sweeps.use(RAISE)
    old = rig.boxes["web"].cgroup
    snapshot = sweeps.monitor.tick()
    old.kill()
    rig.hierarchies.remove(old.path)
    reborn = rig.hierarchies.create(old.path)
    rig.boxes["web"].cgroup = reborn

    (done,) = rig.enforcer.on_snapshot(snapshot)

    assert done.outcome == "gone"
    assert reborn.read_limits().memory_max_bytes is UNLIMITED
    old.close()


def test_a_broken_policy_file_is_set_aside_and_its_last_good_version_stays(rig: Rig, tmp_path: Path) -> None:
    broken = document(RAISE.replace("when", "wen"), "b")
    (tmp_path / "a.yaml").write_text(document(RAISE, "a"))
    (tmp_path / "b.yaml").write_text(broken)

    at_start = rig.enforcer.reload_policies([str(tmp_path)])
    names = [policy["name"] for policy in rig.enforcer.policies()]
    (tmp_path / "b.yaml").write_text(document(RAISE, "b"))
    mended = rig.enforcer.reload_policies([str(tmp_path)])
    (tmp_path / "b.yaml").write_text(broken)
    broken_again = rig.enforcer.reload_policies([str(tmp_path)])

    assert at_start == ['b.yaml:6:3: spec.wen: unknown key (did you mean "when"?)']
    assert (names, mended) == (["a"], [])
    assert broken_again == rig.enforcer.policy_errors() == at_start
    assert [policy["name"] for policy in rig.enforcer.policies()] == ["a", "b"]


def test_sweeps_are_decided_once_and_quiet_ones_leave_no_record(rig: Rig, sweeps: Sweeps) -> None:
    rig.box()
    sweeps.use(RAISE)

    assert [sweeps.tick() for _ in range(3)] == [[], [], []]
    assert rig.enforcer.decisions() == []
