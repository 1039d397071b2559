"""Questions about the last minutes: bounds, points, gaps."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import History, UnknownMetric
from monitor.history import MOST_GONE, PRUNE_TICKS, plan_buckets

Row = tuple[float | None, ...]


def fill(history: History, rows: Sequence[Mapping[str, Row]], start: float = 100.0) -> None:
    for tick, row in enumerate(rows):
        history.append(start + tick, 5000.0 + tick, (float(tick),), row)


def make_history(ticks: int = 900) -> History:
    return History(["cpu_cores", "pids_current"], ["load1"], ticks=ticks)


def test_without_points_every_tick_is_one() -> None:
    history = make_history()
    fill(history, [{"web": (1.0, 2.0)}, {"web": (3.0, None)}])

    page = history.query("web", ["cpu_cores", "pids_current"])

    assert page.t == [5000.0, 5001.0]
    assert page.columns["cpu_cores"] == {"min": [1.0, 3.0], "avg": [1.0, 3.0], "max": [1.0, 3.0]}
    assert page.columns["pids_current"]["avg"] == [2.0, None]


def test_points_hold_minimum_average_and_maximum() -> None:
    history = make_history()
    fill(history, [{"web": (value, None)} for value in (1.0, 5.0, 2.0, 4.0)])

    page = history.query("web", ["cpu_cores"], points=2)

    assert page.t == [5001.0, 5003.0]
    assert page.columns["cpu_cores"] == {"min": [1.0, 2.0], "avg": [3.0, 3.0], "max": [5.0, 4.0]}


def test_the_host_is_asked_by_name_or_by_nothing() -> None:
    history = make_history()
    fill(history, [{}, {}])

    assert history.query("host", ["load1"]).columns == history.query("", ["load1"]).columns
    assert history.query("host", ["load1"]).columns["load1"]["max"] == [0.0, 1.0]


def test_only_the_last_seconds_are_given() -> None:
    history = make_history()
    fill(history, [{"web": (float(tick), None)} for tick in range(100)])

    assert history.query("web", ["cpu_cores"], since_sec=10).columns["cpu_cores"]["min"] == list(
        range(89, 100)
    )


def test_a_tick_without_a_reading_is_a_point_without_a_value() -> None:
    history = make_history()
    fill(history, [{"web": (1.0, None)}, {}, {"web": (3.0, None)}])

    assert history.query("web", ["cpu_cores"]).columns["cpu_cores"]["avg"] == [1.0, None, 3.0]


def test_a_container_never_seen_has_no_points() -> None:
    page = make_history().query("nobody", ["cpu_cores"])

    assert page.t == []
    assert page.columns == {"cpu_cores": {"min": [], "avg": [], "max": []}}


def test_a_metric_that_is_not_recorded_is_named() -> None:
    with pytest.raises(UnknownMetric, match="'cpu_coares' is not a metric; known are cpu_cores"):
        make_history().query("web", ["cpu_coares"])


def test_a_step_of_the_wall_clock_does_not_bend_the_axis() -> None:
    history = make_history()
    history.append(10.0, 5000.0, (0.0,), {"web": (1.0, None)})
    history.append(11.0, 9001.0, (0.0,), {"web": (1.0, None)})

    assert history.query("web", ["cpu_cores"]).t == [9000.0, 9001.0]


def test_series_of_the_gone_end_with_the_window() -> None:
    history = make_history(ticks=20)
    fill(history, [{"web": (1.0, None)}] + [{"db": (1.0, None)}] * 64)

    assert history.names() == ["db"]


def test_many_short_lives_do_not_fill_the_memory() -> None:
    history = make_history(ticks=100_000)
    fill(history, [{f"job{tick}": (1.0, None)} for tick in range(3 * MOST_GONE)])

    assert len(history.names()) <= MOST_GONE + PRUNE_TICKS


@given(st.integers(0, 2000), st.integers(0, 2000), st.none() | st.integers(-3, 3000))
def test_buckets_stay_within_the_points_and_reach_the_last_tick(first: int, ticks: int, points: Any) -> None:
    last = first + ticks

    buckets = plan_buckets(first, last, points)

    assert 1 <= buckets.number <= (ticks + 1 if points is None else max(points, 1))
    assert buckets.last_tick(buckets.number - 1) >= last
    assert buckets.last_tick(buckets.number - 1) - last < buckets.width


values = st.none() | st.floats(0, 1e6, width=32, allow_nan=False)


@given(
    st.lists(st.none() | values, min_size=1, max_size=80),
    st.integers(1, 90),
    st.floats(0, 100, allow_nan=False),
    st.integers(2, 90),
)
def test_every_answer_is_in_bounds(series: list[float | None], points: int, since: float, ticks: int) -> None:
    history = make_history(ticks)
    fill(history, [{"web": (value, None)} for value in series])

    page = history.query("web", ["cpu_cores"], since_sec=since, points=points)

    column = page.columns["cpu_cores"]
    known = [value for value in series if value is not None]
    assert len(page.t) == len(column["min"]) == len(column["avg"]) == len(column["max"])
    assert 1 <= len(page.t) <= points
    assert page.t == sorted(page.t)
    for low, average, high in zip(column["min"], column["avg"], column["max"], strict=True):
        if low is None or average is None or high is None:
            assert (low, average, high) == (None, None, None)
        else:
            assert min(known) <= low <= average <= high <= max(known)
