"""Network counters of a container, which belong to its network namespace and not to a cgroup."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from cgroupfs.errors import ParseError

_COLUMNS: Final = 16
_HEADER_LINES: Final = 2


class InterfaceCounters(NamedTuple):
    """Counters of one interface, as seen from inside its namespace."""

    name: str
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_drops: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_drops: int


def parse_net_dev(raw: bytes) -> tuple[InterfaceCounters, ...]:
    """``/proc/PID/net/dev``: two lines of heading, then eight receive and eight transmit columns."""
    return tuple(_parse_line(line) for line in raw.splitlines()[_HEADER_LINES:])


def _parse_line(line: bytes) -> InterfaceCounters:
    name, colon, numbers = line.rpartition(b":")  # the name itself may hold a colon
    words = numbers.split()
    if not colon or len(words) != _COLUMNS or not all(word.isdigit() and len(word) <= 20 for word in words):
        raise ParseError("net/dev", line[:81])
    rx_bytes, rx_packets, rx_errors, rx_drops = map(int, words[:4])
    tx_bytes, tx_packets, tx_errors, tx_drops = map(int, words[8:12])
    return InterfaceCounters(
        os.fsdecode(name.strip()),
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_drops,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_drops,
    )


def read_net(pid: int) -> tuple[InterfaceCounters, ...] | None:
    """Counters of the namespace that process `pid` is in; None if the process is gone."""
    try:
        return parse_net_dev(Path(f"/proc/{pid}/net/dev").read_bytes())
    except OSError as e:
        if _is_gone(e):
            return None
        raise


def _is_gone(e: OSError) -> bool:
    # A process that has exited but was not reaped has no namespace any more: EINVAL.
    return e.errno in (errno.ENOENT, errno.ESRCH, errno.EINVAL)


@dataclass(slots=True)
class NetNamespace:
    """A kept fd of a namespace's counters: it goes on showing them after the process left or exited."""

    fd: int
    inode: int

    @classmethod
    def of(cls, pid: int) -> NetNamespace | None:
        """The namespace of `pid`; None if the process is gone."""
        try:
            fd = os.open(f"/proc/{pid}/net/dev", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as e:
            if _is_gone(e):
                return None
            raise
        inode = read_namespace(pid)
        if inode is None:
            os.close(fd)
            return None
        return cls(fd, inode)

    def read(self) -> tuple[InterfaceCounters, ...]:
        return parse_net_dev(_read_from_start(self.fd))

    def close(self) -> None:
        os.close(self.fd)


def read_namespace(pid: int | str) -> int | None:
    """The inode that names the network namespace of `pid` ("self" too); None if the process is gone."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except (FileNotFoundError, ProcessLookupError):
        return None


def _read_from_start(fd: int) -> bytes:
    chunks, at = [], 0
    while chunk := os.pread(fd, 65536, at):
        chunks.append(chunk)
        at += len(chunk)
    return b"".join(chunks)
