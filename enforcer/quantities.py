"""Quantities of policy files (`64Mi`, `500m`, `25%`, `10s`): text to number, with the unit checked."""

from __future__ import annotations

import re
from fractions import Fraction

from enforcer.fields import Unit

_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(\S*)")
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_DECIMAL = {
    "B": 1,
    "k": 10**3,
    "kB": 10**3,
    "M": 10**6,
    "MB": 10**6,
    "G": 10**9,
    "GB": 10**9,
    "T": 10**12,
    "TB": 10**12,
}
_BYTES = {**_BINARY, **{f"{suffix}B": size for suffix, size in _BINARY.items()}, **_DECIMAL}
_RATE = {f"{suffix}/s": size for suffix, size in _BYTES.items()}
_BITS = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}

SUFFIXES: dict[Unit, dict[str, Fraction]] = {
    Unit.BYTES: {suffix: Fraction(size) for suffix, size in _BYTES.items()},
    Unit.CORES: {"m": Fraction(1, 1000)},
    Unit.RATIO: {"%": Fraction(1, 100)},
    Unit.SECONDS: {
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "m": Fraction(60),
        "h": Fraction(3600),
        "d": Fraction(86400),
    },
    Unit.COUNT: {"": Fraction(1)},
    Unit.BYTES_PER_SEC: {
        **{suffix: Fraction(size) for suffix, size in _RATE.items()},
        **{suffix: Fraction(size, 8) for suffix, size in _BITS.items()},
    },
    Unit.PER_SEC: {"/s": Fraction(1)},
}
_EXAMPLE = {
    Unit.BYTES: "Mi",
    Unit.CORES: "m",
    Unit.RATIO: "%",
    Unit.SECONDS: "s",
    Unit.BYTES_PER_SEC: "MB/s",
    Unit.PER_SEC: "/s",
}
_MEANS = {
    Unit.BYTES: "a size such as 64Mi",
    Unit.CORES: "thousandths of a core such as 500m",
    Unit.RATIO: "a share such as 25%",
    Unit.SECONDS: "a duration such as 10s",
    Unit.COUNT: "a whole number",
    Unit.BYTES_PER_SEC: "a rate such as 5MB/s or 10mbit",
    Unit.PER_SEC: "a rate such as 10/s",
}


class BadQuantity(ValueError):
    """A quantity that cannot be read; the text says why and what would do."""


def parse_quantity(text: str, unit: Unit) -> float:
    """The number that `text` means in `unit` (bytes, cores, ratio 0..1, seconds, count, bytes/s, 1/s).

    Whole bytes and counts come back as int, never through a float.
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > 40:
        raise BadQuantity(f'"{text[:40]}" is not {_MEANS[unit]}')
    number, suffix = match.groups()
    scale = SUFFIXES[unit].get(suffix)
    if scale is None:
        raise BadQuantity(_wrong_suffix(text, number, suffix, unit))
    value = Fraction(number) * scale
    if unit in (Unit.BYTES, Unit.COUNT):
        if value.denominator != 1:
            raise BadQuantity(f'"{text}" is not a whole number of {unit.value}')
        return int(value)
    return float(value)


def _wrong_suffix(text: str, number: str, suffix: str, unit: Unit) -> str:
    if not suffix:
        return f'"{text}" has no unit (did you mean "{number}{_EXAMPLE[unit]}"?)'
    for known in SUFFIXES[unit]:
        if known.lower() == suffix.lower():
            return f'"{text}" has an unknown unit "{suffix}" (did you mean "{number}{known}"?)'
    return f'"{text}" is not {_MEANS[unit]}'


def format_quantity(value: float, unit: Unit) -> str:
    """The shortest text for people that says the value in its unit."""
    match unit:
        case Unit.BYTES:
            return _format_bytes(value)
        case Unit.CORES:
            return f"{round(value * 1000)}m"
        case Unit.RATIO:
            return f"{value * 100:.3g} %"
        case Unit.SECONDS:
            return f"{value:.3g} s"
        case Unit.BYTES_PER_SEC:
            return f"{_format_bytes(value)}/s"
        case Unit.PER_SEC:
            return f"{value:.3g}/s"
        case Unit.COUNT:
            return f"{value:g}"


def _format_bytes(value: float) -> str:
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        size = _BINARY[suffix]
        if abs(value) >= size:
            number = value / size
            return f"{number:.0f}{suffix}" if abs(number - round(number)) < 1e-9 else f"{number:.1f}{suffix}"
    return f"{value:.0f}B"
