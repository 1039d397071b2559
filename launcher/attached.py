"""Those who stay with a container: they get its output as it comes, may type into it, and learn its end."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

from launcher import channel
from launcher.beside.audience import PACKET_BYTES, SIZE
from launcher.container import Container
from launcher.logfile import LogLine
from launcher.logreader import LogReader
from launcher.processes import is_alive
from launcher.registry import Entry

HELLO_SEC: Final = 10.0
END_SEC: Final = 20.0
STREAMS: Final = {b"o": "stdout", b"e": "stderr"}
TOO_SLOW: Final = "its output came faster than it was taken: some was skipped"
LOST: Final = "its supervisor was lost, and its terminal with it"

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FirstAudience:
    """Somebody who is there before the first output; `size` is that one's terminal's, rows and columns."""

    fd: int
    size: Size | None

    def to_wire(self) -> dict[str, Any]:
        terminal = None if self.size is None else {"rows": self.size[0], "columns": self.size[1]}
        return {"audience": True, "terminal": terminal}


class Attachment:
    """One member of a supervisor's audience. Iterate in one thread; the other methods are for any thread."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self.tty = False
        self.takes_input = False

    @classmethod
    def connect(cls, run_dir: str) -> Attachment:
        """To a container that runs. OSError: nobody listens there."""
        link = channel.connect_control(run_dir, HELLO_SEC)
        try:
            channel.send(link, {"do": "attach"})
            return cls(link).begin()
        except OSError:
            link.close()
            raise

    def begin(self) -> Attachment:
        """Hear what this is. OSError where the supervisor ended before it said so."""
        self._link.settimeout(HELLO_SEC)
        hello = json.loads(self._link.recv(PACKET_BYTES) or b"{}")
        self._link.settimeout(None)
        self.tty, self.takes_input = hello.get("tty", False), hello.get("stdin", False)
        return self

    def __iter__(self) -> Generator[tuple[str, bytes], None, None]:
        """`("stdout" | "stderr", bytes)`, until the container has ended, or we were cut off or closed."""
        try:
            while packet := self._receive():
                yield STREAMS[packet[:1]], packet[1:]
        finally:
            self._link.close()

    def _receive(self) -> bytes:
        try:
            return self._link.recv(PACKET_BYTES + 1)
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        """How many bytes were taken for its input; 0 while it takes none. Never waits.

        BrokenPipeError: we were cut off, or the container has ended.
        """
        piece = data[:PACKET_BYTES]
        try:
            self._link.send(b"i" + piece, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError as e:
            raise BrokenPipeError(e.errno, "nobody is attached any more") from None
        return len(piece)

    def take_no_output(self) -> None:
        """For one who reads the log instead: the queue would run full."""
        self._send(b"d")

    def end_input(self) -> bool:
        """No more input, from anybody; for a terminal this means nothing. False: not taken yet, try again."""
        return self._send(b"q")

    def resize(self, rows: int, columns: int) -> None:
        self._send(b"w" + SIZE.pack(rows, columns))

    def detach(self) -> None:
        """The container goes on without us in any case."""

    def close(self) -> None:
        """Detach: whoever iterates comes to the end; the container goes on."""
        try:
            self._link.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed already, or by the other side

    def _send(self, packet: bytes) -> bool:
        """False while the queue is full; what can never arrive is of no use any more."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            try:
                self._link.send(packet, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
        return True


def waiting_audience(size: Size | None) -> tuple[Attachment, FirstAudience]:
    """Ours, and what a supervisor is born with; the descriptor of the second is the caller's to close."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Attachment(ours), FirstAudience(theirs.detach(), size)


class AttachedRun:
    """Made before anybody waits for the container's end, so nothing of its output can be missed.

    `live` is there where it has a terminal, or input; `log` where its whole output is wanted, however slowly
    it is taken.
    """

    def __init__(self, entry: Entry, log: LogReader | None, live: Attachment | None = None) -> None:
        self.container: Container = entry.container
        self._entry = entry
        self._log = log
        self.live = live

    def output(self, stopped: Callable[[], bool] = lambda: False) -> Generator[LogLine, None, None]:
        """Every line as it comes, until the container has ended or `stopped()`; once."""
        assert self._log is not None
        return self._log.read(None, None, lambda seconds: self._entry.ended.wait(seconds) or stopped())

    def why_cut(self) -> str | None:
        """After `live` came to its end: why, although the container has not ended; None if it has."""
        container = self._entry.container
        for _ in range(int(END_SEC / 0.1)):
            if self._entry.ended.wait(0.1):
                return None
            if is_alive(container.pid, container.start_ticks):
                break
        return TOO_SLOW if self._entry.container.supervised else LOST

    def hang_up(self, *, end_input: bool) -> None:
        """The one who was attached has gone. The input of one who started it without a terminal ends then,
        as docker has it.
        """
        if self.live is not None:
            if end_input and self._log is not None:
                self.live.end_input()
            self.live.close()

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and for good where its supervisor was lost."""
        return self._entry.container.exit_code


def close_fd(first: FirstAudience | None) -> None:
    """The supervisor has its own by now, or there is none."""
    if first is not None:
        os.close(first.fd)
