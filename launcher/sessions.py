"""One program started inside a running container, seen from the caller: its output as it comes, then its
exit code.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

from launcher import channel
from launcher.errors import LauncherError
from launcher.launch import error_of
from launcher.seal import Program

READ_BYTES: Final = 65536
ANSWER_SEC: Final = 30.0


class ExecSession:
    """Iterate for `("stdout" | "stderr", bytes)`; afterwards `exit_code` is set. Closing kills nothing."""

    def __init__(self, control: socket.socket, pid: int, readers: dict[int, str]) -> None:
        self._control = control
        self._readers = readers
        self.pid = pid
        self.exit_code: int | None = None
        # By pidfd from the start: the number may belong to somebody else once the program has ended.
        self._pidfd = _open_pidfd(pid)

    @classmethod
    def start(
        cls, control: socket.socket, program: Program, entry_fds: Sequence[int], unified_fd: int | None
    ) -> ExecSession:
        """Ask the supervisor at the other end of `control`; raises what kept the program from running."""
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        (out_read, out_write), (err_read, err_write) = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        extra = [] if unified_fd is None else [unified_fd]
        request = {"do": "exec", "program": program.to_wire(), "join_unified": unified_fd is not None}
        try:
            channel.send(control, request, [null, out_write, err_write, *entry_fds, *extra])
            answer = channel.receive(control)
            if answer is None or "error" in answer.body:
                raise _refusal(program, answer)
        except (OSError, LauncherError):
            os.close(out_read)
            os.close(err_read)
            control.close()
            raise
        finally:
            for fd in (null, out_write, err_write):
                os.close(fd)
        control.settimeout(None)
        return cls(control, answer.body["running"], {out_read: "stdout", err_read: "stderr"})

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
                data = os.read(fd, READ_BYTES)
                if data:
                    yield self._readers[fd], data
                else:
                    poller.unregister(fd)
                    os.close(fd)
                    del self._readers[fd]

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

    def close(self) -> None:
        for fd in self._readers:
            os.close(fd)
        self._readers.clear()
        self._control.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _refusal(program: Program, answer: channel.Message | None) -> LauncherError:
    lost: dict[str, Any] = {"kind": "failed", "step": "reach the supervisor", "errno": 0, "why": "it ended"}
    return error_of(program.command[0], lost if answer is None else answer.body["error"])
