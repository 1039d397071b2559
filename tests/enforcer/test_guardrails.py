from __future__ import annotations

from dataclasses import replace

import pytest

from cgroupfs import UNLIMITED
from enforcer.address import check_address, parse_proc_cgroup
from enforcer.decision import Decision, Kind
from enforcer.errors import Forbidden
from enforcer.guardrails import Railed, Scene, Tally, check
from enforcer.policy import Budget, GuardRails
from tests.enforcer.texts import FREEZE, GIB, HEADROOM, MIB, policy

RAILS = GuardRails()
CALM = Scene(
    labels={},
    klass="burstable",
    sample_age_sec=0.1,
    present=GIB,
    usage_bytes=100 * MIB,
    sample_usage_bytes=100 * MIB,
    node_cores=4,
    containers=8,
)


def wish(field: str, value: object, before: object = GIB, spec: str = HEADROOM) -> Decision:
    verb = "freeze" if field == "freezer" else "scale"
    return Decision(Kind.ACT, policy(spec), "web", 7, verb, field, value, before, 60.0, "because")


FREEZE_WEB = wish("freezer", "frozen", "thawed", FREEZE)


def railed(
    decision: Decision, scene: Scene = CALM, tally: Tally | None = None, rails: GuardRails = RAILS
) -> Railed:
    return check(decision, scene, tally or Tally(), rails, 1000.0)


def said(result: Railed) -> dict[str, str]:
    return {rail.rail: rail.result for rail in result.rails}


@pytest.mark.parametrize(
    ("field", "present", "wanted", "value", "rail"),
    [
        ("memory_max_bytes", GIB, 1280 * MIB, 1280 * MIB, None),
        ("memory_max_bytes", GIB, 3 * GIB, 2 * GIB, "step"),
        ("memory_max_bytes", GIB, 512 * MIB, int(GIB * 0.95) // 4096 * 4096, "step"),
        ("memory_max_bytes", 66 * MIB, 32 * MIB, 64 * MIB, "floor and ceiling"),
        ("cpu_max_cores", 1.0, 3.0, 1.4, "step"),
        ("cpu_max_cores", 1.0, 0.01, 0.05, "floor and ceiling"),
        ("cpu_max_cores", UNLIMITED, 0.5, 0.5, None),
        ("pids_max", 100, 500, 150, "step"),
        ("pids_max", 100, 10, 50, "step"),
    ],
)
def test_a_value_is_clipped_and_the_rail_says_so(
    field: str, present: object, wanted: object, value: object, rail: str | None
) -> None:
    scene = replace(CALM, present=present, usage_bytes=0)

    result = railed(wish(field, wanted, present), scene)

    assert result.value == value
    assert [name for name, how in said(result).items() if how == "clip"] == ([rail] if rail else [])


def test_a_memory_limit_stays_clear_of_usage() -> None:
    scene = replace(CALM, usage_bytes=950 * MIB)

    result = railed(wish("memory_max_bytes", 960 * MIB), scene)

    assert result.refused is not None
    assert result.refused.detail == "the other rails leave nothing to do"


def test_an_old_sample_is_refused_and_a_hard_action_needs_a_younger_one() -> None:
    older = replace(CALM, sample_age_sec=2.0)

    assert said(railed(wish("memory_max_bytes", 1280 * MIB), older))["age"] == "pass"
    assert said(railed(FREEZE_WEB, older))["age"] == "refuse"
    assert (
        said(railed(wish("memory_max_bytes", 1280 * MIB), replace(CALM, sample_age_sec=4.0)))["age"]
        == "refuse"
    )


def test_a_protected_container_may_only_be_given_more() -> None:
    core = replace(CALM, labels={"tier": "core"})

    assert said(railed(wish("memory_max_bytes", 1280 * MIB), core))["protected"] == "pass"
    assert said(railed(wish("memory_max_bytes", 1000 * MIB), core))["protected"] == "refuse"
    assert said(railed(FREEZE_WEB, core))["protected"] == "refuse"


def test_a_quarter_of_the_containers_may_be_frozen_at_once() -> None:
    one, two = Tally(frozen={"a"}), Tally(frozen={"a", "b"})

    assert said(railed(FREEZE_WEB, tally=one))["blast radius"] == "pass"
    assert said(railed(FREEZE_WEB, tally=two))["blast radius"] == "refuse"
    assert said(railed(FREEZE_WEB, replace(CALM, containers=1)))["blast radius"] == "pass"


def test_ten_hard_actions_an_hour_are_enough() -> None:
    tally = Tally()
    for second in range(10):
        tally.count(FREEZE_WEB, 900.0 + second, hard=True)

    assert said(railed(FREEZE_WEB, tally=tally))["blast radius"] == "refuse"
    assert said(check(FREEZE_WEB, CALM, tally, RAILS, 4600.0))["blast radius"] == "pass"


def test_a_field_is_written_once_a_second() -> None:
    tally = Tally()
    tally.count(wish("memory_max_bytes", 1280 * MIB), 999.5, hard=False)

    assert said(railed(wish("memory_max_bytes", 1280 * MIB), tally=tally))["rate"] == "refuse"


def test_a_policy_that_used_its_budget_only_observes() -> None:
    decision = wish("memory_max_bytes", 1280 * MIB)
    decision = replace(decision, policy=replace(decision.policy, budget=Budget(2, 3600)))
    tally = Tally()
    for second in range(2):
        tally.count(decision, 900.0 + 10 * second, hard=False)

    assert said(railed(decision, tally=tally))["budget"] == "halt"
    assert said(railed(replace(decision, kind=Kind.STEP), tally=tally))["budget"] == "pass"


def test_a_container_that_let_go_of_memory_is_not_frozen_for_it() -> None:
    scene = replace(CALM, usage_bytes=50 * MIB)

    assert said(railed(FREEZE_WEB, scene))["re-read"] == "refuse"


@pytest.mark.parametrize("path", ["", "/", "x", "/a/../b", "/a//b", "/.", "/daemon", "/sys"])
def test_some_cgroups_are_never_changed(path: str) -> None:
    own = frozenset(parse_proc_cgroup("5:memory:/daemon\n0::/sys/init\n"))

    with pytest.raises(Forbidden):
        check_address(path, own)


def test_a_container_beside_the_daemon_may_be_changed() -> None:
    check_address("/cgwarden/web", frozenset({"/", "/cgwarden-daemon"}))
