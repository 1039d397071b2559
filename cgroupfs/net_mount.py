"""Mounting ``net_cls`` and ``net_prio`` where the kernel has them and nobody mounted them: only when asked.

A mount makes the hierarchy for the whole host, whichever namespace it is made in, and other programs use it
at once; so the daemon asks once at its start or never. Taking it away right after the last group was removed
leaves it alive and invisible: `release` knows. Documentation/admin-guide/cgroup-v1/cgroups.rst.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cgroupfs.errors import CgroupError, NotOffered, Refused
from cgroupfs.mounts import parse_proc_cgroups

CONTROLLERS: Final = ("net_cls", "net_prio")
SETTLE_SEC: Final = 1.0  # removed groups let go of their hierarchy some time later
TRIES: Final = 5
POLL_SEC: Final = 0.02
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8

_libc: Final = ctypes.CDLL(None, use_errno=True)


def read_available(root: str = "/") -> tuple[str, ...]:
    """Which of the two the kernel has and nobody has mounted."""
    known = parse_proc_cgroups(Path(root, "proc/cgroups").read_text())
    return tuple(
        controller.name
        for controller in known
        if controller.name in CONTROLLERS and controller.enabled and controller.hierarchy == 0
    )


def mount(at: str, controllers: Sequence[str] = CONTROLLERS) -> None:
    """Mount the hierarchy of `controllers` together at the directory `at`, which is made if need be.

    `NotOffered` where the kernel lacks one; `Refused` where one is mounted already, in another company.
    """
    if Path(at).parent.joinpath("cgroup.procs").exists():
        raise CgroupError(
            f"{at}: a directory there would be a cgroup; choose a place outside of cgroup mounts"
        )
    os.makedirs(at, mode=0o755, exist_ok=True)
    try:
        _mount(at, ",".join(controllers))
    except OSError as e:
        with contextlib.suppress(OSError):
            os.rmdir(at)
        if e.errno in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
            raise NotOffered(at, ",".join(controllers)) from e
        raise Refused(at, "mount", ",".join(controllers), e.errno or 0, _explain(e)) from e


def release(at: str, controllers: Sequence[str] = CONTROLLERS) -> None:
    """Unmount what `mount` mounted, once no group is left in it, so that the hierarchy itself ends."""
    left = sorted(entry.name for entry in os.scandir(at) if entry.is_dir())
    if left:
        raise Refused(at, "umount", "", errno.EBUSY, f"there are groups left in it: {', '.join(left[:5])}")
    for attempt in range(1, TRIES + 1):
        time.sleep(SETTLE_SEC)
        _unmount(at)
        if _is_free(controllers) or attempt == TRIES:
            break
        _mount(at, ",".join(controllers))  # alive and invisible; mounted again it is the same one
    os.rmdir(at)


def _is_free(controllers: Sequence[str]) -> bool:
    """Has the hierarchy ended? It takes the kernel a moment after the last unmount."""
    deadline = time.monotonic() + SETTLE_SEC
    while not set(controllers) <= set(read_available()):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SEC)
    return True


def _mount(at: str, options: str) -> None:
    flags = _NOSUID | _NODEV | _NOEXEC
    if _libc.mount(b"cgroup", os.fsencode(at), b"cgroup", ctypes.c_ulong(flags), options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), at)


def _unmount(at: str) -> None:
    if _libc.umount2(os.fsencode(at), 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), at)


def _explain(e: OSError) -> str:
    if e.errno == errno.EBUSY:
        return "one of them is mounted elsewhere, alone or with others; use that mount"
    if e.errno == errno.EPERM:
        return "it needs CAP_SYS_ADMIN, and may not be allowed inside a container at all"
    return e.strerror or "no reason given"
