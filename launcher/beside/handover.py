"""From the process that starts a container to the one that stays beside it: descriptors and a few facts.

They are two, so that what a launch touches (description, plan, records) is gone with the starter: a page that
Python has touched after a fork is a page of our own, and the one that stays shall own few. So it is `marshal`
instead of JSON (both ends are the same interpreter), `_socket` and `_signal`: the first object of `socket`
alone touches a quarter of a megabyte, with its enumerations.
"""

from __future__ import annotations

import _socket
import array
import ctypes
import marshal
import os
import signal
from dataclasses import dataclass, field
from typing import Final

LARGEST: Final = 16 << 10
MOST_FDS: Final = 16
TAKEN: Final = b"taken"
HELD: Final = b"held"
RUNS: Final = b"runs"
FAILED: Final = b"failed"


@dataclass(slots=True)
class Handover:
    """`identity` is the record as JSON text, told to whoever asks; descriptors go by name."""

    pid: int
    start_ticks: int | None
    identity: bytes
    tty: bool = False
    log_max_bytes: int | None = None
    log_max_files: int | None = None
    fds: dict[str, int] = field(default_factory=dict)

    def give(self, channel: _socket.socket) -> None:
        """To the one that stays; returns when it holds everything. OSError: it is gone."""
        facts = (self.pid, self.start_ticks, self.identity, self.tty, self.log_max_bytes, self.log_max_files)
        packed = array.array("i", self.fds.values())
        channel.sendmsg(
            [marshal.dumps((facts, tuple(self.fds)))], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)]
        )
        if channel.recv(16) != HELD:
            raise BrokenPipeError("the supervisor ended")


def take(channel: _socket.socket) -> Handover | None:
    """What is given, once its program runs; None where that did not come about."""
    if _receive(channel)[0] != TAKEN:
        return None
    end_with_parent(0)
    rename_process(b"cgwarden-super")
    # Whoever reads the daemon's standard error must see its end when the daemon ends.
    os.dup2(0, 2)
    data, fds = _receive(channel)
    if not data:
        return None
    facts, names = marshal.loads(data)  # noqa: S302 - from the process that was forked from us
    channel.send(HELD)
    # A starter that was killed says nothing: the container may run, and if not, that is an end to record.
    if channel.recv(16) == FAILED:
        return None
    given = Handover(*facts)
    given.fds = dict(zip(names, fds, strict=True))
    return given


def _receive(channel: _socket.socket) -> tuple[bytes, list[int]]:
    space = _socket.CMSG_SPACE(MOST_FDS * 4)
    data, ancillary, _flags, _address = channel.recvmsg(LARGEST, space, _socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for _level, _kind, packed in ancillary:
        fds.frombytes(packed)
    return data, list(fds)


def rename_process(name: bytes) -> None:
    """What `ps` and `top` show, at most 15 bytes; without a single object of ctypes."""
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, name)
    os.close(fd)


_prctl = ctypes.PyDLL(None).prctl
_SET_PDEATHSIG: Final = ctypes.c_int(1)
_NUMBER: Final = {number: ctypes.c_ulong(number) for number in (0, int(signal.SIGKILL))}


def end_with_parent(number: int) -> None:
    """The signal (KILL, or 0 for none) that we get when our parent ends; nothing is made for the call."""
    _prctl(_SET_PDEATHSIG, _NUMBER[number], _NUMBER[0], _NUMBER[0], _NUMBER[0])
