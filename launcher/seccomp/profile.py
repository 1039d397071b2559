"""Docker's JSON profiles: read strictly, so that a mistyped key is an error and never a hole in the filter.

The format is that of moby's profiles/seccomp; `errno` and `defaultErrno` are those of containers/common.
Every complaint names its place, such as `seccomp.syscalls[3].args[0].op`.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from launcher.errors import BadSpec
from launcher.scene.capabilities import parse_capability

KILL_PROCESS: Final = 0x80000000
ERRNO: Final = 0x00050000
TRACE: Final = 0x7FF00000
LOG: Final = 0x7FFC0000
ALLOW: Final = 0x7FFF0000
# include/uapi/linux/seccomp.h; ERRNO and TRACE carry a number in their low 16 bits.
ACTIONS: Final = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_ALLOW": ALLOW,
}
COMPARISONS: Final = {
    f"SCMP_CMP_{name}": number
    for number, name in enumerate(("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"), 1)
}
# One thread alone loads the filter, so there is nothing for TSYNC to do.
FLAGS: Final = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}
# AUDIT_ARCH_* of include/uapi/linux/audit.h, by libseccomp's names.
ARCHITECTURES: Final = {
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X32": 0x4000003E,
    "SCMP_ARCH_ARM": 0x40000028,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_MIPS": 0x00000008,
    "SCMP_ARCH_MIPS64": 0x80000008,
    "SCMP_ARCH_MIPS64N32": 0xA0000008,
    "SCMP_ARCH_MIPSEL": 0x40000008,
    "SCMP_ARCH_MIPSEL64": 0xC0000008,
    "SCMP_ARCH_MIPSEL64N32": 0xE0000008,
    "SCMP_ARCH_PPC": 0x00000014,
    "SCMP_ARCH_PPC64": 0x80000015,
    "SCMP_ARCH_PPC64LE": 0xC0000015,
    "SCMP_ARCH_S390": 0x00000016,
    "SCMP_ARCH_S390X": 0x80000016,
    "SCMP_ARCH_RISCV64": 0xC00000F3,
    "SCMP_ARCH_LOONGARCH64": 0xC0000102,
}
MOST_ENTRIES: Final = 2048
DEFAULT: Final = Path(__file__).with_name("default.json")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of one argument of the call; for MASKED_EQ `value` is the mask."""

    index: int
    op: int
    value: int
    second: int


