"""Device rules as data and as text: pure. Both hierarchies take the same rules and show them the same way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from cgroupfs.errors import BadLimit, ParseError

MOST_NUMBER: Final = 0x7FFFFFFF
DENY_ALL: Final = "deny a"
_LINE: Final = re.compile(r"([abc]) (\*|\d{1,10}):(\*|\d{1,10}) ([rwm]{0,3})", re.ASCII)
_SEPARATOR: Final = "; "


class DeviceRule(NamedTuple):
    """Allow or deny `access` (of ``rwm``) to devices of `kind` (``a``, ``b`` or ``c``); None: all numbers."""

    allow: bool
    kind: str
    major: int | None
    minor: int | None
    access: str

    def text(self) -> str:
        """The rule as the kernel takes and shows it."""
        numbers = ("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{self.kind} {':'.join(numbers)} {self.access}"


def parse_rule(line: str, what: str, *, allow: bool = True) -> DeviceRule:
    """One rule such as ``c 1:3 rwm``."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ParseError(what, line)
    kind, major, minor, access = match.groups()
    return DeviceRule(allow, kind, _parse_number(major), _parse_number(minor), access)


def _parse_number(text: str) -> int | None:
    return None if text == "*" else int(text)


def check_rule(rule: DeviceRule) -> None:
    """`BadLimit` for a rule that no kernel could take, or that it would misread."""
    numbers = [number for number in (rule.major, rule.minor) if number is not None]
    if rule.kind not in ("a", "b", "c"):
        raise BadLimit("devices", f"{rule.kind!r} is not a, b or c")
    if not rule.access or set(rule.access) - set("rwm"):
        raise BadLimit("devices", f"{rule.access!r} is not made of r, w and m")
    if any(not 0 <= number <= MOST_NUMBER for number in numbers):
        raise BadLimit("devices", f"{rule.text()!r} has a number that no device can have")
    if rule.kind == "a" and (numbers or set(rule.access) != set("rwm")):
        raise BadLimit(
            "devices", "a rule for all kinds covers all numbers and rwm; the kernel ignores the rest"
        )


def merge(rules: Sequence[DeviceRule]) -> list[DeviceRule]:
    """Rules that allow parts of the access to the same devices as one: one alone must cover a request."""
    merged: list[DeviceRule] = []
    for rule in rules:
        at = _find_same(merged, rule) if rule.allow else None
        if at is None:
            merged.append(rule)
        else:
            letters = set(merged[at].access) | set(rule.access)
            merged[at] = rule._replace(access="".join(letter for letter in "rwm" if letter in letters))
    return merged


def _find_same(merged: Sequence[DeviceRule], rule: DeviceRule) -> int | None:
    """Where a rule for the same devices stands, behind which nothing is denied."""
    for at in range(len(merged) - 1, -1, -1):
        if not merged[at].allow:
            return None
        if merged[at][:4] == rule[:4]:
            return at
    return None


def format_rules(rules: Sequence[DeviceRule]) -> str:
    """All rules as one value, such as ``deny a; allow c 1:3 rwm``."""
    return _SEPARATOR.join(
        [DENY_ALL, *(f"{'allow' if rule.allow else 'deny'} {rule.text()}" for rule in rules)]
    )


def parse_rules(text: str) -> tuple[DeviceRule, ...]:
    """What `format_rules` gave."""
    first, *others = text.split(_SEPARATOR)
    if first != DENY_ALL:
        raise ParseError("device rules", text)
    rules = []
    for each in others:
        word, _, line = each.partition(" ")
        if word not in ("allow", "deny"):
            raise ParseError("device rules", each)
        rules.append(parse_rule(line, "device rules", allow=word == "allow"))
    return tuple(rules)
