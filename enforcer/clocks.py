"""The boot's identity and its clock: leases count CLOCK_BOOTTIME, which goes on while the host sleeps."""

from __future__ import annotations

import time

NSEC_PER_SEC = 1_000_000_000
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boottime_ns() -> int:
    """Nanoseconds since boot, suspend included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def read_boot_id() -> str:
    """This boot's random id; leases and inodes of another boot mean nothing."""
    with open(_BOOT_ID) as file:
        return file.read().strip()


def wall_of(deadline_ns: int) -> float:
    """The wall-clock time at which a boottime deadline falls."""
    return time.time() + (deadline_ns - boottime_ns()) / NSEC_PER_SEC