@dataclass(frozen=True, slots=True)
class Where:
    """What an entry asks of capabilities, architecture (docker's spelling) and kernel; empty: nothing."""

    caps: frozenset[str] = frozenset()
    arches: frozenset[str] = frozenset()
    min_kernel: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    names: tuple[str, ...]
    action: int
    conditions: tuple[Condition, ...]
    includes: Where
    excludes: Where

    def applies(self, held: frozenset[str], arch: str, kernel: tuple[int, int]) -> bool:
        """As moby decides: all capabilities held, one of the architectures, a kernel as new as that."""
        wants, bars = self.includes, self.excludes
        if bars.caps & held or arch in bars.arches:
            return False
        if bars.min_kernel is not None and kernel >= bars.min_kernel:
            return False
        if not wants.caps <= held or (wants.arches and arch not in wants.arches):
            return False
        return wants.min_kernel is None or kernel >= wants.min_kernel


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as written; `architectures` maps a native architecture to those that come along with it."""

    default_action: int
    architectures: Mapping[int, tuple[int, ...]]
    entries: tuple[Entry, ...]
    flags: int


def read_default() -> dict[str, Any]:
    """Our own profile, as data."""
    document: dict[str, Any] = json.loads(DEFAULT.read_bytes())
    return document


def parse_profile(document: Mapping[str, Any], at: str = "seccomp") -> Profile:
    """Raises `BadSpec` with the place of the first thing that is wrong."""
    _only(
        document,
        at,
        "defaultAction defaultErrnoRet defaultErrno architectures archMap syscalls flags comment",
    )
    if "defaultAction" not in document:
        raise BadSpec(f"{at}.defaultAction", "is required")
    numbers = ("defaultErrnoRet", "defaultErrno")
    default = _action(document["defaultAction"], f"{at}.defaultAction", document, numbers, at)
    flags = sum({_one_of(FLAGS, flag, where) for flag, where in _items(document, "flags", at)})
    entries = tuple(_entry(entry, where) for entry, where in _items(document, "syscalls", at))
    if sum(len(entry.names) for entry in entries) > MOST_ENTRIES:
        raise BadSpec(f"{at}.syscalls", f"has more than {MOST_ENTRIES} names")
    return Profile(default, _architectures(document, at), entries, flags)


def _architectures(document: Mapping[str, Any], at: str) -> dict[int, tuple[int, ...]]:
    if document.get("architectures") and document.get("archMap"):
        raise BadSpec(f"{at}.archMap", "stands beside architectures: give one of the two")
    plain = [_one_of(ARCHITECTURES, name, where) for name, where in _items(document, "architectures", at)]
    found = {native: tuple(plain) for native in plain}
    for group, where in _items(document, "archMap", at):
        _only(group, where, "architecture subArchitectures")
        native = _one_of(ARCHITECTURES, group.get("architecture"), f"{where}.architecture")
        below = [_one_of(ARCHITECTURES, name, at) for name, at in _items(group, "subArchitectures", where)]
        found[native] = (native, *below)
    return found


def _entry(entry: Any, at: str) -> Entry:
    _only(entry, at, "name names action args comment includes excludes errnoRet errno")
    names = [_name(name, where) for name, where in _items(entry, "names", at)]
    if entry.get("name"):
        if names:
            raise BadSpec(f"{at}.name", "stands beside names: give one of the two")
        names = [_name(entry["name"], f"{at}.name")]
    if not names:
        raise BadSpec(f"{at}.names", "is required: the system calls that this is about")
    if "action" not in entry:
        raise BadSpec(f"{at}.action", "is required")
    return Entry(
        tuple(names),
        _action(entry["action"], f"{at}.action", entry, ("errnoRet", "errno"), at),
        tuple(_condition(argument, where) for argument, where in _items(entry, "args", at)),
        _where(entry.get("includes"), f"{at}.includes"),
        _where(entry.get("excludes"), f"{at}.excludes"),
    )


def _action(name: Any, where: str, holder: Mapping[str, Any], numbers: tuple[str, str], at: str) -> int:
    if name == "SCMP_ACT_NOTIFY":
        raise BadSpec(where, "SCMP_ACT_NOTIFY is not supported: nobody here would answer")
    action = _one_of(ACTIONS, name, where)
    if action not in (ERRNO, TRACE):
        return action
    by_number, by_name = (holder.get(key) for key in numbers)
    if by_number is not None:
        return action | _whole(by_number, f"{at}.{numbers[0]}", 4095 if action == ERRNO else 0xFFFF)
    if by_name:
        return action | _errno(by_name, f"{at}.{numbers[1]}")
    return action | errno.EPERM


def _errno(name: Any, where: str) -> int:
    number = getattr(errno, name, None) if isinstance(name, str) and name.startswith("E") else None
    if not isinstance(number, int):
        raise BadSpec(where, f"{str(name)[:32]!r} is not the name of an error")
    return number


def _condition(argument: Any, at: str) -> Condition:
    _only(argument, at, "index value valueTwo op")
    for key in ("index", "value", "op"):
        if key not in argument:
            raise BadSpec(f"{at}.{key}", "is required")
    return Condition(
        _whole(argument["index"], f"{at}.index", 5),
        _one_of(COMPARISONS, argument["op"], f"{at}.op"),
        _whole(argument["value"], f"{at}.value", 2**64 - 1),
        _whole(argument.get("valueTwo") or 0, f"{at}.valueTwo", 2**64 - 1),
    )


def _where(given: Any, at: str) -> Where:
    if not given:
        return Where()
    _only(given, at, "caps arches minKernel")
    caps = frozenset(parse_capability(_text(cap, where), where) for cap, where in _items(given, "caps", at))
    arches = frozenset(_text(arch, where) for arch, where in _items(given, "arches", at))
    kernel = given.get("minKernel")
    return Where(caps, arches, _kernel(kernel, f"{at}.minKernel") if kernel else None)


def _kernel(value: Any, at: str) -> tuple[int, int]:
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 5 for part in parts):
        raise BadSpec(at, f"{str(value)[:32]!r} is not a kernel version such as '4.8'")
    return int(parts[0]), int(parts[1])


def _name(value: Any, at: str) -> str:
    name = _text(value, at)
    if not name.isascii() or not name.replace("_", "").isalnum() or len(name) > 64:
        raise BadSpec(at, f"{name[:64]!r} is not the name of a system call")
    return name


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadSpec(at, "must be a text")
    return value


def _whole(value: Any, at: str, largest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise BadSpec(at, f"must be a whole number from 0 to {largest}")
    return value


def _one_of(table: Mapping[str, T], value: Any, at: str) -> T:
    if not isinstance(value, str) or value not in table:
        raise BadSpec(at, f"{str(value)[:64]!r} is none of {', '.join(table)}")
    return table[value]


def _only(value: Any, at: str, keys: str) -> None:
    if not isinstance(value, Mapping):
        raise BadSpec(at, "must be an object")
    for key in value:
        if key not in keys.split():
            raise BadSpec(at, f"{str(key)[:64]!r} is not a key of a seccomp profile")


def _items(holder: Mapping[str, Any], key: str, at: str) -> list[tuple[Any, str]]:
    """The list under a key, each with its place; absent and null are empty."""
    value = holder.get(key) or []
    if not isinstance(value, list):
        raise BadSpec(f"{at}.{key}", "must be a list")
    return [(item, f"{at}.{key}[{number}]") for number, item in enumerate(value)]
