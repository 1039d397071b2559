"""Quantities as people write them: sizes, CPUs, rates, durations. One module, so all flags mean the same.

Every parser returns a plain number or raises BadQuantity, whose text quotes what was given and says what
would work. No regular expressions, no imports beyond the interpreter's own: hot verbs load this module.
"""

from __future__ import annotations

UNLIMITED = "max"
_UNLIMITED_WORDS = frozenset({"max", "unlimited", "infinity"})
_BINARY = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LARGEST = 1 << 62
"""Beyond this every kernel file means "no limit", so a person who writes it has slipped."""
SHORTEST_LEASE_SEC = 0.1
LONGEST_LEASE_SEC = 30 * 86400.0
MAX_CPUS = 8192
"""CONFIG_NR_CPUS of the largest distribution kernels; more than this is a slip too."""


class BadQuantity(ValueError):
    """A quantity that cannot be meant; the text quotes it and says what would work."""


def parse_size(text: str) -> int:
    """Bytes of `512m`, `1.5GiB`, `64MB`, `4096`: always base 1024, as docker (go-units RAMInBytes)."""
    size = _size(text, text.strip().lower())
    if size >= _LARGEST:
        raise BadQuantity(f"{_show(text)} is more memory than a kernel counts; write max for no limit")
    return size


def parse_limit_size(text: str) -> int | str:
    """A size, or `max` (`unlimited`, `infinity`) for no limit."""
    return UNLIMITED if text.strip().lower() in _UNLIMITED_WORDS else parse_size(text)


def parse_cpus(text: str) -> float | str:
    """CPUs of `1.5`, `150%`, `500m` (thousandths), or `max`."""
    wish = text.strip().lower()
    if wish in _UNLIMITED_WORDS:
        return UNLIMITED
    scale, digits = 1.0, wish
    if wish.endswith("%"):
        scale, digits = 0.01, wish[:-1]
    elif wish.endswith("m"):
        scale, digits = 0.001, wish[:-1]
    cpus = round(_number(text, digits, "a number of CPUs such as 1.5, 150%, 500m or max") * scale, 6)
    if cpus < 0.01:
        raise BadQuantity(f"{_show(text)} is less than a kernel can grant; the least is 0.01 CPUs")
    if cpus > MAX_CPUS:
        raise BadQuantity(f"{_show(text)} is more CPUs than any machine has; write max for no limit")
    return cpus


