"""Quantities: what people write means what they think, and everything else is refused in one line."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgwarden import units
from cgwarden.units import BadQuantity

PARSERS: list[Callable[[str], float | str]] = [
    units.parse_size,
    units.parse_limit_size,
    units.parse_cpus,
    units.parse_duration,
    units.parse_timeout,
    units.parse_rate,
    units.parse_device_size,
    lambda text: units.parse_count(text, 1, 100),
    lambda text: units.parse_limit_count(text, 1, 100),
]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64M", 64 << 20),
        ("512m", 512 << 20),
        ("512Mi", 512 << 20),
        ("512MB", 512 << 20),
        ("512MiB", 512 << 20),
        ("1.5g", 3 << 29),
        ("4096", 4096),
        ("10b", 10),
        ("1t", 1 << 40),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_sizes_are_base_1024_with_or_without_i_and_b(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "cpus"), [("1.5", 1.5), ("150%", 1.5), ("500m", 0.5), ("2", 2.0), ("max", "max")]
)
def test_cpus_are_a_number_a_percentage_or_thousandths(text: str, cpus: object) -> None:
    assert units.parse_cpus(text) == cpus


@pytest.mark.parametrize(
    ("text", "seconds"), [("1500ms", 1.5), ("30s", 30), ("1h30m", 5400), ("2d", 172800), ("0.5s", 0.5)]
)
def test_durations_need_units_and_may_be_combined(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10MB/s", 10_000_000),
        ("10MiB/s", 10 << 20),
        ("10mbit", 1_250_000),
        ("1gbit", 125_000_000),
        ("500kB/s", 500_000),
    ],
)
def test_rates_are_decimal_unless_i_and_bits_are_eighths(text: str, rate: int) -> None:
    assert units.parse_rate(text) == rate


@pytest.mark.parametrize(
    ("parse", "text", "hint"),
    [
        (units.parse_limit_size, "-1", "max for no limit"),
        (units.parse_cpus, "nan", "500m"),
        (units.parse_cpus, "-2", "max for no limit"),
        (units.parse_cpus, "0", "0.01"),
        (units.parse_duration, "10", "did you mean 10s?"),
        (units.parse_rate, "10mbps", "10mbit"),
        (units.parse_rate, "10bps", "10MB/s"),
        (units.parse_size, "99999999t", "max"),
        (units.parse_device_size, "0", "max"),
    ],
)
def test_a_slip_is_quoted_and_the_error_says_what_would_work(
    parse: Callable[[str], object], text: str, hint: str
) -> None:
    with pytest.raises(BadQuantity) as refused:
        parse(text)

    assert repr(text) in str(refused.value)
    assert hint in str(refused.value)


@given(text=st.text(max_size=60))
def test_any_text_is_a_finite_number_or_refused_in_one_printable_line(text: str) -> None:
    for parse in PARSERS:
        try:
            value = parse(text)
        except BadQuantity as refused:
            assert str(refused).isprintable()
            continue
        assert value == "max" or (isinstance(value, int | float) and math.isfinite(value) and value >= 0)


@given(size=st.integers(min_value=0, max_value=(1 << 62) - 1))
def test_a_plain_number_of_bytes_is_kept_to_the_byte(size: int) -> None:
    assert units.parse_size(str(size)) == size


@given(number=st.integers(min_value=0, max_value=1 << 20), letter=st.sampled_from("kmg"))
def test_all_spellings_of_a_size_agree(number: int, letter: str) -> None:
    spellings = [
        f"{number}{letter}",
        f"{number}{letter.upper()}B",
        f"{number}{letter}iB",
        f"{number} {letter}",
    ]

    assert len({units.parse_size(spelling) for spelling in spellings}) == 1


@given(thousandths=st.integers(min_value=10, max_value=1_000_000))
def test_cpus_and_thousandths_of_them_agree(thousandths: int) -> None:
    assert units.parse_cpus(f"{thousandths}m") == units.parse_cpus(f"{thousandths / 1000:.3f}")


@given(count=st.integers(min_value=0, max_value=1 << 50))
def test_a_shown_size_is_short(count: int) -> None:
    assert len(units.format_bytes(count)) <= 6


@given(seconds=st.integers(min_value=1, max_value=59))
def test_a_shown_short_duration_parses_to_itself(seconds: int) -> None:
    assert units.parse_duration(units.format_duration(seconds)) == seconds
