"""The parts of a container's description that are objects of their own: volumes, devices, ports, health."""

from __future__ import annotations

import ipaddress
import re
import resource
from collections.abc import Mapping
from typing import Any, Final

from launcher.errors import BadSpec
from launcher.spec_values import (
    HOSTNAME,
    Reader,
    parse_name,
    read_absolute,
    read_command,
    read_seconds,
    read_text,
    read_texts_by_name,
    read_words,
    refuse_nul,
    whole_number,
)

TMPFS_OPTIONS: Final = ("ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec")
MOUNT_OPTIONS: Final = (*TMPFS_OPTIONS, "nocopy", "rprivate", "private")
RLIMITS: Final = {
    name.removeprefix("RLIMIT_").lower(): number
    for name, number in vars(resource).items()
    if name.startswith("RLIMIT_") and name != "RLIMIT_OFILE"
}
UNLIMITED_WORDS: Final = (-1, "unlimited")
LONGEST_LIST: Final = 256
PERMISSIONS: Final = re.compile(r"r?w?m?")
RESTART: Final = re.compile(r"no|always|unless-stopped|on-failure(:[1-9]\d{0,5})?")
USERNS: Final = re.compile(r"host|auto(:[1-9]\d{0,6})?")
IMAGE: Final = re.compile(r"[a-zA-Z0-9][\w.:/@+-]{0,511}", re.ASCII)
LSM_NAME: Final = re.compile(r"[\w/.:+-]{1,255}", re.ASCII)


