"""Rows that go into a ring come out as they were, in little space."""

import math

from hypothesis import given
from hypothesis import strategies as st

from monitor.ring import ROWS_PER_PAGE, Layout, Ring

LAYOUT = Layout(["memory_usage_bytes", "cpu_pressure_fraction"])

singles = st.none() | st.floats(0, 2.0**99, width=32, allow_nan=False)
halves = st.none() | st.floats(0, 1, width=16, allow_nan=False)


@given(st.lists(st.tuples(singles, halves), max_size=3 * ROWS_PER_PAGE), st.integers(0, 60))
def test_every_row_comes_back(rows: list[tuple[float | None, float | None]], stagger: int) -> None:
    ring = Ring(LAYOUT, 10_000, stagger)
    for tick, row in enumerate(rows):
        ring.append(tick, row)

    back = [values for run in ring.copy().runs() for values in [run.values] * (run.last - run.first + 1)]

    assert [tuple(None if math.isnan(v) else v for v in values) for values in back] == rows


def test_the_same_object_again_makes_a_run_longer() -> None:
    ring, still = Ring(LAYOUT, 900), (1.0, 0.5)
    for tick in range(500):
        ring.append(tick, still)

    (run,) = ring.copy().runs()

    assert (run.first, run.last, run.values) == (0, 499, still)


def test_a_missed_tick_is_a_gap_between_runs() -> None:
    ring, still = Ring(LAYOUT, 900), (1.0, 0.5)
    for tick in (0, 1, 3, 4):
        ring.append(tick, still)

    assert [(run.first, run.last) for run in ring.copy().runs()] == [(0, 1), (3, 4)]


def test_what_is_older_than_the_capacity_goes_page_by_page() -> None:
    ring = Ring(LAYOUT, 100)
    for tick in range(5000):
        ring.append(tick, (float(tick), None))

    runs = ring.copy().runs()

    assert runs[-1].first == 4999
    assert 4900 - 2 * ROWS_PER_PAGE <= runs[0].first <= 4900


def test_bytes_up_to_64_gib_are_exact() -> None:
    ring = Ring(LAYOUT, 10)
    ring.append(0, (64 * 2**30 - 4096, None))

    (run,) = ring.copy().runs()

    assert run.values[0] == 64 * 2**30 - 4096


def test_a_copy_leaves_out_pages_that_are_too_old() -> None:
    ring = Ring(LAYOUT, 10_000)
    for tick in range(10 * ROWS_PER_PAGE):
        ring.append(tick, (float(tick), None))

    copy = ring.copy(9 * ROWS_PER_PAGE)

    assert len(copy.pages) == 1
