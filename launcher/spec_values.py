"""How single values of a container's description are read: strictly, each refusal with the field's name."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping

from launcher.errors import BadSpec
from launcher.scene.capabilities import parse_capability

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
# The kernel's own files in a cgroup, those of controllers to come included: no cgroup can have their names.
CONTROL_FILE = re.compile(
    r"(cgroup|cpu|cpuacct|cpuset|memory|pids|blkio|io|irq|devices|freezer|net_cls|net_prio|perf_event"
    r"|hugetlb|rdma|misc|dmem|debug)\..*|tasks|notify_on_release|release_agent"
)
HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?")
USER = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,31}(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,31})?")
LARGEST_ID = 2**32 - 2
LARGEST_NUMBER = 2**63 - 1

Reader = Callable[[str, object], object]


def parse_name(value: object, key: str = "name") -> str:
    """A container's name, safe as a file name, a cgroup and a label value."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        shown = value[:20] + "…" if isinstance(value, str) and len(value) > 20 else value
        raise BadSpec(
            key,
            f"{shown!r} is not a name: 1 to 63 letters, digits, '_', '.', '-', the first a letter or digit",
        )
    if CONTROL_FILE.fullmatch(value):
        raise BadSpec(key, f"{value!r} could be one of the kernel's own files in a cgroup; choose another")
    return value


def read_text(key: str, value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise BadSpec(key, "must be a text that is not empty")
    return refuse_nul(key, value)


def refuse_nul(key: str, value: str) -> str:
    """The text, which a file name and an argument can hold."""
    if "\0" in value:
        raise BadSpec(key, "must not contain a NUL character")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise BadSpec(key, "is not text that a file name could hold") from None
    return value


def read_absolute(key: str, value: object) -> str:
    """A path from the root, at most 4095 bytes."""
    text = read_text(key, value)
    if not text.startswith("/"):
        raise BadSpec(key, f"{text!r} must be an absolute path")
    if len(os.fsencode(text)) > 4095:
        raise BadSpec(key, "is longer than the 4095 bytes a path may have")
    return text


def one_of(*choices: str) -> Reader:
    """One of these words."""

    def read(key: str, value: object) -> object:
        if value not in choices:
            raise BadSpec(key, f"{value!r} is none of {', '.join(word or '(empty)' for word in choices)}")
        return value

    return read


def matching(pattern: re.Pattern[str], what: str) -> Reader:
    """A text of this pattern."""

    def read(key: str, value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise BadSpec(key, f"{str(value)[:64]!r} is not {what}")
        return value

    return read


def read_user(key: str, value: object) -> str:
    """`uid`, `uid:gid`, `name` or `name:group`; digits are ids, and nothing may trail (crun
    CVE-2026-30892).
    """
    if not isinstance(value, str) or not USER.fullmatch(value):
        raise BadSpec(key, f"{str(value)[:64]!r} is not a user: uid, uid:gid, name or name:group")
    for part in value.split(":"):
        if part[0].isdigit() and (not part.isdecimal() or int(part) > LARGEST_ID):
            raise BadSpec(key, f"{part!r} is not a user or group id")
    return value


def read_flag(key: str, value: object) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise BadSpec(key, "must be true or false")
    return value


def whole_number(least: int, most: int = LARGEST_NUMBER) -> Reader:
    """An integer within [least, most]; a boolean is none."""

    def read(key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadSpec(key, f"must be a whole number from {least} to {most}")
        return value

    return read


def read_seconds(key: str, value: object) -> float:
    """A time, at most a day."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        raise BadSpec(key, "must be a number of seconds from 0 to 86400")
    return float(value)


def read_words(key: str, value: object) -> tuple[str, ...]:
    """A list of texts, each one an argument could be."""
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise BadSpec(key, "must be a list of texts")
    if not all(isinstance(word, str) for word in value):
        raise BadSpec(key, "must be a list of texts")
    return tuple(refuse_nul(key, word) for word in value)


def read_command(key: str, value: object) -> tuple[str, ...]:
    """A program and its arguments; may be empty."""
    words = read_words(key, value)
    if words and not words[0]:
        raise BadSpec(key, "must name a program")
    return words


def read_capabilities(key: str, value: object) -> tuple[str, ...]:
    """Names of capabilities, with or without CAP_."""
    return tuple(parse_capability(word, key) for word in read_words(key, value))


def read_texts_by_name(key: str, value: object) -> dict[str, str]:
    """An object of texts."""
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and isinstance(v, str) for k, v in value.items()
    ):
        raise BadSpec(key, "must be an object of texts")
    return {refuse_nul(key, k): refuse_nul(key, v) for k, v in value.items()}


def read_env(key: str, value: object) -> dict[str, str]:
    """Variables by name."""
    env = read_texts_by_name(key, value)
    for name in env:
        if not name or "=" in name:
            raise BadSpec(key, f"{name!r} is not the name of a variable")
    return env


def read_limits(key: str, value: object) -> dict[str, object]:
    """Limits by field; their values are checked by cgroupfs."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise BadSpec(key, "must be an object: field to value")
    if value.get("memory_max_bytes") == 0:
        raise BadSpec(f"{key}.memory_max_bytes", "0 is no limit for memory: leave it out, or say max")
    return {name: wish for name, wish in value.items() if wish is not None}


def parse_signal(value: object, field: str = "signal") -> int:
    """`TERM`, `SIGTERM`, `15` or 15."""
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.isdecimal() and len(value) < 4:
        number = int(value)
    else:
        name = f"SIG{str(value).upper().removeprefix('SIG')}"
        found = signal.Signals.__members__.get(name)
        if found is None:
            raise BadSpec(field, f"there is no signal {str(value)[:32]!r}")
        number = int(found)
    if number not in signal.valid_signals():
        raise BadSpec(field, f"there is no signal {number}")
    return number


def read_signal(key: str, value: object) -> str:
    """A signal, as its name."""
    number = parse_signal(value, key)
    return signal.Signals(number).name if number in signal.Signals.__members__.values() else str(number)
