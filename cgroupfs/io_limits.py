"""Throttles per device, and their writes: pure but for asking the host which disks there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cgroupfs.errors import BadLimit, ParseError
from cgroupfs.host import Host
from cgroupfs.values import UNLIMITED, Limit, parse_int, parse_limit
from cgroupfs.wishes import check_limit, is_lifted
from cgroupfs.writes import Write

MOST_BYTES_PER_SEC: Final = (1 << 63) - 1
# 2**32-1 means none, and of more the v1 kernel keeps the low 32 bits: 5e9 becomes 705032704.
MOST_PER_SEC: Final = (1 << 32) - 2


@dataclass(frozen=True, slots=True)
class IoLimit:
    """Throttles of one device."""

    read_bytes_per_sec: Limit = UNLIMITED
    write_bytes_per_sec: Limit = UNLIMITED
    reads_per_sec: Limit = UNLIMITED
    writes_per_sec: Limit = UNLIMITED


@dataclass(frozen=True, slots=True)
class IoLimits:
    """None: not offered here."""

    bfq_weight: int | None = None
    io_max: Mapping[str, IoLimit] | None = None
    weight: int | None = None
    latency_usec: Mapping[str, int] | None = None


THROTTLE_FILES: Final[Mapping[str, str]] = {
    "read_bytes_per_sec": "blkio.throttle.read_bps_device",
    "write_bytes_per_sec": "blkio.throttle.write_bps_device",
    "reads_per_sec": "blkio.throttle.read_iops_device",
    "writes_per_sec": "blkio.throttle.write_iops_device",
}
THROTTLE_KEYS: Final[Mapping[str, str]] = {
    "read_bytes_per_sec": "rbps",
    "write_bytes_per_sec": "wbps",
    "reads_per_sec": "riops",
    "writes_per_sec": "wiops",
}
NO_THROTTLES: Final = " ".join(f"{key}=max" for key in THROTTLE_KEYS.values())

IoWish = Mapping[str, Mapping[str, Limit]]


def parse_throttle(text: str, what: str) -> dict[str, int]:
    """v1 ``blkio.throttle.*_device``: one ``major:minor number`` a line."""
    limits = {}
    for line in text.splitlines():
        device, _, number = line.partition(" ")
        limits[device] = parse_int(number, what)
    return limits


def parse_io_max(text: str) -> dict[str, IoLimit]:
    """v2 ``io.max``: ``major:minor rbps=N|max wbps=... riops=... wiops=...`` a line."""
    field_of = {key: field for field, key in THROTTLE_KEYS.items()}
    limits = {}
    for line in text.splitlines():
        device, *pairs = line.split() or [""]
        fields = {}
        for pair in pairs:
            key, _, number = pair.partition("=")
            if key not in field_of or not device:
                raise ParseError("io.max", line)
            fields[field_of[key]] = parse_limit(number, "io.max")
        limits[device] = IoLimit(**fields)
    return limits


def check_io_max(value: object, host: Host) -> IoWish | None:
    """Device -> throttle -> limit, each checked; None to lift all. A throttle not named stays as it is."""
    if is_lifted(value):
        return None
    if not isinstance(value, Mapping):
        raise BadLimit("io_max", 'is a mapping such as {"8:0": {"read_bytes_per_sec": 1048576}}')
    return {check_device("io_max", device, host): _check_throttles(limit) for device, limit in value.items()}


def check_device(field: str, device: object, host: Host) -> str:
    """A device such as ``8:0`` that is a whole disk of this host; `BadLimit` else."""
    major, colon, minor = device.partition(":") if isinstance(device, str) else ("", "", "")
    if not colon or not all(part.isascii() and part.isdigit() and len(part) <= 9 for part in (major, minor)):
        raise BadLimit(field, f"{str(device)[:40]!r} is not a device such as 8:0")
    return host.check_disk(field, f"{int(major)}:{int(minor)}")


def _check_throttles(limit: object) -> dict[str, Limit]:
    if isinstance(limit, IoLimit):
        limit = {field: getattr(limit, field) for field in THROTTLE_FILES}
    if is_lifted(limit):
        return dict.fromkeys(THROTTLE_FILES, UNLIMITED)
    if not isinstance(limit, Mapping):
        raise BadLimit("io_max", f"a device takes {', '.join(THROTTLE_FILES)}")
    unknown = [str(field)[:40] for field in limit if field not in THROTTLE_FILES]
    if unknown:
        raise BadLimit(
            "io_max", f"there is no throttle {unknown[0]!r}; there are {', '.join(THROTTLE_FILES)}"
        )
    return {field: _check_throttle(field, value) for field, value in limit.items()}


def _check_throttle(field: str, value: object) -> Limit:
    most = MOST_BYTES_PER_SEC if "bytes" in field else MOST_PER_SEC
    try:
        return check_limit(field, value, 1, most)
    except BadLimit as e:
        raise BadLimit("io_max", f"{field}: {e.why}") from e


def _changes(now: Mapping[str, IoLimit], wish: IoWish | None) -> dict[str, dict[str, Limit]]:
    """Device -> the throttles that are to become another."""
    if wish is None:
        wish = {device: dict.fromkeys(THROTTLE_FILES, UNLIMITED) for device in now}
    changes = {
        device: {
            field: limit
            for field, limit in fields.items()
            if limit != getattr(now.get(device, IoLimit()), field)
        }
        for device, fields in wish.items()
    }
    return {device: fields for device, fields in changes.items() if fields}


def plan_throttles(now: Mapping[str, IoLimit], wish: IoWish | None) -> list[Write]:
    """v1: one write per device and throttle that changes; 0 takes a throttle away."""
    return [
        Write("blkio", THROTTLE_FILES[field], f"{device} {0 if limit is UNLIMITED else limit}", key=device)
        for device, fields in _changes(now, wish).items()
        for field, limit in fields.items()
    ]


def plan_io_max(now: Mapping[str, IoLimit], wish: IoWish | None) -> list[Write]:
    """v2: one write per device, with the throttles that change; two lines in one write are refused."""
    return [
        Write("blkio", "io.max", " ".join([device, *map(_pair, fields.items())]), key=device)
        for device, fields in _changes(now, wish).items()
    ]


def _pair(item: tuple[str, Limit]) -> str:
    field, limit = item
    return f"{THROTTLE_KEYS[field]}={'max' if limit is UNLIMITED else limit}"
