"""The process beside each container: parent of its first process, keeper of its output, witness of its end.

It needs neither daemon nor spawner, stands outside the container's cgroups, and may be killed without harm to
the container (one with a terminal loses that, and hears SIGHUP). The daemon watches it by pidfd and asks it
for more over control.sock. There is one per container, so its loop touches little memory: what needs much is
done in processes that are forked for it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # not `signal`: see handover
import _socket
import gc
import os
import select
from typing import Any, Final

from launcher import channel, records
from launcher.beside import exits, handover
from launcher.beside.audience import Audience, Handler
from launcher.beside.handover import Handover
from launcher.failpoints import reach
from launcher.logfile import LogWriter
from launcher.scene import inside

READ_BYTES: Final = 16384
WORD_BYTES: Final = 16384
FLUSH_AFTER_MS: Final = 200
OUTPUTS: Final = ("terminal", "stdout", "stderr")
GAP_MS: Final = 500
JOIN_DIED: Final = b'{"kind": "failed", "step": "%s", "errno": 0, "why": "the process died"}'


def wire_of(error: OSError, step: str) -> dict[str, Any]:
    """An error as it travels to the daemon."""
    why = error.strerror or str(error)
    return {
        "kind": "failed",
        "step": step,
        "errno": error.errno,
        "why": f"{error.filename}: {why}" if error.filename else why,
    }


def tell(client: _socket.socket, body: dict[str, Any]) -> bool:
    """False when the other side has gone; that is its business."""
    try:
        channel.send(client, body)
    except (BrokenPipeError, ConnectionResetError, BlockingIOError):
        return False
    return True


def stay(starter: _socket.socket) -> None:
    """What the process does that a starter was forked from; returns when the container has ended."""
    given = handover.take(starter)
    starter.close()
    if given is not None:
        Supervisor(given).watch()


class Supervisor:
    """The loop of one running container."""

    def __init__(self, given: Handover) -> None:
        fds = given.fds
        self.given = given
        self.log = LogWriter(fds["state"], given.log_max_bytes, given.log_max_files)
        self.poller = select.poll()
        self.handlers: dict[int, Handler] = {}
        self.outputs = {fds[name]: name for name in OUTPUTS if name in fds}
        self.audience = Audience(given.tty, fds.get("terminal", fds.get("stdin", -1)), self._watch_for)
        self.listener = _socket.socket(fileno=fds["listener"]) if "listener" in fds else None
        self.clients: dict[int, _socket.socket] = {}
        # Programs of `exec`: by status descriptor while they join, by pid while they run; one that ends
        # before its joining was told waits among the strays.
        self.joining: dict[int, inside.Join] = {}
        self.joined: dict[int, inside.Join] = {}
        self.strays: dict[int, int | None] = {}
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.silent = -1
        self.ended = False

    def watch(self) -> None:
        """Until the first process has ended and its end is on record."""
        gc.enable()
        # A child's end interrupts poll without ending it (PEP 475): the wake-up byte does.
        _signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, _nothing)
        self._watch_for(self.given.fds["pidfd"], select.POLLIN, self._see_end)
        self._watch_for(self.wake_read, select.POLLIN, self._wake)
        for fd in self.outputs:
            self._watch_for(fd, select.POLLIN, self._take_output)
        if self.listener is not None:
            self._watch_for(self.listener.fileno(), select.POLLIN, self._add_client)
        if "audience" in self.given.fds:
            self.audience.add(_socket.socket(fileno=self.given.fds["audience"]))
        self._reap_others()
        while not self.ended:
            self._turn()
            self._reap_others()
        self._finish()

    def _watch_for(self, fd: int, events: int, handler: Handler | None) -> None:
        """Call the handler whenever an event happens; without one, never again."""
        if handler is None:
            self.handlers.pop(fd, None)
            self.poller.unregister(fd)
        else:
            self.handlers[fd] = handler
            self.poller.register(fd, events)

    def _turn(self) -> None:
        patience = FLUSH_AFTER_MS if self.log.has_pending else None
        ready = self.poller.poll(GAP_MS if self.silent >= 0 else patience)
        if not ready:
            self.log.flush()
            self._listen_again()
        for fd, events in ready:
            handler = self.handlers.get(fd)  # an earlier one may have closed it
            if handler is not None:
                handler(fd, events)

    def _see_end(self, _fd: int, _events: int) -> None:
        self.ended = True

    def _wake(self, fd: int, _events: int) -> None:
        os.read(fd, WORD_BYTES)

    def _take_output(self, fd: int, _events: int) -> None:
        self._copy_output(fd)

    def _copy_output(self, fd: int) -> bool:
        """False at the end of what is there."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody holds the terminal's other side; somebody may open it again
            if not self.ended:
                self._watch_for(fd, 0, None)
                self.silent = fd
            return False
        if not data:
            self._watch_for(fd, 0, None)
            del self.outputs[fd]
            os.close(fd)
            return False
        stream = self.outputs[fd]
        self.log.write("stderr" if stream == "stderr" else "stdout", data)
        self.audience.tell(stream, data)
        return True

    def _listen_again(self) -> None:
        if self.silent >= 0:
            self._watch_for(self.silent, select.POLLIN, self._take_output)
            self.silent = -1

    def _add_client(self, _fd: int, _events: int) -> None:
        assert self.listener is not None
        client = _socket.socket(fileno=self.listener._accept()[0])  # type: ignore[attr-defined]
        channel.make_roomy(client)
        client.setblocking(False)
        self.clients[client.fileno()] = client
        self._watch_for(client.fileno(), select.POLLIN, self._serve)

    def _forget_client(self, fd: int) -> _socket.socket:
        self._watch_for(fd, 0, None)
        return self.clients.pop(fd)

    def _serve(self, fd: int, _events: int) -> None:
        """The request is told by how it begins; only the process that deals with it reads it whole."""
        client = self.clients[fd]
        try:
            begin = client.recv(32, _socket.MSG_PEEK)
        except OSError:
            begin = b""
        if not begin:
            self._forget_client(fd).close()
        elif begin.startswith(b'{"do": "exec"'):
            self._exec(fd)
        else:
            client.recv(WORD_BYTES)
            if begin.startswith(b'{"do": "attach"'):
                self.audience.add(self._forget_client(fd))
            else:
                self._say(client, b'{"pong": %s, "lost_log_bytes": %d}' % (self._pong()))

    def _pong(self) -> tuple[bytes, int]:
        return self.given.identity, self.log.lost_bytes

    def _say(self, client: _socket.socket | None, text: bytes) -> None:
        """The asker may have gone, and its descriptor's number may be another's."""
        if client is None or self.clients.get(client.fileno()) is not client:
            return
        try:
            client.send(text)
        except OSError:
            self._forget_client(client.fileno()).close()

    def _exec(self, fd: int) -> None:
        """Starts joining the container; the answer follows when the program runs, and again when it ends."""
        client = self.clients[fd]
        # Until it is told how that went, the child alone reads from this client.
        self._watch_for(fd, 0, None)
        try:
            join = inside.Join.start(self.given.fds["pidfd"], client, self.given.fds.get("terminals"))
        except OSError as e:
            self._watch_for(fd, select.POLLIN, self._serve)
            channel.receive(client)
            tell(client, {"error": wire_of(e, "start a process")})
            return
        self.joining[join.status.fileno()] = join
        self._watch_for(join.status.fileno(), select.POLLIN, self._hear_of_join)

    def _hear_of_join(self, status_fd: int, _events: int) -> None:
        """First the pid; then a failure, or the silent end of the channel that execve makes."""
        join = self.joining[status_fd]
        word = join.status.recv(WORD_BYTES)
        if word.startswith(b"pid "):
            join.pid = int(word[4:])
            return
        self._watch_for(status_fd, 0, None)
        join.status.close()
        del self.joining[status_fd]
        client = join.client
        self._watch_for(client.fileno(), select.POLLIN, self._serve)
        if word or not join.pid:
            self._say(client, b'{"error": %s}' % (word or JOIN_DIED % inside.JOIN_STEP.encode()))
        else:
            self._say(client, b'{"running": %d}' % join.pid)
            self.joined[join.pid] = join
            if join.pid in self.strays:
                self._tell_exit(join.pid, self.strays.pop(join.pid))
        if not self.joining:
            self.strays.clear()

    def _reap_others(self) -> None:
        """Programs started by exec are our children; the first process is left for `_finish`."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid == self.given.pid:
                return
            pid, status = os.waitpid(found.si_pid, 0)
            code = exits.exit_of_status(status)["exit_code"]
            if pid in self.joined:
                self._tell_exit(pid, code)
            elif self.joining:
                self.strays[pid] = code

    def _tell_exit(self, pid: int, code: int | None) -> None:
        self._say(self.joined.pop(pid).client, b'{"exited": %s}' % str(code or 0).encode())

    def _finish(self) -> None:
        """All writers died with the pid namespace: what is in the pipes now is all there will ever be."""
        given = self.given
        reach("supervisor.ended")
        end = exits.read_exit_record(given.fds["pidfd"], given.pid, given.start_ticks)
        for fd in list(self.outputs):
            while self._copy_output(fd):
                continue
        self.log.flush()
        if self.log.lost_bytes:
            end["lost_log_bytes"] = self.log.lost_bytes
        records.write_record(given.fds["state"], records.EXIT, end)
        reach("supervisor.exit-recorded")
        self.audience.close()
        self._reap_others()


def _nothing(_number: int, _frame: object) -> None:
    return
