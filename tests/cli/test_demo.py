"""The demo's judgement: what counts as an action, what counts as proof, what the report holds."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cgwarden.demo.actions import Action, read_actions, same, settled
from cgwarden.demo.place import DemoRefused, Place
from cgwarden.demo.report import Result, action_line
from cgwarden.demo.workloads import read_specs
from enforcer import load_policies
from tests.cli.stub import container

MIB = 1 << 20


def action(**more: Any) -> Action:
    stated: dict[str, Any] = {
        "decision": "d-000001",
        "policy": "memory-headroom",
        "container": "leaker",
        "field": "memory_max_bytes",
        "before": 96 * MIB,
        "after": 120 * MIB,
        "read_back": 120 * MIB,
        "kernel": 120 * MIB,
        "reason": "memory.usedRatio 85 % > 80 %",
        "time": "2026-01-31T08:00:00.000Z",
    }
    return Action(**(stated | more))


class Eyes:
    """A kernel that holds one value."""

    def __init__(self, value: object) -> None:
        self.value = value

    def read(self, container: str, field: str) -> object:
        return self.value


def test_the_kernel_must_hold_the_new_value_and_have_held_another() -> None:
    assert action().confirmed
    assert not action(kernel=96 * MIB).confirmed
    assert not action(kernel=None).confirmed
    assert not action(before=120 * MIB).confirmed


def test_rounding_to_pages_and_microseconds_is_no_difference() -> None:
    assert same("memory_max_bytes", 120 * MIB + 100, 120 * MIB)
    assert same("cpu_max_cores", 1.0499999, 1.05)
    assert not same("pids_max", 10, 11)
    assert not same("memory_max_bytes", "max", 120 * MIB)
    assert same("freezer", "frozen", "frozen")


@pytest.mark.parametrize(
    "more",
    [
        {"outcome": "refused"},
        {"policy": None},
        {"writes": []},
        {"outcome": "near_miss"},
        {"outcome": "observed"},
    ],
)
def test_only_what_a_policy_wrote_is_an_action(more: dict[str, object]) -> None:
    record = {
        "id": "d-000001",
        "seq": 1,
        "at": "2026-01-31T08:00:00.000Z",
        "policy": {"name": "memory-headroom"},
        "outcome": "applied",
        "target": "leaker",
        "field": "memory_max_bytes",
        "before": 96 * MIB,
        "wanted": 120 * MIB,
        "writes": [{"file": "limit", "value": "1", "read_back": "1"}],
    }

    assert len(list(read_actions([record], Eyes(120 * MIB)))) == 1
    assert list(read_actions([record | more], Eyes(120 * MIB))) == []


def test_the_end_of_a_policys_freeze_is_an_action_too() -> None:
    thawed = {
        "id": "d-000002",
        "seq": 2,
        "at": "2026-01-31T08:00:04.000Z",
        "policy": None,
        "owner": "policy:freeze-before-oom",
        "outcome": "expired",
        "result": "restored",
        "target": "leaker",
        "field": "freezer",
        "before": "frozen",
        "wanted": "thawed",
        "reason": "the lease of policy:freeze-before-oom ended",
    }

    (action,) = read_actions([thawed], Eyes("thawed"))

    assert (action.policy, action.confirmed) == ("freeze-before-oom", True)
    assert "freezer frozen -> thawed" in action_line(action)
    assert list(read_actions([thawed | {"owner": "operator"}], Eyes("thawed"))) == []
    assert list(read_actions([thawed | {"result": "drift"}], Eyes("frozen"))) == []


def test_a_decision_under_way_and_those_after_it_are_asked_for_again() -> None:
    policy = {"name": "memory-headroom"}
    decisions = [
        {"seq": 1, "outcome": "committed", "policy": None},
        {"seq": 2, "outcome": "applied", "policy": policy},
        {"seq": 3, "outcome": "committed", "policy": policy},
        {"seq": 4, "outcome": "applied", "policy": policy},
    ]

    assert [decision["seq"] for decision in settled(decisions)] == [1, 2]


def test_the_report_has_the_form_that_scripts_rely_on(tmp_path: Path) -> None:
    result = Result(actions=[action()], sweeps=30, seconds=30.04)
    result.see([dict(container("leaker", usage={"cpu_cores": 0.25, "memory_usage_bytes": 90 * MIB}))])

    result.write(str(tmp_path / "report.json"))

    report = json.loads((tmp_path / "report.json").read_text())
    assert set(report) == {"containers", "actions", "sweeps", "seconds"}
    names = {"policy", "container", "field", "before", "after", "read_back", "reason", "time"}
    assert names <= set(report["actions"][0])
    assert report["containers"][0]["peaks"]["cpu_cores"] == 0.25
    assert result.proven
    assert any("memory_max_bytes 96.0M -> 120M" in line for line in result.lines())


def test_without_a_confirmed_change_nothing_is_proven() -> None:
    result = Result(actions=[action(kernel=96 * MIB)])

    assert not result.proven
    assert "kernel says 96.0M" in action_line(result.actions[0])


def test_four_containers_with_the_labels_that_the_policies_choose_by() -> None:
    specs = {spec["name"]: spec for spec in read_specs()}
    policies = load_policies([str(Path(__file__).resolve().parents[2] / "cgwarden/demo/policies")]).policies

    chosen = {
        policy.name: [
            n for n, spec in specs.items() if policy.targets.matches(n, spec["labels"], spec["class"])
        ]
        for policy in policies
    }

    assert set(specs) == {"web", "hog", "leaker", "writer"}
    assert chosen == {
        "memory-headroom": ["leaker"],
        "freeze-before-oom": ["leaker"],
        "batch-cpu-suppress": ["hog"],
    }


def test_a_second_demo_is_told_the_pid_of_the_first(short_directory: Path) -> None:
    first, second = (Place(short_directory / "run", short_directory / "state") for _ in range(2))
    first.take()

    with pytest.raises(DemoRefused, match=f"pid {os.getpid()}") as refused:
        second.take()

    assert refused.value.exit_code == 4
    first.remove()
    assert list(short_directory.iterdir()) == []


def test_the_place_of_a_killed_demo_can_be_taken(short_directory: Path) -> None:
    killed = Place(short_directory / "run", short_directory / "state")
    killed.take()
    assert killed._lock is not None
    os.close(killed._lock)  # what the kernel does at SIGKILL

    after = Place(short_directory / "run", short_directory / "state")
    after.take()

    assert after.stop_old_daemon() is None
    after.remove()
