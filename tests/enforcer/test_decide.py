from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from cgroupfs import UNLIMITED
from enforcer.decide import decide, settled
from enforcer.decision import Decision, Kind
from enforcer.policy import PolicySet
from enforcer.state import State
from enforcer.view import View
from tests.enforcer.texts import FREEZE, GIB, HEADROOM, MIB, SUPPRESS, container, policies, policy, view

Timeline = list[tuple[int, Decision]]


def play(views: Iterable[View], wanted: PolicySet) -> Timeline:
    """Decisions with their second, one view a second."""
    state, done = State(), Timeline()
    for second, seen in enumerate(views):
        decisions, state = decide(seen, state, wanted, float(second))
        done += [(second, decision) for decision in decisions]
    return done


def filled(ratio: float | None, **more: Any) -> View:
    fields: Mapping[str, object] = {"memory_max_bytes": GIB}
    return view(container(signals={"memory.usedRatio": ratio}, fields=fields, **more))


def kinds(timeline: Timeline) -> list[tuple[int, str]]:
    return [(second, decision.kind.value) for second, decision in timeline]


def test_a_limit_is_raised_after_the_hold_time_and_not_before() -> None:
    done = play([filled(0.5)] * 2 + [filled(0.95)] * 4, policies(HEADROOM))

    ((second, decision),) = done
    assert second == 5
    assert (decision.target, decision.field, decision.value) == ("web", "memory_max_bytes", 1280 * MIB)
    assert decision.reason == "memory.usedRatio 95 % > 90 % for 3 s"


def test_a_hold_that_is_interrupted_begins_anew() -> None:
    done = play([filled(0.95)] * 3 + [filled(0.85)] + [filled(0.95)] * 3, policies(HEADROOM))

    assert kinds(done) == [(3, "near_miss")]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -1.0])
def test_what_is_not_known_is_never_true_and_voids_the_hold(value: float | None) -> None:
    views = [filled(0.95)] * 2 + [filled(value)] + [filled(0.95)] * 3

    assert [kind for _, kind in kinds(play(views, policies(HEADROOM)))] in ([], ["near_miss"])


def test_what_is_not_known_is_not_true_under_not_either() -> None:
    spec = """
when: {not: {signal: memory.usedRatio, above: 90%}}
do: [{freeze: {for: 5s}}]
"""

    assert play([filled(None)] * 5, policies(spec)) == []
    assert kinds(play([filled(0.5)], policies(spec))) == [(0, "act")]


def test_a_stale_sample_is_as_good_as_none() -> None:
    assert play([filled(0.95, sample_age_sec=3.5)] * 10, policies(HEADROOM)) == []


def test_a_target_rests_after_an_action() -> None:
    done = play([filled(0.95)] * 16, policies(HEADROOM))

    assert [second for second, decision in done if decision.kind is Kind.ACT] == [3, 13]


def test_a_lease_is_renewed_by_thirds_while_the_condition_holds() -> None:
    spec = HEADROOM.replace("60s", "9s").replace("target: 10s", "target: 1h")

    done = play([filled(0.95)] * 5 + [filled(0.85)] * 5 + [filled(0.5)] * 20, policies(spec))

    assert kinds(done) == [(3, "act"), (6, "renew"), (9, "renew")]


def test_half_the_hold_time_is_a_near_miss() -> None:
    (miss,) = play([filled(0.95)] * 3 + [filled(0.5)] * 2, policies(HEADROOM))

    assert miss[0] == 3
    assert miss[1].kind is Kind.NEAR_MISS
    assert miss[1].reason == "memory.usedRatio > 90 % was true for 2 s of 3 s, then cleared"


def test_a_namesake_inherits_no_hold_time() -> None:
    spec = policies(HEADROOM)
    other = view(
        container(signals={"memory.usedRatio": 0.95}, fields={"memory_max_bytes": GIB}),
    )
    (old,) = other.containers.values()
    reborn = View({"web": type(old)("web", 8, signals=old.signals, fields=old.fields)})

    assert play([other] * 3 + [reborn] * 3, spec) == []


