from __future__ import annotations

import math

import pytest

from enforcer.signals import known, memory_slope, summarize, theil_sen_slope, time_to_limit_sec

GROWING = [(float(t), 100.0 + 10 * t) for t in range(10)]


def test_ten_a_second_to_a_limit_of_300_takes_eleven_seconds() -> None:
    slope = memory_slope(GROWING, 10)

    assert slope == 10
    assert time_to_limit_sec(190, 300, slope) == 11


def test_one_outlier_changes_nothing() -> None:
    outlier = [(t, 500.0 if t == 4 else value) for t, value in GROWING]

    assert theil_sen_slope(outlier) == 10


def test_a_slope_needs_eight_of_ten_samples() -> None:
    assert memory_slope(GROWING[:8], 10) == 10
    assert memory_slope(GROWING[:7], 10) is None


def test_what_does_not_grow_never_meets_its_limit() -> None:
    assert time_to_limit_sec(190, 300, 0.0) == math.inf
    assert time_to_limit_sec(190, 300, -5.0) == math.inf


def test_without_a_limit_or_a_slope_nothing_is_known() -> None:
    assert time_to_limit_sec(190, None, 10) is None
    assert time_to_limit_sec(190, 300, None) is None


def test_a_container_above_its_limit_is_there_already() -> None:
    assert time_to_limit_sec(310, 300, 10) == 0


@pytest.mark.parametrize(
    ("stat", "value"),
    [("last", 4), ("mean", 2.5), ("min", 1), ("max", 4), ("p50", 2), ("p95", 4), ("p99", 4)],
)
def test_a_statistic_over_four_values(stat: str, value: float) -> None:
    assert summarize([(0, 1), (1, 2), (2, 3), (3, 4)], stat) == value


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, -0.1])
def test_what_is_no_fact_is_unknown(value: float | None) -> None:
    assert known(value) is None
