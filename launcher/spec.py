"""What a caller may ask for: a container's description, checked strictly before anything is made."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from launcher.capabilities import parse_capability
from launcher.errors import BadSpec

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
# The kernel's own files in a cgroup, those of controllers to come included: no cgroup can have their names.
CONTROL_FILE = re.compile(
    r"(cgroup|cpu|cpuacct|cpuset|memory|pids|blkio|io|irq|devices|freezer|net_cls|net_prio|perf_event"
    r"|hugetlb|rdma|misc|dmem|debug)\..*|tasks|notify_on_release|release_agent"
)
HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?")
USER = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,31}(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,31})?")
CLASSES = ("guaranteed", "burstable", "besteffort")
NETWORKS = ("none", "host")
LARGEST_ID = 2**32 - 2
# One argument may have 128 KiB (MAX_ARG_STRLEN); all together must also fit one message to the supervisor.
LARGEST_COMMAND_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One container as asked for. `limits` has the field names of `cgroupfs.Limits`; `klass` is `class` on
    the wire.
    """

    name: str
    rootfs: str
    command: tuple[str, ...]
    image: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    hostname: str = ""
    network: str = "none"
    limits: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    klass: str = "burstable"
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    read_only: bool = False
    stop_signal: str = "SIGTERM"
    stop_timeout_sec: float = 10.0
    auto_remove: bool = False

    @classmethod
    def from_wire(cls, wire: Mapping[str, object]) -> ContainerSpec:
        """Strict: an unknown key, a wrong type or an impossible value raises `BadSpec` with the field."""
        if not isinstance(wire, Mapping):
            raise BadSpec("spec", "must be an object")
        for key in wire:
            if key not in _READERS:
                raise BadSpec(str(key)[:64], "is not a field of a container")
        given: dict[str, Any] = {
            key: _READERS[key](key, value) for key, value in wire.items() if value is not None
        }
        for key in ("rootfs", "command"):
            if key not in given:
                raise BadSpec(key, "is required")
        given.setdefault("name", f"c{os.urandom(5).hex()}")
        given.setdefault("image", given["rootfs"])
        given.setdefault("hostname", given["name"].rstrip("_.-").replace("_", "-"))
        if "class" in given:
            given["klass"] = given.pop("class")
        spec = cls(**given)
        if (
            sum(map(len, spec.command)) + sum(len(k) + len(v) for k, v in spec.env.items())
            > LARGEST_COMMAND_BYTES
        ):
            raise BadSpec("command", "command and environment together are larger than 1 MiB")
        return spec

    def to_wire(self) -> dict[str, object]:
        wire = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        wire["class"] = wire.pop("klass")
        return wire


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def parse_name(value: object) -> str:
    """A container's name, safe as a file name, a cgroup and a label value."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        shown = value[:20] + "…" if isinstance(value, str) and len(value) > 20 else value
        raise BadSpec(
            "name",
            f"{shown!r} is not a name: 1 to 63 letters, digits, '_', '.', '-', the first a letter or digit",
        )
    if CONTROL_FILE.fullmatch(value):
        raise BadSpec("name", f"{value!r} could be one of the kernel's own files in a cgroup; choose another")
    return value


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise BadSpec(key, "must be a text that is not empty")
    return _no_nul(key, value)


def _no_nul(key: str, value: str) -> str:
    if "\0" in value:
        raise BadSpec(key, "must not contain a NUL character")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise BadSpec(key, "is not text that a file name could hold") from None
    return value


def _absolute(key: str, value: object) -> str:
    text = _text(key, value)
    if not text.startswith("/"):
        raise BadSpec(key, f"{text!r} must be an absolute path")
    if len(os.fsencode(text)) > 4095:
        raise BadSpec(key, "is longer than the 4095 bytes a path may have")
    return text


Reader = Callable[[str, object], object]


def _one_of(*choices: str) -> Reader:
    def read(key: str, value: object) -> object:
        if value not in choices:
            raise BadSpec(key, f"{value!r} is none of {', '.join(choices)}")
        return value

    return read


def _matching(pattern: re.Pattern[str], what: str) -> Reader:
    def read(key: str, value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise BadSpec(key, f"{str(value)[:64]!r} is not {what}")
        return value

    return read


def _user(key: str, value: object) -> str:
    """`uid`, `uid:gid`, `name` or `name:group`; digits are ids, and nothing may trail (crun
    CVE-2026-30892).
    """
    if not isinstance(value, str) or not USER.fullmatch(value):
        raise BadSpec(key, f"{str(value)[:64]!r} is not a user: uid, uid:gid, name or name:group")
    for part in value.split(":"):
        if part[0].isdigit() and (not part.isdecimal() or int(part) > LARGEST_ID):
            raise BadSpec(key, f"{part!r} is not a user or group id")
    return value


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise BadSpec(key, "must be true or false")
    return value


def _seconds(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        raise BadSpec(key, "must be a number of seconds from 0 to 86400")
    return float(value)


def _words(key: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise BadSpec(key, "must be a list of texts")
    if not all(isinstance(word, str) for word in value):
        raise BadSpec(key, "must be a list of texts")
    return tuple(_no_nul(key, word) for word in value)


def _command(key: str, value: object) -> tuple[str, ...]:
    words = _words(key, value)
    if not words or not words[0]:
        raise BadSpec(key, "must name a program")
    return words


def _capabilities(key: str, value: object) -> tuple[str, ...]:
    return tuple(parse_capability(word, key) for word in _words(key, value))


def _texts_by_name(key: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(
        isinstance(k, str) and isinstance(v, str) for k, v in value.items()
    ):
        raise BadSpec(key, "must be an object of texts")
    return {_no_nul(key, k): _no_nul(key, v) for k, v in value.items()}


def _env(key: str, value: object) -> dict[str, str]:
    env = _texts_by_name(key, value)
    for name in env:
        if not name or "=" in name:
            raise BadSpec(key, f"{name!r} is not the name of a variable")
    return env


def _limits(key: str, value: object) -> dict[str, object]:
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


def _signal(key: str, value: object) -> str:
    number = parse_signal(value, key)
    return signal.Signals(number).name if number in signal.Signals.__members__.values() else str(number)


_READERS: Final[dict[str, Reader]] = {
    "name": lambda _key, value: parse_name(value),
    "rootfs": _absolute,
    "image": _text,
    "command": _command,
    "env": _env,
    "workdir": _absolute,
    "user": _user,
    "hostname": _matching(HOSTNAME, "a host name"),
    "network": _one_of(*NETWORKS),
    "limits": _limits,
    "labels": _texts_by_name,
    "class": _one_of(*CLASSES),
    "cap_add": _capabilities,
    "cap_drop": _capabilities,
    "read_only": _flag,
    "stop_signal": _signal,
    "stop_timeout_sec": _seconds,
    "auto_remove": _flag,
}
