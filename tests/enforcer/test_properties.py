"""What must hold whatever the numbers are."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from cgroupfs import UNLIMITED
from enforcer.decide import decide
from enforcer.decision import Decision, Kind
from enforcer.policy import PolicySet
from enforcer.state import State
from enforcer.view import ContainerView, View
from tests.enforcer.texts import FREEZE, GIB, HEADROOM, MIB, SUPPRESS, container, policies, view

EVERYTHING = policies(HEADROOM.replace("for: 3s", "for: 1s"), FREEZE, SUPPRESS)
no_facts = st.sampled_from([None, math.nan, math.inf, -math.inf, -1.0, -1e300])
numbers = st.one_of(no_facts, st.floats(0, 1e18), st.integers(0, 2**63))
ratios = st.one_of(no_facts, st.floats(0, 2))
limits = st.one_of(st.none(), st.just(UNLIMITED), st.integers(4096, 2**50))
quotas = st.one_of(st.none(), st.just(UNLIMITED), st.floats(0.02, 64).map(lambda value: round(value, 5)))


@st.composite
def containers(draw: st.DrawFn, name: str) -> ContainerView:
    signals = {
        "memory.usedRatio": draw(ratios),
        "memory.usage": draw(numbers),
        "cpu.cores": draw(numbers),
    }
    fields = {"memory_max_bytes": draw(limits), "cpu_max_cores": draw(quotas)}
    return container(name, signals, fields, sample_age_sec=draw(st.sampled_from([0.0, 0.5, 2.0, 9.0])))


@st.composite
def views(draw: st.DrawFn) -> View:
    node = {"cpu.usedRatio": draw(ratios), "cpu.systemCores": draw(numbers), "cpu.capacity": draw(numbers)}
    return view(*(draw(containers(name)) for name in ("a", "b")), node=node)


def play(seen: list[View], wanted: PolicySet) -> list[Decision]:
    state, done = State(), []
    for second, one in enumerate(seen):
        decisions, state = decide(one, state, wanted, float(second))
        done += decisions
    return done


@given(st.lists(views(), max_size=12))
@settings(max_examples=150, deadline=None)
def test_the_same_views_give_the_same_decisions(seen: list[View]) -> None:
    assert play(seen, EVERYTHING) == play(seen, EVERYTHING)


@given(st.lists(views(), max_size=12))
@settings(max_examples=150, deadline=None)
def test_every_value_lies_between_floor_and_ceiling(seen: list[View]) -> None:
    for decision in play(seen, EVERYTHING):
        if decision.kind not in (Kind.ACT, Kind.STEP):
            continue
        if decision.field == "memory_max_bytes":
            assert isinstance(decision.value, int)
            assert isinstance(decision.before, int)
            assert decision.before < decision.value <= 4 * GIB
        if decision.field == "cpu_max_cores":
            assert isinstance(decision.value, float)
            assert decision.value >= 0.02


@given(st.lists(no_facts, min_size=1, max_size=15))
def test_nothing_known_means_nothing_done(values: list[float | None]) -> None:
    blind = [
        view(
            container(
                signals={"memory.usedRatio": value, "memory.usage": value, "cpu.cores": value},
                fields={"memory_max_bytes": GIB, "cpu_max_cores": 1.0},
            ),
            node={"cpu.usedRatio": value, "cpu.capacity": value, "cpu.systemCores": value},
        )
        for value in values
    ]

    assert play(blind, EVERYTHING) == []


@given(st.lists(views(), min_size=1, max_size=10))
@settings(max_examples=50, deadline=None)
def test_stale_samples_mean_nothing_done(seen: list[View]) -> None:
    stale = [
        View(
            {
                name: container(name, one.signals, one.fields, sample_age_sec=60.0)
                for name, one in each.containers.items()
            },
            each.node,
            node_age_sec=60.0,
        )
        for each in seen
    ]

    assert play(stale, EVERYTHING) == []


@given(st.floats(0, 60), st.floats(0, 60), st.floats(0.02, 64), st.integers(1, 64))
def test_more_load_of_the_others_never_loosens_the_squeezed(
    load: float, more: float, quota: float, cores: int
) -> None:
    def squeezed(others: float) -> float:
        node = {
            "cpu.usedRatio": 0.9,
            "cpu.capacity": float(cores),
            "cpu.systemCores": 0.1,
            "cpu.nonTargetCores": others,
        }
        seen = view(container("a", {"cpu.cores": 1.0}, {"cpu_max_cores": round(quota, 5)}), node=node)
        values = [decision.value for decision in play([seen] * 3, policies(SUPPRESS))]
        return float(values[-1]) if values else round(quota, 5)  # type: ignore[arg-type]

    # Within the dead band the quota stays as it is, so a hundredth of the node is no loosening.
    assert squeezed(load + more) <= squeezed(load) + 0.01 * cores + 1e-4


@given(st.lists(st.integers(0, 400), min_size=12, max_size=20), st.integers(100, 300))
@settings(deadline=None)
def test_a_container_that_does_not_grow_is_never_frozen(sizes: list[int], limit: int) -> None:
    shrinking = sorted(sizes, reverse=True)
    seen = [
        view(container(signals={"memory.usage": size * MIB}, fields={"memory_max_bytes": limit * MIB}))
        for size in shrinking
    ]

    assert play(seen, policies(FREEZE)) == []
