from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcer.fields import Unit
from enforcer.quantities import BadQuantity, format_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("64Mi", Unit.BYTES, 67108864),
        ("1.5Gi", Unit.BYTES, 1610612736),
        ("5MB", Unit.BYTES, 5_000_000),
        ("+256Mi", Unit.BYTES, 268435456),
        ("500m", Unit.CORES, 0.5),
        ("25%", Unit.RATIO, 0.25),
        ("125%", Unit.RATIO, 1.25),
        ("10s", Unit.SECONDS, 10),
        ("250ms", Unit.SECONDS, 0.25),
        ("2m", Unit.SECONDS, 120),
        ("50", Unit.COUNT, 50),
        ("10mbit", Unit.BYTES_PER_SEC, 1_250_000),
        ("5MB/s", Unit.BYTES_PER_SEC, 5_000_000),
        ("0/s", Unit.PER_SEC, 0),
    ],
)
def test_a_quantity_means_its_number_in_the_unit(text: str, unit: Unit, value: float) -> None:
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("10", Unit.SECONDS, '"10" has no unit (did you mean "10s"?)'),
        ("90", Unit.RATIO, '"90" has no unit (did you mean "90%"?)'),
        ("64mi", Unit.BYTES, '"64mi" has an unknown unit "mi" (did you mean "64Mi"?)'),
        ("ten", Unit.SECONDS, '"ten" is not a duration such as 10s'),
        ("1.5", Unit.COUNT, '"1.5" is not a whole number of count'),
        ("0.3B", Unit.BYTES, '"0.3B" is not a whole number of bytes'),
        ("1e3s", Unit.SECONDS, '"1e3s" is not a duration such as 10s'),
        ("NaN", Unit.RATIO, '"NaN" is not a share such as 25%'),
    ],
)
def test_a_bad_quantity_is_told_with_what_would_do(text: str, unit: Unit, message: str) -> None:
    with pytest.raises(BadQuantity) as refused:
        parse_quantity(text, unit)

    assert str(refused.value) == message


@given(st.text(max_size=50), st.sampled_from(list(Unit)))
def test_any_text_is_a_number_or_refused(text: str, unit: Unit) -> None:
    try:
        value = parse_quantity(text, unit)
    except BadQuantity:
        return

    assert value == value
    assert abs(value) < float("inf")


@given(st.integers(0, 2**70))
def test_whole_bytes_are_never_rounded(size: int) -> None:
    assert parse_quantity(f"{size}B", Unit.BYTES) == size


def test_quantities_are_shown_in_the_largest_unit_that_fits() -> None:
    assert format_quantity(1280 * 2**20, Unit.BYTES) == "1.2Gi"
    assert format_quantity(3.4, Unit.CORES) == "3400m"
    assert format_quantity(0.9512, Unit.RATIO) == "95.1 %"