def parse_count(text: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    wish = text.strip()
    if not (wish.isascii() and wish.isdigit() and len(wish) < 20):
        raise BadQuantity(f"{_show(text)} is not a whole number from {low} to {high}")
    count = int(wish)
    if not low <= count <= high:
        raise BadQuantity(f"{_show(text)} is outside {low} to {high}")
    return count


def parse_limit_count(text: str, low: int, high: int) -> int | str:
    """A whole number from `low` to `high`, or `max`."""
    if text.strip().lower() in _UNLIMITED_WORDS:
        return UNLIMITED
    if text.strip().startswith("-"):
        raise BadQuantity(f"{_show(text)} is negative; write max for no limit")
    return parse_count(text, low, high)


def parse_duration(text: str) -> float:
    """Seconds of `1500ms`, `30s`, `1h30m`; a unit is always needed."""
    rest, total = text.strip().lower(), 0.0
    if not rest:
        raise BadQuantity(f"{_show(text)} is not a duration such as 30s, 1500ms or 1h30m")
    if _is_number(rest):
        raise BadQuantity(f"{_show(text)} has no unit (did you mean {rest}s?)")
    while rest:
        digits = _leading(rest, "0123456789.")
        unit = _leading(rest[len(digits) :], "abcdefghijklmnopqrstuvwxyzµ")
        if unit not in _SECONDS or not _is_number(digits):
            raise BadQuantity(f"{_show(text)} is not a duration such as 30s, 1500ms or 1h30m")
        total += float(digits) * _SECONDS[unit]
        rest = rest[len(digits) + len(unit) :]
    if total > 10 * 365 * 86400:
        raise BadQuantity(f"{_show(text)} is longer than ten years")
    return total


def parse_timeout(text: str) -> float:
    """Seconds: a duration, or docker's bare number of seconds (`-t 10`)."""
    return float(text) if _is_number(text.strip()) and float(text) < 10**9 else parse_duration(text)


def parse_lease(text: str) -> float:
    """Seconds that a change or a freeze shall hold."""
    seconds = parse_duration(text)
    if not SHORTEST_LEASE_SEC <= seconds <= LONGEST_LEASE_SEC:
        raise BadQuantity(f"{text!r} is out of range: from 0.1s to 30d")
    return seconds


def parse_rate(text: str) -> int:
    """Bytes per second of `10MB/s`, `10MiB/s` (decimal unless `i`), or bits as `10mbit`, `1gbit`."""
    wish = text.strip().lower()
    if wish.endswith("bps"):
        raise BadQuantity(f"{_show(text)}: bps is bits to some and bytes to others; write 10mbit or 10MB/s")
    bits = wish.endswith("bit")
    body = wish[:-3] if bits else wish.removesuffix("/s").removesuffix("b")
    if not bits and not wish.endswith("/s"):
        raise BadQuantity(f"{_show(text)} is not a rate such as 10MB/s, 10MiB/s or 10mbit")
    table = _BINARY if body.endswith("i") else _DECIMAL
    body = body.removesuffix("i")
    letter = body[-1:] if body[-1:] in "kmgt" else ""
    number = _number(text, body[: len(body) - len(letter)], "a rate such as 10MB/s, 10MiB/s or 10mbit")
    return int(number * table[letter] / (8 if bits else 1))


def parse_device_size(text: str) -> int:
    """Bytes per second for docker's `--device-read-bps`: base 1024, as docker; `0` is refused."""
    rate = parse_size(text.strip().removesuffix("/s"))
    if rate == 0:
        raise BadQuantity(f"{_show(text)} would stop all I/O; write max to lift the limit")
    return rate


def format_bytes(count: float) -> str:
    """`1536` as `1.5K`: short, base 1024, three digits at most."""
    for unit in ("", "K", "M", "G", "T"):
        if abs(count) < 999.5 or unit == "T":
            return f"{count:.0f}{unit or 'B'}" if count >= 99.95 or not unit else f"{count:.1f}{unit}"
        count /= 1024
    raise AssertionError("unreachable: T ends the loop")


def format_duration(seconds: float) -> str:
    """`5400` as `1h30m`, `12.3` as `12s`: two units at most."""
    whole = round(seconds)
    if abs(whole) < 60:
        return f"{whole}s"
    for size, name, smaller, small_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size}{name}{rest}{small_name}" if rest else f"{whole // size}{name}"
    return f"{whole}s"


def _size(text: str, wish: str) -> int:
    example = "a size such as 64M, 1.5GiB or 4096"
    body = wish.removesuffix("b")
    body = body.removesuffix("i") if body[-2:-1] in _BINARY and body[-2:-1] else body
    letter = body[-1:] if body[-1:] in "kmgt" else ""
    digits = body[: len(body) - len(letter)].rstrip()
    number = _number(text, digits, example)
    # Whole numbers stay integers: a float would lose the last bytes of a large size.
    return (int(number * _BINARY[letter])) if "." in digits else int(digits) * _BINARY[letter]


def _number(text: str, digits: str, wanted: str) -> float:
    if digits.startswith("-") and _is_number(digits[1:]):
        raise BadQuantity(
            f"{_show(text)} is negative; wanted is {wanted.removesuffix(' or max')}, or max for no limit"
        )
    if not _is_number(digits):
        raise BadQuantity(f"{_show(text)} is not {wanted}")
    return float(digits)


def _is_number(digits: str) -> bool:
    """Plain decimals only: float() alone would take nan, inf, 1e9, 1_000 and digits of other scripts."""
    whole, _, part = digits.partition(".")
    return digits.isascii() and len(digits) <= 30 and (whole + part).isdigit() and not digits.endswith(".")


def _leading(text: str, allowed: str) -> str:
    return text[: len(text) - len(text.lstrip(allowed))]


def _show(text: str) -> str:
    """The text quoted, shortened, with control characters made visible."""
    return repr(text if len(text) <= 40 else text[:37] + "…")
