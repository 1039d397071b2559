"""Handing controllers down the unified tree: a group's files exist once its parent enables their controller.

Only what is served here is enabled, only where a group below needs it, and never in a container itself, so
that containers stay leaves. Nothing is disabled again: that would drop the limits of whoever relies on it.
Documentation/admin-guide/cgroup-v2.rst, "Controlling Controllers".
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable
from typing import Final

from cgroupfs.errors import CgroupGone, NotOffered, Refused
from cgroupfs.files import ControlDir

CONTROL: Final = "cgroup.subtree_control"
# In the kernel's words; whatever else it offers stays as it is.
SERVED: Final = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb", "misc", "rdma")
# An older kernel, or one of another configuration, can lack one of them below though the parent lists it.
_NOT_HERE: Final = (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP)


def read_words(directory: ControlDir, file: str) -> frozenset[str]:
    """The words of a file such as ``cgroup.controllers``; none where it is not offered."""
    return frozenset((directory.read(file) or "").split())


def read_missing(directory: ControlDir, wanted: tuple[str, ...] = SERVED) -> tuple[str, ...]:
    """Controllers that the groups below `directory` could have, and do not."""
    enabled = read_words(directory, CONTROL)
    if enabled.issuperset(wanted):
        return ()
    offered = read_words(directory, "cgroup.controllers")
    return tuple(name for name in wanted if name in offered and name not in enabled)


def enable(directory: ControlDir, wanted: tuple[str, ...] = SERVED) -> tuple[str, ...]:
    """Let the groups below have the `wanted` controllers, as far as the parent of `directory` hands them on.

    Gives those that are new. `Refused` where processes, or a threaded group, stand in the way.
    """
    missing = read_missing(directory, wanted)
    if not missing:
        return ()
    kind = (directory.read("cgroup.type") or "").strip()  # the root of all has no such file, and is exempt
    if kind:
        _check(directory, kind, missing)
    new = _write(directory, missing)
    # A process that came in meanwhile would have made this a threaded domain, whose children take no process.
    if new and (directory.read("cgroup.type") or "domain").strip() != "domain":
        directory.write(CONTROL, " ".join(f"-{name}" for name in new))
        raise _refusal(directory, new, errno.EBUSY, "a process came in meanwhile; move it elsewhere")
    return new


def disable(directory: ControlDir, names: Iterable[str]) -> None:
    """Take controllers back, those aside that a group below hands on: only right after `enable` gave them."""
    for name in names:
        with contextlib.suppress(Refused, NotOffered, CgroupGone):
            directory.write(CONTROL, f"-{name}")


def _check(directory: ControlDir, kind: str, missing: tuple[str, ...]) -> None:
    """The kernel refuses a populated group some controllers, and makes it threaded for the others."""
    if kind != "domain":
        raise _refusal(directory, missing, errno.EOPNOTSUPP, f"the group is {kind}; use another parent group")
    pids = sorted((directory.read("cgroup.procs") or "").split())
    if pids:
        shown = ", ".join(pids[:5]) + (", ..." if len(pids) > 5 else "")
        why = f"processes are in the group itself ({shown}); move them into a group below or beside it"
        raise _refusal(directory, missing, errno.EBUSY, why)


def _write(directory: ControlDir, names: tuple[str, ...]) -> tuple[str, ...]:
    """All at once, or else one by one: the kernel rejects a whole line for one name that it cannot enable."""
    try:
        directory.write(CONTROL, " ".join(f"+{name}" for name in names))
    except Refused as e:
        if len(names) > 1:
            return tuple(new for name in names for new in _write(directory, (name,)))
        if e.errno in _NOT_HERE:
            return ()
        raise
    return names


def _refusal(directory: ControlDir, names: tuple[str, ...], code: int, why: str) -> Refused:
    return Refused(directory.path, CONTROL, " ".join(f"+{name}" for name in names), code, why)