def test_only_matching_containers_that_are_old_enough_are_touched() -> None:
    spec = policies(HEADROOM.replace("3s}", "0s}") + "targets: {matchLabels: {tier: web}, minAge: 30s}")
    many = view(
        *(
            container(name, {"memory.usedRatio": 0.95}, {"memory_max_bytes": GIB}, labels=labels, age_sec=age)
            for name, labels, age in [
                ("old", {"tier": "web"}, 31.0),
                ("young", {"tier": "web"}, 29.0),
                ("unknown", {"tier": "web"}, None),
                ("other", {"tier": "db"}, 99.0),
            ]
        )
    )

    ((_, decision),) = play([many], spec)

    assert decision.target == "old"
    assert [candidate["rejected"] for candidate in decision.candidates] == [
        "minAge 0s < 30s",
        "minAge 29s < 30s",
    ]


def test_a_person_overrules_every_policy() -> None:
    held = filled(0.95, owners={"memory_max_bytes": ("operator", 2000)})

    done = play([held] * 10, policies(HEADROOM))

    assert kinds(done) == [(3, "overruled")]
    assert done[0][1].overruled_by == "operator"


def test_the_higher_priority_wins_the_field_and_the_loser_is_recorded() -> None:
    low = policy(HEADROOM, "low")
    high = policy(HEADROOM.replace("125%", "150%") + "priority: 200", "high")

    done = play([filled(0.95)] * 4, PolicySet((high, low)))

    assert [(decision.policy.name, decision.kind) for _, decision in done] == [
        ("high", Kind.ACT),
        ("low", Kind.OVERRULED),
    ]


def test_of_equals_the_present_owner_keeps_the_field() -> None:
    held = filled(0.95, owners={"memory_max_bytes": ("policy:p1", 100)})

    done = play([held] * 4, policies(HEADROOM, HEADROOM))

    assert [(decision.policy.name, decision.kind.value) for _, decision in done] == [
        ("p0", "overruled"),
        ("p1", "act"),
    ]


def growing(second: int, **more: Any) -> View:
    usage = (100 + 10 * second) * MIB
    return view(container(signals={"memory.usage": usage}, fields={"memory_max_bytes": 300 * MIB}, **more))


def test_a_freeze_comes_at_the_second_look_below_ten_seconds() -> None:
    done = play([growing(second) for second in range(14)], policies(FREEZE))

    ((second, decision),) = done
    assert second == 12
    assert (decision.field, decision.value, decision.lease_sec) == ("freezer", "frozen", 20.0)
    assert decision.reason == "memory.timeToLimit 8 s < 10 s"


def test_what_is_frozen_is_not_frozen_again() -> None:
    assert play([growing(second, frozen=True) for second in range(14)], policies(FREEZE)) == []


def test_without_a_memory_limit_nothing_is_approached() -> None:
    endless = [
        view(container(signals={"memory.usage": second * 99 * MIB}, fields={"memory_max_bytes": UNLIMITED}))
        for second in range(30)
    ]

    assert play(endless, policies(FREEZE)) == []


def busy(used: float, quota: object, others: float = 1.0, system: float = 0.2, **more: Any) -> View:
    node = {"cpu.usedRatio": used, "cpu.capacity": 4.0, "cpu.systemCores": system}
    job = container("job", {"cpu.cores": 2.0}, {"cpu_max_cores": quota}, **more)
    return view(job, container("db", {"cpu.cores": others}, {}, klass="guaranteed"), node=node)


SQUEEZE_JOBS = SUPPRESS + "targets: {names: [job]}"


def test_suppression_begins_after_its_hold_and_follows_the_load() -> None:
    before = {"cpu_max_cores": UNLIMITED}
    squeezed = [(0.9, 1.1, 1.0), (0.9, 1.1, 1.5), (0.7, 0.6, 1.0)]
    views = [busy(0.9, UNLIMITED)] * 3
    views += [busy(used, quota, others, baselines=before) for used, quota, others in squeezed]

    done = play(views, policies(SQUEEZE_JOBS))

    assert [(second, d.kind.value, d.value) for second, d in done] == [
        (2, "act", 1.1),
        (4, "step", 0.6),
        (5, "step", 1.0),
    ]
    assert done[0][1].reason == "node cpu.usedRatio 90 % > 65 % for 2 s; 4×0.65 − 1.00 − 0.50 = 1.10 cores"


