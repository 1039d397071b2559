"""Writes to cpuset files that need more than the write: what the kernel takes in silence, or refuses to undo.

Documentation/admin-guide/cgroup-v2.rst, "Cpuset".
"""

from __future__ import annotations

import contextlib
import errno
from typing import Final

from cgroupfs.errors import Refused
from cgroupfs.files import ControlDir

PARTITION: Final = "cpuset.cpus.partition"
MEMBER: Final = "member"


def write_cpus(directory: ControlDir, value: str) -> None:
    """Write ``cpuset.cpus``, as `write_list`."""
    write_list(directory, "cpuset.cpus", value)


def write_mems(directory: ControlDir, value: str) -> None:
    """Write ``cpuset.mems``, as `write_list`."""
    write_list(directory, "cpuset.mems", value)


def write_list(directory: ControlDir, file: str, value: str) -> None:
    """Write a list. With tasks inside the kernel refuses to go back to none (ENOSPC): then all that is above.

    That is the same to the tasks, so that a plan can be undone whatever runs in the group.
    """
    try:
        directory.write(file, value)
    except Refused as e:
        if value.strip() or e.errno != errno.ENOSPC:
            raise
        with contextlib.closing(directory.open_parent()) as parent:
            above = (parent.read(f"{file}.effective") or "").strip()
        if not above:
            raise
        directory.write(file, above)


def write_partition(directory: ControlDir, value: str) -> None:
    """Write ``cpuset.cpus.partition``; what the kernel then calls invalid is undone and `Refused`."""
    before = (directory.read(PARTITION) or MEMBER).split()[0]
    wanted = value.split()[0]  # a value that was read can carry a reason
    directory.write(PARTITION, wanted)
    shown = (directory.read(PARTITION) or "").strip()
    if "invalid" in shown:
        directory.write(PARTITION, before)
        why = (
            f"the kernel calls it {shown!r}; its CPUs must be the parent's to give, no other group's, and the"
            " parent a partition itself"
        )
        raise Refused(directory.path, PARTITION, wanted, errno.EINVAL, why)
