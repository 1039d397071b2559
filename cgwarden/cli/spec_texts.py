"""Texts of `run`'s flags as the API's values: volumes, ports, devices, ulimits and the like, as docker writes
them.
"""

from __future__ import annotations

import json
import os

from cgwarden.cli.options import UsageError
from cgwarden.units import BadQuantity, parse_count, parse_rate, parse_size, parse_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_MOUNT_FLAGS = ("readonly", "ro")


def one_of(*words: str) -> Callable[[str], str]:
    """One of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return read


def namespace(*plain: str) -> Callable[[str], str]:
    """One of these words, or `container:NAME`."""

    def read(text: str) -> str:
        if text not in plain and not text.startswith("container:"):
            raise ValueError(f"{text!r} is not one of {', '.join(plain)}, container:NAME")
        return text

    return read


def key_and_value(text: str) -> tuple[str, str]:
    """`KEY=VALUE`; the value may be empty."""
    key, _, value = text.partition("=")
    if not key:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, value


def pairs(text: str) -> dict[str, str]:
    """`a=1,b=2,c` as a dict; a word alone has an empty value."""
    return dict(word.partition("=")[::2] for word in text.split(",") if word)


def capability(text: str) -> str:
    """`net_admin` as `CAP_NET_ADMIN`; ALL stays."""
    name = text.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def volume(text: str) -> dict[str, Any]:
    """`SRC:DST[:ro,nosuid,…]`; a source without a slash is a named volume."""
    parts = text.split(":")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"{text!r} is not SRC:DST[:OPTIONS], such as /srv/data:/data:ro")
    source = os.path.abspath(parts[0]) if "/" in parts[0] or parts[0] in (".", "..") else parts[0]
    options = parts[2].split(",") if len(parts) == 3 else []
    return {"source": source, "target": parts[1], "options": options}


def mount(text: str) -> tuple[str, dict[str, Any]]:
    """docker's `type=bind,source=…,target=…[,readonly]` as (`volumes` | `tmpfs`, value)."""
    given = pairs(text)
    kind = given.pop("type", "volume")
    target = _first(given, "target", "dst", "destination")
    source = _first(given, "source", "src")
    options = ["ro"] if any(given.pop(flag, "no") in ("", "true", "1") for flag in _MOUNT_FLAGS) else []
    if not target:
        raise ValueError(f"{text!r} names no target=DIR")
    if kind == "tmpfs":
        return "tmpfs", {"target": target, "options": options} | _tmpfs_sizes(given)
    if kind not in ("bind", "volume"):
        raise ValueError(f"type={kind} is not one of bind, volume, tmpfs")
    if not source:
        raise ValueError(f"{text!r} names no source")
    _refuse_rest(given)
    if kind == "bind":
        source = os.path.abspath(source)
    return "volumes", {"source": source, "target": target, "options": options}


def tmpfs(text: str) -> dict[str, Any]:
    """`DST[:size=64m,mode=1777,ro,noexec]`."""
    target, _, rest = text.partition(":")
    given = pairs(rest)
    sizes = _tmpfs_sizes({key: value for key, value in given.items() if value})
    return {"target": target, "options": [key for key, value in given.items() if not value]} | sizes


