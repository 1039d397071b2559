"""One JSON message, with file descriptors beside it, over a local socket: how daemon, spawner and
supervisor talk.
"""

from __future__ import annotations

import _socket
import array
import json
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

MOST_FDS: Final = 64
LARGEST_MESSAGE: Final = 4 << 20
SO_SNDBUFFORCE: Final = 32


class Message:
    """What arrived: a JSON object, and descriptors that now belong to the receiver."""

    __slots__ = ("body", "fds")

    def __init__(self, body: dict[str, Any], fds: list[int]) -> None:
        self.body = body
        self.fds = fds

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends; messages keep their borders."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    make_roomy(ours)
    make_roomy(theirs)
    return ours, theirs


def make_roomy(channel: _socket.socket) -> None:
    """A command line may be large, and a message is sent whole or not at all."""
    channel.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, LARGEST_MESSAGE)


def send(channel: _socket.socket, body: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """One message, whole; the descriptors stay the sender's too."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    channel.sendmsg([json.dumps(body).encode()], ancillary)


def _peek(channel: _socket.socket) -> int:
    """The size of the next message; 0 at the end.

    Who closes a socket with something unread in it resets it, and the reset is told before what was said.
    """
    probe = bytearray(1)
    flags = socket.MSG_PEEK | socket.MSG_TRUNC
    try:
        return channel.recv_into(probe, 1, flags)
    except ConnectionResetError:
        return channel.recv_into(probe, 1, flags)


def receive(channel: _socket.socket) -> Message | None:
    """The next message; None when the other side is gone."""
    try:
        size = _peek(channel)
        if size == 0:
            return None
        data, ancillary, _flags, _address = channel.recvmsg(
            size, socket.CMSG_SPACE(MOST_FDS * 4), socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionError:
        return None
    fds = array.array("i")
    for level, kind, packed in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(packed[: len(packed) - len(packed) % fds.itemsize])
    return Message(json.loads(data), list(fds))


def bind_control(run_dir_fd: int, name: str = "control.sock") -> socket.socket:
    """Bound through the directory's descriptor: the path of a socket may have 107 bytes only, a directory's
    4,095.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mask = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{run_dir_fd}/{name}")
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener


def connect_control(run_dir: str, timeout_sec: float, name: str = "control.sock") -> socket.socket:
    """Raises OSError: nobody listens there."""
    fd = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.settimeout(timeout_sec)
        try:
            channel.connect(f"/proc/self/fd/{fd}/{name}")
        except OSError:
            channel.close()
            raise
    finally:
        os.close(fd)
    make_roomy(channel)
    return channel
