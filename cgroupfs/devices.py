"""Which devices a container may open or make: controller ``devices``, which has no file in the unified tree.

The list that the kernel shows is honest only once ``a`` was denied: until then it is ``a *:* rwm``, whatever
was denied. Documentation/admin-guide/cgroup-v1/devices.rst.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from cgroupfs.errors import BadLimit, NotOffered, ParseError
from cgroupfs.statistic import Dirs
from cgroupfs.writes import Write

ALLOW: Final = "devices.allow"
DENY: Final = "devices.deny"
LIST: Final = "devices.list"
MOST_NUMBER: Final = 0xFFFFFFFF
_LINE: Final = re.compile(r"([abc]) (\*|\d{1,10}):(\*|\d{1,10}) ([rwm]{0,3})", re.ASCII)


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


def parse_devices_list(text: str) -> tuple[DeviceRule, ...]:
    """``devices.list``: what is allowed, one rule a line."""
    rules = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ParseError(LIST, line)
        kind, major, minor, access = match.groups()
        rules.append(DeviceRule(True, kind, _parse_number(major), _parse_number(minor), access))
    return tuple(rules)


def _parse_number(text: str) -> int | None:
    return None if text == "*" else int(text)


class DevicesV1:
    """The devices hierarchy."""

    files: tuple[str, ...] = (LIST, ALLOW, DENY)

    def read_rules(self, dirs: Dirs) -> tuple[DeviceRule, ...] | None:
        text = dirs["devices"].read(LIST) if "devices" in dirs else None
        return None if text is None else parse_devices_list(text)

    def plan_rules(self, dirs: Dirs, rules: Sequence[DeviceRule]) -> list[Write]:
        """Deny all, then one rule per write: of several lines the kernel takes the first, silently."""
        if self.read_rules(dirs) is None:
            raise NotOffered(dirs["devices"].path if "devices" in dirs else "devices", LIST)
        return [Write("devices", DENY, "a"), *(self._plan_rule(rule) for rule in rules)]

    def _plan_rule(self, rule: DeviceRule) -> Write:
        _check_rule(rule)
        return Write("devices", ALLOW if rule.allow else DENY, "a" if rule.kind == "a" else rule.text())


class DevicesV2:
    """The unified tree has device programs in place of files; they are not read here."""

    files: tuple[str, ...] = ()

    def read_rules(self, dirs: Dirs) -> tuple[DeviceRule, ...] | None:
        return None

    def plan_rules(self, dirs: Dirs, rules: Sequence[DeviceRule]) -> list[Write]:
        raise NotOffered(next(iter(dirs.values())).path, LIST)


def _check_rule(rule: DeviceRule) -> None:
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


def plan_restore(text: str) -> list[tuple[str, str]]:
    """(file, value) pairs that bring back the rules of a ``devices.list`` text."""
    rules = parse_devices_list(text)
    if any(rule.kind == "a" for rule in rules):
        return [(ALLOW, "a")]
    return [(DENY, "a"), *((ALLOW, rule.text()) for rule in rules if rule.access)]
