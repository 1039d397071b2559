"""The files that make a container survive us: intent, identity and end, each written so that a crash leaves
old or new.

STATE_DIR/containers/NAME/spec.json   what was asked for; exists before anything else of the container does
                          init.json   who it is: pids with start times, boot id; exists before the program
                          exit.json   how it ended; exists before its cgroups are removed
                          last.json   how the run before this one ended, while it is being started again
                          life.json   what is wished for it: to run or not, and how often it was restarted
                          ids.json    the range of host ids that is its own, if it has one
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

SPEC: Final = "spec.json"
INIT: Final = "init.json"
EXIT: Final = "exit.json"
LAST: Final = "last.json"
LIFE: Final = "life.json"
IDS: Final = "ids.json"
_RECORDS: Final = frozenset({SPEC, INIT, EXIT, LAST, LIFE, IDS})
_ROOT_PARTS: Final = ("root.json", "tree", "upper.img", "shifted")
_PARTS: Final = (
    frozenset(_ROOT_PARTS)
    | {f"{name}.new" for name in _ROOT_PARTS}
    | frozenset({"upper", "work", "root", "etc", *(f".{name}.new" for name in _RECORDS)})
)
_LOGS: Final = re.compile(r"log(\.[1-9][0-9]?)?")


@contextlib.contextmanager
def opened_directory(path: str) -> Iterator[int]:
    """Its descriptor, to work below it: to write records, say."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def write_record(dir_fd: int, name: str, value: dict[str, Any], *, durable: bool = True) -> None:
    """Replace the file whole: a crash leaves the old one or the new one; of the host too where `durable`."""
    fresh = f".{name}.new"
    _write(dir_fd, fresh, os.O_TRUNC, value, durable)
    os.rename(fresh, name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    if durable:
        os.fsync(dir_fd)


def create_record(dir_fd: int, name: str, value: dict[str, Any]) -> None:
    """Write a file that is new, durably, with a single wait for the disk.

    Linux file systems keep the name of a new file with its data, which a rename would need a second sync for.
    A crash in between leaves half a file, which reads as none: nobody was told of it yet.
    """
    _write(dir_fd, name, os.O_EXCL, value, durable=True)


def _write(dir_fd: int, name: str, flag: int, value: dict[str, Any], durable: bool) -> None:
    text = json.dumps(value).encode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flag
    fd = os.open(name, flags, 0o600, dir_fd=dir_fd)
    try:
        if os.write(fd, text) != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def may_hold(names: Sequence[str]) -> bool:
    """Is a directory with these files a container's? One half made, or half removed, may lack all records."""
    others = {name for name in names if not _LOGS.fullmatch(name)}
    return not _RECORDS.isdisjoint(names) or _PARTS.issuperset(others)


def read_record(directory: str, name: str) -> dict[str, Any] | None:
    """None where there is none, or where a crash of the host left half of one.

    Links are not followed, and nothing waits for a writer: the directory may hold what is not ours.
    """
    try:
        fd = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            value = json.loads(file.read() or b"")  # None: a FIFO whose writer is silent
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_boot_id() -> str:
    """What tells one boot of this host from another."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def read_start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat: with the boot id it tells a process from a later one with its number.

    None where no such process is alive; a zombie is not.
    """
    return parse_start_ticks(read_stat(pid))


def read_process_state(pid: int) -> str | None:
    """Field 3 of /proc/PID/stat, one letter; None where there is no such process."""
    field = parse_stat_fields(read_stat(pid))
    return field[0].decode() if field else None


def read_zombie_status(pid: int, start_ticks: int | None) -> int | None:
    """The wait status of a process that has ended and that its parent has not asked for yet."""
    field = parse_stat_fields(read_stat(pid))
    if len(field) < 50 or field[0] != b"Z" or field[19] != b"%d" % (start_ticks or 0):
        return None
    return int(field[49])


def read_stat(pid: int) -> bytes:
    """/proc/PID/stat; empty where there is no such process."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.read(fd, 4096)
    except ProcessLookupError:
        return b""
    finally:
        os.close(fd)


def parse_stat_fields(stat: bytes) -> list[bytes]:
    """From the state (field 3) on; the name may hold spaces and parentheses, so fields count from the last
    `)`.
    """
    return stat[stat.rfind(b")") + 1 :].split()


def parse_start_ticks(stat: bytes) -> int | None:
    """Field 22; None for a process that is dead, a zombie included."""
    field = parse_stat_fields(stat)
    if len(field) < 20 or not field[19].isdigit() or field[0] in (b"Z", b"X"):
        return None
    return int(field[19])


def rfc3339(seconds: float | None = None) -> str:
    """A wall clock moment in UTC with microseconds; now by default."""
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
