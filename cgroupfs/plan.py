"""Applying a plan: all writes of it or none; each read back, as the kernel rounds and drops silently."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from cgroupfs import cpuset_writes, memory_reclaim
from cgroupfs.devices import (
    ALLOW,
    DENY,
    LIST,
    PROGRAM,
    plan_restore,
    read_program_rules,
    write_program_rules,
)
from cgroupfs.errors import CgroupError, CgroupGone, HalfApplied, NotOffered, Refused
from cgroupfs.files import ControlDir
from cgroupfs.io_limits import NO_THROTTLES
from cgroupfs.statistic import Dirs
from cgroupfs.writes import Write, Written

# The devices hierarchy answers EINVAL to "a" for some 26 ms after the last child group was removed.
DEVICES_RETRY_SEC: Final = 0.2

# What needs more than the write itself.
_WRITERS: Final[Mapping[str, Callable[[ControlDir, str], None]]] = {
    memory_reclaim.MAX: memory_reclaim.write_max,
    "cpuset.cpus": cpuset_writes.write_cpus,
    "cpuset.mems": cpuset_writes.write_mems,
    cpuset_writes.PARTITION: cpuset_writes.write_partition,
    PROGRAM: write_program_rules,
}
# What a device that a keyed file does not list has, as a value for that file.
_UNLISTED: Final = {"io.max": NO_THROTTLES, "io.latency": "target=0"}


def apply(dirs: Dirs, plan: Sequence[Write]) -> list[Written]:
    """Apply all of `plan`, or none of it.

    `Refused`, `NotOffered` or `CgroupGone` if a write fails; what was written before it is put back.
    """
    return apply_all((dirs, write) for write in plan)


def apply_all(plan: Iterable[tuple[Dirs, Write]]) -> list[Written]:
    """The same for writes to several groups."""
    done: list[tuple[Dirs, Write, str]] = []
    try:
        for dirs, write in plan:
            before = read_value(dirs, write)
            write_value(dirs, write)
            done.append((dirs, write, before))
    except BaseException as e:
        _undo(done, e)
        raise
    return [
        Written(write.controller, write.file, before, write.value, read_value(dirs, write))
        for dirs, write, before in done
    ]


def read_value(dirs: Dirs, write: Write) -> str:
    """What the kernel holds where `write` would write, fit to be written back (v1 device rules excepted)."""
    directory = _directory(dirs, write)
    if write.file == PROGRAM:
        return read_program_rules(directory)
    file = LIST if write.file in (ALLOW, DENY) else write.file
    text = directory.read(file)
    if text is None:
        raise NotOffered(directory.path, file)
    if write.key is not None:
        return _read_line(text, write)
    return text.splitlines()[0].removeprefix("default ") if text.startswith("default ") else text.strip()


def _read_line(text: str, write: Write) -> str:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == write.key:
            return f"{key} {value.rstrip()}"  # rdma.max ends its lines with a blank
    return f"{write.key} {_UNLISTED.get(write.file, '0')}"  # not listed: none, and 0 takes one away


def write_value(dirs: Dirs, write: Write) -> None:
    """One write of a plan."""
    directory = _directory(dirs, write)
    deadline = time.monotonic() + DEVICES_RETRY_SEC
    while True:
        try:
            writer = _WRITERS.get(write.file)
            return (
                directory.write(write.file, write.value) if writer is None else writer(directory, write.value)
            )
        except Refused as e:
            settling = write.value == "a" and write.controller == "devices" and e.errno == errno.EINVAL
            if not settling or time.monotonic() >= deadline:
                raise
            time.sleep(0.005)


def _undo(done: Sequence[tuple[Dirs, Write, str]], cause: BaseException) -> None:
    """Put back in reverse order; one value that cannot be put back does not keep the others from it."""
    left: list[CgroupError] = []
    for dirs, write, before in reversed(done):
        try:
            _restore(dirs, write, before)
        except CgroupError as e:
            left.append(e)
    if left and not isinstance(cause, CgroupGone):
        raise HalfApplied(
            f"{cause}; and of what was written before, not all could be put back: {left[0]}"
        ) from cause


def _restore(dirs: Dirs, write: Write, before: str) -> None:
    if write.file in (ALLOW, DENY):
        for file, value in plan_restore(before):
            _directory(dirs, write).write(file, value)
    else:
        write_value(dirs, write._replace(value=before))


def _directory(dirs: Dirs, write: Write) -> ControlDir:
    if write.controller not in dirs:
        raise NotOffered(write.controller, write.file)
    return dirs[write.controller]