def _tmpfs_sizes(given: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    size, mode = _first(given, "size", "tmpfs-size"), _first(given, "mode", "tmpfs-mode")
    if size:
        found["size_bytes"] = parse_size(size)
    if mode:
        found["mode"] = _octal(mode)
    _refuse_rest(given)
    return found


def _octal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or set(text) & {"8", "9"} or len(text) > 5:
        raise ValueError(f"mode {text!r} is not an octal number such as 1777")
    return int(text, 8)


def _first(given: dict[str, str], *keys: str) -> str:
    return next(filter(None, [given.pop(key, "") for key in keys]), "")


def _refuse_rest(given: Iterable[str]) -> None:
    for key in given:
        raise ValueError(f"{key!r} is no option here")


def device(text: str) -> dict[str, Any]:
    """`SRC[:DST[:rwm]]`."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[0].startswith("/"):
        raise ValueError(f"{text!r} is not DEVICE[:PATH[:rwm]], such as /dev/fuse")
    if len(parts) == 2 and not parts[1].startswith("/"):
        parts.insert(1, "")
    names = ("source", "target", "permissions")
    return {name: part for name, part in zip(names, parts, strict=False) if part}


def ulimit(text: str) -> tuple[str, list[int]]:
    """`nofile=1024[:2048]`; -1 or unlimited for none."""
    name, _, values = text.partition("=")
    numbers = [-1 if word in ("-1", "unlimited") else _count(text, word) for word in values.split(":")]
    if len(numbers) > 2:
        raise ValueError(f"{text!r} is not NAME=SOFT[:HARD]")
    return name, [numbers[0], numbers[-1]]


def _count(text: str, word: str) -> int:
    if not word.isascii() or not word.isdigit():
        raise ValueError(f"{text!r} is not NAME=SOFT[:HARD], such as nofile=1024:2048")
    return int(word)


def port(text: str) -> dict[str, Any]:
    """`[[IP:]HOST_PORT:]CONTAINER_PORT[/udp]`; host port 0 or none takes a free one."""
    body, _, protocol = text.partition("/")
    parts = body.split(":")
    if len(parts) > 3:
        raise ValueError(f"{text!r} is not [[IP:]HOST_PORT:]PORT[/PROTOCOL], such as 8080:80")
    published = {"container_port": parse_count(parts[-1], 1, 65535), "protocol": protocol or "tcp"}
    if len(parts) > 1 and parts[-2]:
        published["host_port"] = parse_count(parts[-2], 0, 65535)
    return published | ({"host_ip": parts[0]} if len(parts) == 3 else {})


def host_entry(text: str) -> tuple[str, str]:
    """`NAME:ADDRESS`, a line of /etc/hosts."""
    name, colon, address = text.partition(":")
    if not colon or not name or not address:
        raise ValueError(f"{text!r} is not NAME:ADDRESS")
    return name, address


def bits_per_sec(text: str) -> int:
    """`10mbit`, `1MB/s` as bits per second."""
    return parse_rate(text) * 8


def offsets(text: str) -> dict[str, int]:
    """`monotonic=3600,boottime=-60` in seconds."""
    found: dict[str, int] = {}
    for clock, value in pairs(text).items():
        if clock not in ("monotonic", "boottime") or not value.removeprefix("-").isdecimal():
            raise ValueError(f"{text!r} is not monotonic=SECONDS,boottime=SECONDS")
        found[f"{clock}_sec"] = int(value)
    return found


def storage(text: str) -> int:
    """`size=1G`."""
    key, value = key_and_value(text)
    if key != "size":
        raise ValueError(f"{text!r} is not size=SIZE")
    return parse_size(value)


def log_option(text: str) -> tuple[str, int]:
    """docker's `max-size=10m` and `max-file=3`."""
    key, value = key_and_value(text)
    if key == "max-size":
        return "log_max_bytes", parse_size(value)
    if key == "max-file":
        return "log_max_files", parse_count(value, 1, 100)
    raise ValueError(f"{text!r} is neither max-size=SIZE nor max-file=N")


def security(text: str) -> tuple[str, Any]:
    """One `--security-opt`, as (field, value); the field is empty where there is nothing to say."""
    key, _, value = text.replace(":", "=", 1).partition("=") if "=" not in text else text.partition("=")
    if key == "seccomp" and value:
        return "seccomp", value if value in ("unconfined", "default") else _read_profile(value)
    if key == "apparmor" and value:
        return "apparmor", value
    if key == "label" and value:
        return "selinux", "" if value == "disable" else value
    if key == "mdwe" and value in ("", "true"):
        return "mdwe", True
    if key == "no-new-privileges" and value in ("", "true"):
        return "", None  # always so
    raise ValueError(
        f"{text!r} is none of seccomp=FILE|unconfined, apparmor=PROFILE, label=LABEL, mdwe, no-new-privileges"
    )


def _read_profile(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            profile = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"seccomp profile {path}: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(profile, dict):
        raise UsageError(f"seccomp profile {path}: must be a JSON object")
    return profile


def seconds(text: str) -> float:
    """A duration, or docker's bare seconds."""
    value = parse_timeout(text)
    if value > 86400:
        raise BadQuantity(f"{text!r} is longer than a day")
    return value


def adjustment(text: str) -> int:
    """-1000 to 1000, the kernel's oom_score_adj."""
    sign = -1 if text.startswith("-") else 1
    return sign * parse_count(text.removeprefix("-"), 0, 1000)


def retries(text: str) -> int:
    """How many failures in a row count."""
    return parse_count(text, 1, 1000)
