from __future__ import annotations

import pytest

from cgroupfs import UNLIMITED
from enforcer.fields import CPU_QUOTA, MEMORY_MAX, PIDS_MAX
from enforcer.laws import changed_value, shares, step_towards, suppressed_budget_cores
from enforcer.policy import Change, Suppress
from tests.enforcer.texts import GIB, MIB

LAW = Suppress(CPU_QUOTA, 0.65, 0.5, 0.0, 0.10, 0.01, True)


@pytest.mark.parametrize(
    ("present", "wanted"),
    [(10, 18), (19, 20), (24, 20), (19.8, None), (None, 20)],
    ids=["up by a tenth of the node", "up", "down at once", "dead band", "unset"],
)
def test_eighty_cpus_that_should_give_twenty(present: float | None, wanted: float | None) -> None:
    assert step_towards(LAW, 20, present, 80, 1.0) == wanted


def test_suppression_ends_at_two_thousand_microseconds_of_quota() -> None:
    assert step_towards(LAW, 0.001, 0.8, 80, 1.0) == 0.02


def test_best_effort_gets_what_the_others_leave_of_the_target() -> None:
    assert suppressed_budget_cores(LAW, 16, 6, 1) == pytest.approx(3.4)
    assert suppressed_budget_cores(LAW, 16, 6, 0.1) == pytest.approx(3.9)


def test_shares_follow_weights_and_add_up() -> None:
    assert shares([1024, 3072], by_weight=True) == [0.25, 0.75]
    assert shares([1024, 3072], by_weight=False) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("change", "present", "value"),
    [
        (Change("scale", MEMORY_MAX, 1.25, None, 4 * GIB), GIB, 1280 * MIB),
        (Change("scale", MEMORY_MAX, 1.25, None, 4 * GIB), 3900 * MIB, 4 * GIB),
        (Change("scale", MEMORY_MAX, 1.25, None, 4 * GIB), 4 * GIB, None),
        (Change("scale", MEMORY_MAX, 1.25, None, 4 * GIB), 5 * GIB, None),
        (Change("scale", MEMORY_MAX, 1.25, None, 4 * GIB), UNLIMITED, None),
        (Change("scale", MEMORY_MAX, 1.25, None, 4 * GIB), None, None),
        (Change("scale", MEMORY_MAX, 0.5, 64 * MIB, None), 100 * MIB, 64 * MIB),
        (Change("scale", MEMORY_MAX, 0.5, 64 * MIB, None), 32 * MIB, None),
        (Change("step", PIDS_MAX, 10, None, 100), 95, 100),
        (Change("step", CPU_QUOTA, -0.5, 0.2, None), 0.6, 0.2),
        (Change("set", CPU_QUOTA, 0.5, None, None), UNLIMITED, 0.5),
        (Change("set", CPU_QUOTA, 0.5, None, None), 0.5, None),
    ],
)
def test_a_change_stays_within_its_bounds_and_keeps_its_direction(
    change: Change, present: object, value: float | None
) -> None:
    assert changed_value(change, present) == value


def test_memory_is_rounded_to_what_the_kernel_keeps() -> None:
    assert (
        changed_value(Change("scale", MEMORY_MAX, 1.1, None, 4 * GIB), 100 * MIB + 4096) == 115343360 + 4096
    )
