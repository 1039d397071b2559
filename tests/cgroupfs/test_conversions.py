"""The formulas: known values, bounds, order, and the way there and back, over all that there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs.conversions import (
    LINEAR,
    PROPORTIONAL,
    QUADRATIC,
    SHARES_FORMULAS,
    SharesFormula,
    bfq_to_blkio_weight,
    bfq_to_io_weight,
    blkio_to_bfq_weight,
    blkio_to_io_weight,
    io_to_bfq_weight,
    io_to_blkio_weight,
    memsw_to_swap,
    swap_to_memsw,
)
from cgroupfs.errors import BadLimit
from cgroupfs.values import UNLIMITED, Limit

SHARES = st.integers(2, 262_144)
WEIGHTS = st.integers(1, 10_000)
LIMITS = st.one_of(st.just(UNLIMITED), st.integers(0, 1 << 62))
formulas = pytest.mark.parametrize("formula", SHARES_FORMULAS, ids=lambda formula: formula.name)


@pytest.mark.parametrize(
    ("shares", "quadratic", "linear", "proportional"),
    [
        (2, 1, 1, 1),
        (512, 59, 20, 50),
        (1024, 100, 39, 100),
        (2048, 174, 79, 200),
        (88_761, 3_918, 3_386, 8_668),
        (262_144, 10_000, 10_000, 10_000),
    ],
)
def test_known_values(shares: int, quadratic: int, linear: int, proportional: int) -> None:
    assert QUADRATIC.to_weight(shares) == quadratic
    assert LINEAR.to_weight(shares) == linear
    assert PROPORTIONAL.to_weight(shares) == proportional


def test_the_default_is_the_default_both_ways_but_for_the_linear_one() -> None:
    assert QUADRATIC.to_shares(100) == PROPORTIONAL.to_shares(100) == 1024
    assert LINEAR.to_shares(100) == 2597


@formulas
def test_every_weight_survives_the_way_there_and_back(formula: SharesFormula) -> None:
    lost = {weight - formula.to_weight(formula.to_shares(weight)) for weight in range(1, 10_001)}

    assert lost == ({0, 1} if formula is LINEAR else {0})


@formulas
@given(shares=SHARES)
def test_shares_become_a_weight_of_the_kernels_range(formula: SharesFormula, shares: int) -> None:
    assert 1 <= formula.to_weight(shares) <= 10_000


@formulas
@given(weight=WEIGHTS)
def test_a_weight_becomes_shares_of_the_kernels_range(formula: SharesFormula, weight: int) -> None:
    assert 2 <= formula.to_shares(weight) <= 262_144


@formulas
@given(one=SHARES, other=SHARES)
def test_more_shares_are_never_less_weight(formula: SharesFormula, one: int, other: int) -> None:
    least, most = sorted((one, other))

    assert formula.to_weight(least) <= formula.to_weight(most)


@given(SHARES)
def test_the_way_back_of_the_quadratic_one_gives_the_most_shares_of_a_weight(shares: int) -> None:
    weight = QUADRATIC.to_weight(shares)

    most = QUADRATIC.to_shares(weight)

    assert most >= shares
    assert most == 262_144 or QUADRATIC.to_weight(most + 1) > weight


@given(st.integers(6, 102_400))
def test_the_proportional_one_keeps_shares_within_half_a_weight(shares: int) -> None:
    assert abs(PROPORTIONAL.to_shares(PROPORTIONAL.to_weight(shares)) - shares) <= 6


@formulas
@pytest.mark.parametrize("value", [-1, 0, 300_000])
def test_what_the_kernel_would_not_take_is_not_converted(formula: SharesFormula, value: int) -> None:
    with pytest.raises(ValueError, match=f"shares {value} is outside 2 to 262144"):
        formula.to_weight(value)
    with pytest.raises(ValueError, match=f"weight {value} is outside 1 to 10000"):
        formula.to_shares(value)


def test_every_blkio_weight_survives_the_way_there_and_back() -> None:
    assert [blkio_to_io_weight(weight) for weight in (10, 100, 500, 1000)] == [1, 910, 4950, 10_000]
    assert all(io_to_blkio_weight(blkio_to_io_weight(weight)) == weight for weight in range(10, 1001))
    assert {10 <= io_to_blkio_weight(weight) <= 1000 for weight in range(1, 10_001)} == {True}


def test_every_bfq_weight_survives_the_way_there_and_back() -> None:
    assert [io_to_bfq_weight(weight) for weight in (1, 50, 100, 111, 10_000)] == [1, 50, 100, 101, 1000]
    assert all(io_to_bfq_weight(bfq_to_io_weight(weight)) == weight for weight in range(1, 1001))
    assert all(blkio_to_bfq_weight(weight) == weight for weight in range(10, 1001))
    assert [bfq_to_blkio_weight(weight) for weight in (1, 9, 10, 1000)] == [10, 10, 10, 1000]


@pytest.mark.parametrize(
    ("memory", "memsw", "swap"),
    [
        (100, 150, 50),
        (100, 100, 0),
        (UNLIMITED, 150, 150),
        (100, UNLIMITED, UNLIMITED),
        (UNLIMITED, UNLIMITED, UNLIMITED),
        (100, None, None),
        (None, UNLIMITED, UNLIMITED),
    ],
)
def test_known_limits_of_swap(memory: Limit | None, memsw: Limit | None, swap: Limit | None) -> None:
    assert memsw_to_swap(memory, memsw) == swap


def test_swap_without_the_memory_limit_is_refused_both_ways() -> None:
    with pytest.raises(BadLimit, match="cannot be told without the memory limit"):
        memsw_to_swap(None, 150)
    with pytest.raises(BadLimit, match="cannot be added without the memory limit"):
        swap_to_memsw(None, 150)
    with pytest.raises(BadLimit, match="less than 100 for memory"):
        memsw_to_swap(100, 99)


@given(memory=st.integers(0, 1 << 62), swap=LIMITS)
def test_swap_survives_the_way_there_and_back_under_any_memory_limit(memory: int, swap: Limit) -> None:
    assert memsw_to_swap(memory, swap_to_memsw(memory, swap)) == swap


@given(LIMITS)
def test_without_a_memory_limit_swap_cannot_be_limited_the_other_way(swap: Limit) -> None:
    assert swap_to_memsw(UNLIMITED, swap) is UNLIMITED
    assert swap_to_memsw(UNLIMITED, None) is None