def one_by_one(read_item: Reader) -> Reader:
    """A list, each item read by `read_item` under the key `field/index`."""

    def read(key: str, value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise BadSpec(key, "must be a list")
        if len(value) > LONGEST_LIST:
            raise BadSpec(key, f"has more than {LONGEST_LIST} items")
        return tuple(read_item(f"{key}/{index}", item) for index, item in enumerate(value))

    return read


def an_object(
    readers: Mapping[str, Reader], required: tuple[str, ...], defaults: Mapping[str, Any]
) -> Reader:
    """An object with these keys and no others; what is not given is its default."""

    def read(key: str, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise BadSpec(key, "must be an object")
        for name in value:
            if name not in readers:
                raise BadSpec(f"{key}/{str(name)[:64]}", f"is not one of {', '.join(readers)}")
        for name in required:
            if value.get(name) is None:
                raise BadSpec(f"{key}/{name}", "is required")
        given = {name: readers[name](f"{key}/{name}", v) for name, v in value.items() if v is not None}
        return dict(defaults) | given

    return read


def _options(offered: tuple[str, ...]) -> Reader:
    def read(key: str, value: object) -> list[str]:
        words = list(read_words(key, value))
        for word in words:
            if word not in offered:
                raise BadSpec(key, f"{word[:32]!r} is none of {', '.join(offered)}")
        return words

    return read


def _volume_source(key: str, value: object) -> str:
    text = read_text(key, value)
    return read_absolute(key, text) if "/" in text else parse_name(text, key)


def _permissions(key: str, value: object) -> str:
    if not isinstance(value, str) or not value or not PERMISSIONS.fullmatch(value):
        raise BadSpec(key, f"{str(value)[:16]!r} is not rwm or a part of it")
    return value


def _address(key: str, value: object) -> str:
    """An IPv4 address, or nothing."""
    if value == "":
        return ""
    try:
        return str(ipaddress.IPv4Address(value)) if isinstance(value, str) else _no_address(key, value)
    except ValueError:
        return _no_address(key, value)


def _no_address(key: str, value: object) -> str:
    raise BadSpec(key, f"{str(value)[:40]!r} is not an IPv4 address")


def read_nameservers(key: str, value: object) -> tuple[str, ...]:
    """IP addresses of name servers."""
    for word in read_words(key, value):
        try:
            ipaddress.ip_address(word)
        except ValueError:
            raise BadSpec(key, f"{word[:48]!r} is not an address") from None
    return read_words(key, value)


def read_search(key: str, value: object) -> tuple[str, ...]:
    """Domains to search in."""
    for word in read_words(key, value):
        if word != "." and not HOSTNAME.fullmatch(word):
            raise BadSpec(key, f"{word[:64]!r} is not a domain")
    return read_words(key, value)


def read_hosts(key: str, value: object) -> dict[str, str]:
    """Addresses by host name, for /etc/hosts."""
    hosts = read_texts_by_name(key, value)
    for name, address in hosts.items():
        if not HOSTNAME.fullmatch(name):
            raise BadSpec(key, f"{name[:64]!r} is not a host name")
        read_nameservers(f"{key}/{name}", [address])
    return hosts


def namespace(*plain: str) -> Reader:
    """One of the plain words, or `container:NAME`."""

    def read(key: str, value: object) -> str:
        if isinstance(value, str) and value.startswith("container:"):
            return "container:" + parse_name(value.removeprefix("container:"), key)
        if value not in plain:
            raise BadSpec(key, f"{str(value)[:64]!r} is none of {', '.join(plain)}, container:NAME")
        return str(value)

    return read


def read_rlimits(key: str, value: object) -> dict[str, list[int]]:
    """`{"nofile": [soft, hard]}`; -1 or "unlimited" for none."""
    if not isinstance(value, Mapping):
        raise BadSpec(key, "must be an object: name to [soft, hard]")
    limits: dict[str, list[int]] = {}
    for name, pair in value.items():
        place = f"{key}/{str(name)[:32]}"
        if name not in RLIMITS:
            raise BadSpec(place, f"is none of {', '.join(sorted(RLIMITS))}")
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise BadSpec(place, "must be [soft, hard]")
        soft, hard = (_rlimit(place, number) for number in pair)
        if hard != -1 and (soft == -1 or soft > hard):
            raise BadSpec(place, "the soft limit is above the hard one")
        limits[name] = [soft, hard]
    return limits


def _rlimit(key: str, value: object) -> int:
    if value in UNLIMITED_WORDS:
        return -1
    return int(whole_number(0)(key, value))  # type: ignore[call-overload, no-any-return]


def read_seccomp(key: str, value: object) -> object:
    """`default`, `unconfined`, or a profile in docker's format, which is checked where it is compiled."""
    if value in ("default", "unconfined"):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise BadSpec(key, 'must be "default", "unconfined" or a profile (an object)')


def read_lsm_name(key: str, value: object) -> str:
    """The name of an AppArmor profile or an SELinux label; empty for none."""
    if value == "":
        return ""
    text = refuse_nul(key, value) if isinstance(value, str) else ""
    if not LSM_NAME.fullmatch(text):
        raise BadSpec(key, f"{str(value)[:64]!r} is not a profile or label")
    return text


def read_time_offsets(key: str, value: object) -> dict[str, int]:
    """Seconds that the container's clocks differ from the host's."""
    most = 1 << 32
    number = whole_number(-most, most)
    return dict(an_object({"monotonic_sec": number, "boottime_sec": number}, (), {})(key, value))  # type: ignore[call-overload, no-any-return]


def read_health(key: str, value: object) -> dict[str, Any]:
    """{} for none."""
    return {} if value == {} else _HEALTH(key, value)  # type: ignore[return-value]


_HEALTH: Final = an_object(
    {
        "command": read_command,
        "interval_sec": read_seconds,
        "timeout_sec": read_seconds,
        "retries": whole_number(1, 1000),
        "start_period_sec": read_seconds,
    },
    ("command",),
    {"interval_sec": 30.0, "timeout_sec": 30.0, "retries": 3, "start_period_sec": 0.0},
)
read_volume: Final = an_object(
    {"source": _volume_source, "target": read_absolute, "options": _options(MOUNT_OPTIONS)},
    ("source", "target"),
    {"options": []},
)
read_tmpfs: Final = an_object(
    {
        "target": read_absolute,
        "size_bytes": whole_number(4096),
        "mode": whole_number(0, 0o7777),
        "options": _options(TMPFS_OPTIONS),
    },
    ("target",),
    {"size_bytes": None, "mode": 0o1777, "options": []},
)
read_device: Final = an_object(
    {"source": read_absolute, "target": read_absolute, "permissions": _permissions},
    ("source",),
    {"target": None, "permissions": "rwm"},
)
read_port: Final = an_object(
    {
        "host_ip": _address,
        "host_port": whole_number(0, 65535),
        "container_port": whole_number(1, 65535),
        "protocol": lambda key, value: _protocol(key, value),
    },
    ("container_port",),
    {"host_ip": "", "host_port": 0, "protocol": "tcp"},
)


def _protocol(key: str, value: object) -> str:
    if value not in ("tcp", "udp"):
        raise BadSpec(key, f"{str(value)[:16]!r} is none of tcp, udp")
    return str(value)


def read_group(key: str, value: object) -> str:
    """The name of a group; empty for none."""
    return "" if value == "" else parse_name(value, key)


def read_address(key: str, value: object) -> str:
    """An IPv4 address; empty for none."""
    return _address(key, value)
