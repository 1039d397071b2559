"""Making room before a memory limit sinks: v2 takes a limit below the usage, and then kills.

v1 answers EBUSY there, which is the better answer; so this module gives it on v2 too: reclaim first, look
again, and write ``memory.max`` only where what is left fits. `memory.high` would do the same, but stalls the
container for minutes where there is nothing to reclaim.
"""

from __future__ import annotations

import errno
from typing import Final

from cgroupfs.errors import NotOffered, Refused
from cgroupfs.files import ControlDir
from cgroupfs.values import parse_int

RECLAIM: Final = "memory.reclaim"
MAX: Final = "memory.max"
ROUNDS: Final = 3
HEADROOM_BYTES: Final = 1 << 20  # per-CPU batches of charges, and what is allocated meanwhile


def reclaim(directory: ControlDir, wanted_bytes: int) -> int:
    """Ask for `wanted_bytes` to be freed; how many bytes are in use after it. `NotOffered` before 5.19."""
    try:
        if wanted_bytes > 0:
            directory.write(RECLAIM, str(wanted_bytes))
    except Refused as e:
        if e.errno != errno.EAGAIN:  # fewer were freed: that is for the caller to judge
            raise
    return read_current(directory)


def read_current(directory: ControlDir) -> int:
    """Bytes in use; `NotOffered` where the memory controller is not on."""
    text = directory.read("memory.current")
    if text is None:
        raise NotOffered(directory.path, "memory.current")
    return parse_int(text, "memory.current")


def write_max(directory: ControlDir, value: str) -> None:
    """Write ``memory.max``; `Refused` (EBUSY) where the kernel would kill to get there."""
    make_room(directory, value)
    directory.write(MAX, value)


def make_room(directory: ControlDir, value: str) -> None:
    """Before ``memory.max`` becomes `value`: free what is above it; `Refused` (EBUSY) if that cannot be."""
    if not value.isdigit():  # no limit, or what the kernel will refuse by itself
        return
    limit = int(value)
    usage = read_current(directory)
    for _ in range(ROUNDS):
        if usage <= limit:
            return
        try:
            usage = reclaim(directory, usage - max(0, limit - HEADROOM_BYTES))
        except NotOffered:
            usage = _squeeze(directory, max(0, limit - HEADROOM_BYTES))
    if usage > limit:
        why = (
            f"{usage} bytes are in use and cannot be reclaimed, and the kernel would kill processes"
            " to get there; choose more than that, or free memory first"
        )
        raise Refused(directory.path, MAX, value, errno.EBUSY, why)


def _squeeze(directory: ControlDir, high_bytes: int) -> int:
    """The same before Linux 5.19: writing ``memory.high`` reclaims too; it is put back at once."""
    before = (directory.read("memory.high") or "max").strip()
    try:
        directory.write("memory.high", str(high_bytes))
    finally:
        directory.write("memory.high", before)
    return read_current(directory)
