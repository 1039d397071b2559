"""Throttles per device, and their writes: pure but for asking the host which disks there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cgroupfs.errors import BadLimit
from cgroupfs.host import Host
from cgroupfs.values import UNLIMITED, Limit
from cgroupfs.wishes import check_limit, is_lifted
from cgroupfs.writes import Write

MOST_BYTES_PER_SEC: Final = (1 << 63) - 1
MOST_PER_SEC: Final = (1 << 32) - 1  # above it the kernel keeps the low 32 bits: 5e9 becomes 705032704


@dataclass(frozen=True, slots=True)
class IoLimit:
    """Throttles of one device."""

    read_bytes_per_sec: Limit = UNLIMITED
    write_bytes_per_sec: Limit = UNLIMITED
    reads_per_sec: Limit = UNLIMITED
    writes_per_sec: Limit = UNLIMITED


THROTTLE_FILES: Final[Mapping[str, str]] = {
    "read_bytes_per_sec": "blkio.throttle.read_bps_device",
    "write_bytes_per_sec": "blkio.throttle.write_bps_device",
    "reads_per_sec": "blkio.throttle.read_iops_device",
    "writes_per_sec": "blkio.throttle.write_iops_device",
}

IoWish = Mapping[str, Mapping[str, Limit]]


def check_io_max(value: object, host: Host) -> IoWish | None:
    """Device -> throttle -> limit, each checked; None to lift all. A throttle not named stays as it is."""
    if is_lifted(value):
        return None
    if not isinstance(value, Mapping):
        raise BadLimit("io_max", 'is a mapping such as {"8:0": {"read_bytes_per_sec": 1048576}}')
    return {_check_device(device, host): _check_throttles(limit) for device, limit in value.items()}


def _check_device(device: object, host: Host) -> str:
    major, colon, minor = device.partition(":") if isinstance(device, str) else ("", "", "")
    if (
        not (colon and major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit())
        or len(minor) > 9
    ):
        raise BadLimit("io_max", f"{str(device)[:40]!r} is not a device such as 8:0")
    return host.check_disk("io_max", f"{int(major)}:{int(minor)}" if len(major) < 9 else f"{major}:{minor}")


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


def plan_io_max(now: Mapping[str, IoLimit], wish: IoWish | None) -> list[Write]:
    """One write per device and throttle that changes; 0 takes a throttle away."""
    if wish is None:
        wish = {device: dict.fromkeys(THROTTLE_FILES, UNLIMITED) for device in now}
    return [
        Write("blkio", THROTTLE_FILES[field], f"{device} {0 if limit is UNLIMITED else limit}", key=device)
        for device, fields in wish.items()
        for field, limit in fields.items()
        if limit != getattr(now.get(device, IoLimit()), field)
    ]
