"""The process beside each container: parent of its first process, keeper of its output, witness of its end.

It needs neither daemon nor spawner, stands outside the container's cgroups, and may be killed without harm to
the container. The daemon watches it by pidfd and asks it for more over control.sock.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
from typing import Any, Final

from launcher import channel, exits, inside, records
from launcher.failpoints import reach
from launcher.logfile import LogWriter

READ_BYTES: Final = 65536
FLUSH_AFTER_MS: Final = 200
STREAMS: Final = ("stdout", "stderr")
JOIN_DIED: Final = {"kind": "failed", "step": inside.JOIN_STEP, "errno": 0, "why": "the process died"}


def wire_of(error: OSError, step: str) -> dict[str, Any]:
    """An error as it travels to the daemon."""
    why = error.strerror or str(error)
    return {
        "kind": "failed",
        "step": step,
        "errno": error.errno,
        "why": f"{error.filename}: {why}" if error.filename else why,
    }


def tell(client: socket.socket, body: dict[str, Any]) -> bool:
    """False when the other side has gone; that is its business."""
    try:
        channel.send(client, body)
    except (BrokenPipeError, ConnectionResetError, BlockingIOError):
        return False
    return True


class Supervisor:
    """The loop of one running container."""

    def __init__(
        self,
        pidfd: int,
        identity: dict[str, Any],
        state_fd: int,
        readers: list[int],
        listener: socket.socket | None,
    ) -> None:
        self.pid: int = identity["pid"]
        self.pidfd = pidfd
        self.identity = identity
        self.state_fd = state_fd
        self.readers = dict(zip(readers, STREAMS, strict=False))
        self.listener = listener
        self.listen_fd = -1 if listener is None else listener.fileno()
        self.log = LogWriter(state_fd)
        self.clients: dict[int, socket.socket] = {}
        # Programs of `exec`: by status descriptor while they join, by pid while they run; one that ends
        # before its joining was told waits among the strays.
        self.joining: dict[int, inside.Join] = {}
        self.joined: dict[int, inside.Join] = {}
        self.strays: dict[int, int | None] = {}
        self.poller = select.poll()
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC)

    def watch(self) -> None:
        """Until the first process has ended and its end is on record."""
        gc.enable()
        # A child's end interrupts poll without ending it (PEP 475): the wake-up byte does.
        os.set_blocking(self.wake_write, False)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        for fd in (*self.readers, self.pidfd, self.listen_fd, self.wake_read):
            if fd >= 0:
                self.poller.register(fd, select.POLLIN)
        while not self._turn():
            self._reap_others()
        self._finish()

    def _turn(self) -> bool:
        """One round of events; True when the first process has ended."""
        ended = False
        ready = self.poller.poll(FLUSH_AFTER_MS if self.log.has_pending else None)
        if not ready:
            self.log.flush()
        for fd, _events in ready:
            if fd == self.pidfd:
                ended = True
            elif fd == self.wake_read:
                os.read(fd, READ_BYTES)
            elif fd in self.readers:
                self._copy_output(fd)
            elif self.listener is not None and fd == self.listen_fd:
                self._add_client(self.listener.accept()[0])
            elif fd in self.joining:
                self._hear_of_join(fd)
            elif fd in self.clients:
                self._serve(fd)
        return ended

    def _copy_output(self, fd: int) -> bool:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.poller.unregister(fd)
            del self.readers[fd]
            os.close(fd)
            return False
        self.log.write(self.readers[fd], data)
        return True

    def _add_client(self, client: socket.socket) -> None:
        channel.make_roomy(client)
        client.setblocking(False)
        self.clients[client.fileno()] = client
        self.poller.register(client.fileno(), select.POLLIN)

    def _drop_client(self, fd: int) -> None:
        self.poller.unregister(fd)
        self.clients.pop(fd).close()

    def _serve(self, fd: int) -> None:
        message = channel.receive(self.clients[fd])
        if message is None:
            self._drop_client(fd)
        elif message.body.get("do") == "exec":
            self._exec(fd, message)
        else:
            message.close()
            if not tell(self.clients[fd], {"pong": self.identity, "lost_log_bytes": self.log.lost_bytes}):
                self._drop_client(fd)

    def _exec(self, fd: int, message: channel.Message) -> None:
        """Starts joining the container; the answer follows when the program runs, and again when it ends."""
        try:
            join = inside.Join.start(self.pidfd, message, self._own_fds())
        except OSError as e:
            tell(self.clients[fd], {"error": wire_of(e, "start a process")})
            return
        finally:
            message.close()
        join.client = self.clients[fd]
        self.joining[join.status.fileno()] = join
        self.poller.register(join.status.fileno(), select.POLLIN)

    def _own_fds(self) -> list[int]:
        return [
            *self.readers,
            *self.clients,
            self.listen_fd,
            self.state_fd,
            self.wake_read,
            self.wake_write,
        ]

    def _hear_of_join(self, status_fd: int) -> None:
        """First the pid; then a failure, or the silent end of the channel that execve makes."""
        join = self.joining[status_fd]
        word = join.status.recv(READ_BYTES)
        if word.startswith(b"pid "):
            join.pid = int(word[4:])
            return
        self.poller.unregister(status_fd)
        join.status.close()
        del self.joining[status_fd]
        if word or not join.pid:
            self._answer(join, {"error": json.loads(word) if word else JOIN_DIED})
        else:
            self._answer(join, {"running": join.pid})
            self.joined[join.pid] = join
            if join.pid in self.strays:
                self._tell_exit(join.pid, self.strays.pop(join.pid))
        if not self.joining:
            self.strays.clear()

    def _answer(self, join: inside.Join, body: dict[str, Any]) -> None:
        """The asker may have gone, and its descriptor's number may be another's."""
        if join.client is not None and self.clients.get(join.client.fileno()) is join.client:
            tell(join.client, body)

    def _reap_others(self) -> None:
        """Programs started by exec are our children; the first process is left for `_finish`."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid == self.pid:
                return
            pid, status = os.waitpid(found.si_pid, 0)
            code = exits.exit_of_status(status)["exit_code"]
            if pid in self.joined:
                self._tell_exit(pid, code)
            elif self.joining:
                self.strays[pid] = code

    def _tell_exit(self, pid: int, code: int | None) -> None:
        self._answer(self.joined.pop(pid), {"exited": code})

    def _finish(self) -> None:
        """All writers died with the pid namespace: what is in the pipes now is all there will ever be."""
        reach("supervisor.ended")
        end = exits.read_exit_record(self.pidfd, self.pid, self.identity["start_ticks"])
        for fd in list(self.readers):
            while self._copy_output(fd):
                continue
        self.log.flush()
        records.write_record(self.state_fd, records.EXIT, end)
        reach("supervisor.exit-recorded")
        self._reap_others()
