"""Who is attached to a container: each gets its output as it comes, and all may type into its input.

One socket each, with packets: `o` and `e` before output, `i` before input, `q` for its end, `w` with
rows and columns, `d` from one who takes no output. The buffer of the socket in the kernel is the queue: who
lets it run full is cut off, and the container never waits for anybody.
"""

from __future__ import annotations

import _socket
import os
import select
import struct
from collections.abc import Callable
from typing import Final

from launcher import channel
from launcher.scene import terminal

MOST: Final = 32
QUEUE_BYTES: Final = 1 << 20
PACKET_BYTES: Final = 16 << 10
MARKS: Final = {"terminal": b"o", "stdout": b"o", "stderr": b"e"}
SIZE: Final = struct.Struct("=HH")

Handler = Callable[[int, int], None]
WatchFor = Callable[[int, int, Handler | None], None]


class Audience:
    """`input_fd` is the terminal's master, or our end of the pipe that is standard input, or -1."""

    def __init__(self, tty: bool, input_fd: int, watch_for: WatchFor) -> None:
        self._tty = tty
        self._watch_for = watch_for
        self._members: dict[int, _socket.socket] = {}
        # Another number for the terminal: it is watched for output apart from input.
        self._input_fd = os.dup(input_fd) if tty and input_fd >= 0 else input_fd
        self._deaf: set[int] = set()
        self._unwritten = b""

    def add(self, member: _socket.socket) -> None:
        """From now on; the first packet says what this is. One too many takes the place of the eldest."""
        if len(self._members) >= MOST:
            self._cut(next(iter(self._members)))
        member.setblocking(False)
        member.setsockopt(_socket.SOL_SOCKET, channel.SO_SNDBUFFORCE, QUEUE_BYTES)
        self._members[member.fileno()] = member
        if not self._unwritten:
            self._watch_for(member.fileno(), select.POLLIN, self._hear)
        hello = b'{"attached": true, "tty": %s, "stdin": %s}'
        says = (b"true" if self._tty else b"false", b"true" if self._input_fd >= 0 else b"false")
        self._send(member.fileno(), [hello % says])

    def tell(self, stream: str, data: bytes) -> None:
        """Everybody at once, and nobody waits."""
        for fd in self._members.keys() - self._deaf if self._members else ():
            self._send(fd, [MARKS[stream], data])

    def close(self) -> None:
        """What is in the queues is still read."""
        for fd in list(self._members):
            self._cut(fd)

    def _send(self, fd: int, packet: list[bytes]) -> None:
        try:
            self._members[fd].sendmsg(packet)
        except OSError:
            self._cut(fd)

    def _cut(self, fd: int) -> None:
        if not self._unwritten:
            self._watch_for(fd, 0, None)
        self._deaf.discard(fd)
        self._members.pop(fd).close()

    def _hear(self, fd: int, _events: int) -> None:
        try:
            packet = self._members[fd].recv(PACKET_BYTES + 1)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        kind = packet[:1]
        if not packet:
            self._cut(fd)
        elif kind == b"i":
            self._feed(packet[1:])
        elif kind == b"d":
            self._deaf.add(fd)
        elif kind == b"q" and not self._tty:
            self._end_input()
        elif kind == b"w" and self._tty and len(packet) == 1 + SIZE.size:
            terminal.set_size(self._input_fd, *SIZE.unpack(packet[1:]))

    def _feed(self, data: bytes) -> None:
        """What the container does not take yet waits here, and everybody who types waits with it."""
        rest = data[self._write(data) :]
        if rest and self._input_fd >= 0:
            for fd in self._members:
                self._watch_for(fd, 0, None)
            self._unwritten = rest
            self._watch_for(self._input_fd, select.POLLOUT, self._feed_rest)

    def _feed_rest(self, fd: int, _events: int) -> None:
        self._unwritten = self._unwritten[self._write(self._unwritten) :]
        if self._unwritten and self._input_fd >= 0:
            return
        self._unwritten = b""
        if self._input_fd >= 0:
            self._watch_for(fd, 0, None)
        for member in self._members:
            self._watch_for(member, select.POLLIN, self._hear)

    def _write(self, data: bytes) -> int:
        """How much was taken; all of it where nobody can ever take it."""
        if self._input_fd < 0:
            return len(data)
        try:
            return os.write(self._input_fd, data)
        except BlockingIOError:
            return 0
        except OSError:  # the container has closed its input
            if self._unwritten:
                self._watch_for(self._input_fd, 0, None)
            self._end_input()
            return len(data)

    def _end_input(self) -> None:
        if self._input_fd >= 0 and not self._tty:
            os.close(self._input_fd)
            self._input_fd = -1