def test_the_reason_tells_when_only_the_leaving_threshold_holds_it() -> None:
    views = [busy(0.9, UNLIMITED)] * 3 + [busy(0.62, 0.8, baselines={"cpu_max_cores": UNLIMITED})]

    done = play(views, policies(SQUEEZE_JOBS))

    assert done[-1][1].reason.startswith("node cpu.usedRatio 62 %, not yet below 60 %; ")


def test_suppression_lets_go_slowly_and_then_restores() -> None:
    calm = [busy(0.2, quota) for quota in (1.1, 3.2, 3.6)]

    done = play([busy(0.9, UNLIMITED)] * 3 + calm, policies(SQUEEZE_JOBS))

    assert [(d.kind.value, d.value) for _, d in done] == [
        ("act", 1.1),
        ("step", 1.5),
        ("step", 3.6),
        ("release", None),
    ]


def test_suppression_never_gives_more_than_there_was_before() -> None:
    limited = busy(0.9, 0.8, baselines={"cpu_max_cores": 0.8})

    assert play([limited] * 6, policies(SQUEEZE_JOBS)) == []


def test_suppression_waits_where_one_load_is_unknown() -> None:
    blind = view(
        container("job", {"cpu.cores": 2.0}, {"cpu_max_cores": UNLIMITED}),
        container("db", {"cpu.cores": None}, {}),
        node={"cpu.usedRatio": 0.9, "cpu.capacity": 4.0, "cpu.systemCores": 0.2},
    )

    assert play([blind] * 10, policies(SQUEEZE_JOBS)) == []


def test_two_jobs_share_by_weight() -> None:
    node = {"cpu.usedRatio": 0.9, "cpu.capacity": 8.0, "cpu.systemCores": 0.7}
    jobs = [
        container(name, {"cpu.cores": 2.0}, {"cpu_max_cores": UNLIMITED}, weight=weight)
        for name, weight in (("a", 1024.0), ("b", 3072.0))
    ]

    done = play([view(*jobs, node=node)] * 3, policies(SUPPRESS + "targets: {names: [a, b]}"))

    assert [(d.target, d.value) for _, d in done] == [("a", 1.125), ("b", 3.375)]


def test_a_policy_that_observes_decides_once_for_each_lease() -> None:
    observing = PolicySet((policy(SQUEEZE_JOBS, mode="observe"),))
    state, seconds = State(), []
    for second in range(40):
        decisions, state = decide(busy(0.9, UNLIMITED), state, observing, float(second))
        for decision in decisions:
            seconds.append(second)
            state = settled(state, decision, "observed", float(second))

    assert seconds == [2, 32]


def test_a_failed_action_engages_nothing_and_is_retried_later() -> None:
    spec = policies(HEADROOM.replace("cooldown: {target: 10s}", ""))
    state, seconds = State(), []
    for second in range(20):
        decisions, state = decide(filled(0.95), state, spec, float(second))
        for decision in decisions:
            seconds.append(second)
            state = settled(state, decision, "failed", float(second))

    assert seconds == [3, 13]
    assert state.engaged == {}


def test_a_suspended_policy_is_not_asked() -> None:
    assert play([filled(0.95)] * 9, policies(HEADROOM + "suspend: true")) == []


Check = Callable[[float], bool]


@pytest.mark.parametrize(
    ("when", "true_for"),
    [
        ("all: [{signal: memory.usedRatio, above: 50%}, {signal: pids.count, above: 5}]", [(0.6, 6)]),
        (
            "any: [{signal: memory.usedRatio, above: 50%}, {signal: pids.count, above: 5}]",
            [(0.6, None), (None, 6)],
        ),
        ("all: [{signal: memory.usedRatio, above: 50%}, {not: {signal: pids.count, above: 5}}]", [(0.6, 5)]),
    ],
)
def test_conditions_combine_in_three_values(
    when: str, true_for: list[tuple[float | None, float | None]]
) -> None:
    spec = policies(f"when: {{{when}}}\ndo: [{{freeze: {{for: 5s}}}}]")
    values = [(ratio, pids) for ratio in (0.4, 0.6, None) for pids in (5, 6, None)]

    true = [
        (ratio, pids)
        for ratio, pids in values
        if play([view(container(signals={"memory.usedRatio": ratio, "pids.count": pids}))], spec)
    ]

    if when.startswith("any"):
        assert set(true_for) <= set(true)
        assert all(ratio == 0.6 or pids == 6 for ratio, pids in true)
    else:
        assert true == true_for
