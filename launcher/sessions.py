"""One program started inside a running container, as its caller sees it: input, output, then an exit code."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from launcher import channel
from launcher.errors import LauncherError
from launcher.lives.launch import error_of
from launcher.scene import terminal
from launcher.scene.seal import Program

READ_BYTES: Final = 65536
LOST: Final[dict[str, Any]] = {
    "kind": "failed",
    "step": "reach the supervisor",
    "errno": 0,
    "why": "it ended",
}


@dataclass(frozen=True, slots=True)
class Stdio:
    """What a program shall read from: nothing, our end of a pipe (`stdin`), or a terminal of its own.

    `size` is the terminal's in rows and columns, (0, 0) where nobody knows.
    """

    stdin: bool = False
    size: tuple[int, int] | None = None

    @property
    def tty(self) -> bool:
        return self.size is not None

    def to_wire(self) -> dict[str, int] | None:
        return None if self.size is None else {"rows": self.size[0], "columns": self.size[1]}


class ExecSession:
    """Iterate for `("stdout" | "stderr", bytes)`; afterwards `exit_code` is set. Closing kills nothing.

    `input_fd` is the terminal's master or a pipe's end, both not blocking, or None.
    """

    def __init__(
        self, control: socket.socket, pid: int, readers: dict[int, str], input_fd: int | None, *, tty: bool
    ) -> None:
        self._control = control
        self._readers = readers
        self._input_fd = input_fd
        self._lock = threading.Lock()
        self.tty = tty
        self.detached = False
        self.pid = pid
        self.exit_code: int | None = None
        # By pidfd from the start: the number may belong to somebody else once the program has ended.
        self._pidfd = _open_pidfd(pid)

    @classmethod
    def start(
        cls,
        control: socket.socket,
        program: Program,
        entry_fds: Sequence[int],
        unified_fd: int | None,
        wish: Stdio,
    ) -> ExecSession:
        """Ask the supervisor at the other end of `control`; raises what kept the program from running."""
        extra = [] if unified_fd is None else [unified_fd]
        request = {"do": "exec", "program": program.to_wire(), "join_unified": unified_fd is not None}
        request["terminal"] = wish.to_wire()
        ends = _Ends(wish)
        try:
            channel.send(control, request, [*ends.theirs, *entry_fds, *extra])
            answer = ends.take_terminal(channel.receive(control))
            if answer is None:
                answer = channel.receive(control)
            if answer is None or "error" in answer.body:
                raise _refusal(program, answer)
        except (OSError, LauncherError):
            ends.close_ours()
            control.close()
            raise
        finally:
            ends.close_theirs()
        control.settimeout(None)
        return cls(control, answer.body["running"], ends.readers, ends.input_fd, tty=wish.tty)

    def __iter__(self) -> Generator[tuple[str, bytes], None, None]:
        try:
            yield from self._read()
        finally:
            self.close()

    def _read(self) -> Iterator[tuple[str, bytes]]:
        poller = select.poll()
        for fd in (*self._readers, self._control.fileno()):
            poller.register(fd, select.POLLIN)
        while self._readers or self.exit_code is None:
            for fd, _event in poller.poll():
                if fd == self._control.fileno():
                    self._take_exit(poller)
                    continue
                data = _read(fd)
                if data:
                    yield self._readers[fd], data
                elif data is not None:
                    poller.unregister(fd)
                    self._drop_reader(fd)

    def _take_exit(self, poller: select.poll) -> None:
        poller.unregister(self._control.fileno())
        message = channel.receive(self._control)
        # The supervisor gone means that the container is gone: the program died with it.
        self.exit_code = 128 + signal.SIGKILL if message is None else message.body["exited"]

    def wait(self) -> int:
        """Drop what output is left; the exit code."""
        for _stream, _data in self:
            continue
        assert self.exit_code is not None
        return self.exit_code

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._pidfd is not None and self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def write(self, data: bytes) -> int:
        """How many bytes were taken for its input; 0 while it takes none. Never waits."""
        with self._lock:
            if self._input_fd is None:
                return len(data)
            try:
                return os.write(self._input_fd, data)
            except BlockingIOError:
                return 0
            except OSError:  # the program reads no more
                return len(data)

    def end_input(self) -> bool:
        """For a terminal this means nothing."""
        with self._lock:
            if self._input_fd is not None and not self.tty:
                os.close(self._input_fd)
                self._input_fd = None
        return True

    def resize(self, rows: int, columns: int) -> None:
        with self._lock:
            if self._input_fd is not None and self.tty:
                terminal.set_size(self._input_fd, rows, columns)

    def detach(self) -> None:
        """The program goes on without us; until it ends, its output is dropped here."""
        self.detached = True

    def hang_up(self) -> None:
        """Whoever asked for it has gone: so does the program, unless it was let go."""
        if not self.detached:
            self.kill()

    def close(self) -> None:
        if self.detached and self.exit_code is None:
            self.detached = False
            threading.Thread(target=self.wait, name="detached exec", daemon=True).start()
            return
        self.end_input()
        for fd in list(self._readers):
            self._drop_reader(fd)
        self._control.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _drop_reader(self, fd: int) -> None:
        with self._lock:
            os.close(fd)
            del self._readers[fd]
            if fd == self._input_fd:
                self._input_fd = None


class _Ends:
    """Both ends of what a program reads and writes; the supervisor sends a terminal's other side itself."""

    def __init__(self, wish: Stdio) -> None:
        self.readers: dict[int, str] = {}
        self.theirs: list[int] = []
        self.input_fd: int | None = None
        self._tty = wish.tty
        if wish.tty:
            return
        if wish.stdin:
            read, self.input_fd = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(self.input_fd, False)
            self.theirs.append(read)
        else:
            self.theirs.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
        for name in ("stdout", "stderr"):
            read, write = os.pipe2(os.O_CLOEXEC)
            self.readers[read] = name
            self.theirs.append(write)

    def take_terminal(self, message: channel.Message | None) -> channel.Message | None:
        """None if this was the terminal, and the answer is still to come."""
        if message is None or "terminal" not in message.body:
            return message or channel.Message({"error": LOST}, [])
        (self.input_fd,) = message.fds
        os.set_blocking(self.input_fd, False)
        self.readers = {self.input_fd: "stdout"}
        return None

    def close_ours(self) -> None:
        for fd in {*self.readers, *([] if self.input_fd is None else [self.input_fd])}:
            os.close(fd)

    def close_theirs(self) -> None:
        for fd in self.theirs:
            os.close(fd)


def _read(fd: int) -> bytes | None:
    """Empty at the end (EIO of a terminal that nobody inside holds any more); None if nothing is there."""
    try:
        return os.read(fd, READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _refusal(program: Program, answer: channel.Message | None) -> LauncherError:
    return error_of(program.command[0], LOST if answer is None else answer.body["error"])
