"""The daemon's end of the spawner: a small single-threaded process that forks each container's supervisor.

It is a fresh interpreter (a fork of the daemon would carry the daemon's memory, locks and descriptors), and
it is executed from a private read-only mount of the interpreter: a container that gets hold of
`/proc/PID/exe` of one of our processes cannot open it for writing (CVE-2019-5736).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from launcher import channel, interpreter, syscalls
from launcher.errors import LaunchFailed


class Spawner:
    """Starts supervisors; answers nothing itself, since each supervisor answers on the channel that came
    with it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.on_restart: Callable[[int], None] = lambda _pid: None
        self._start()

    def _start(self) -> None:
        self._socket, self.pid = _start_process()
        self._pidfd = os.pidfd_open(self.pid)

    @classmethod
    def start(cls) -> Spawner:
        return cls()

    def request(self, body: dict[str, Any], fds: Sequence[int]) -> socket.socket:
        """Have a supervisor forked for this request; returns the channel on which it will answer."""
        ours, theirs = channel.channel_pair()
        try:
            with self._lock:
                replaced = self._send(body, [theirs.fileno(), *fds])
        except OSError as e:
            ours.close()
            raise LaunchFailed("reach the spawner", os.strerror(e.errno or errno.EIO)) from e
        finally:
            theirs.close()
        if replaced:
            self.on_restart(self.pid)
        return ours

    def _send(self, body: dict[str, Any], fds: Sequence[int]) -> bool:
        """True if another process had to be started for it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            channel.send(self._socket, body, fds)
        if not self._has_ended():
            return False
        # Somebody killed it: containers have their own supervisors and did not notice. Another gets the
        # request; should a child of the first have taken it after all, it finds its channel closed.
        self.close()
        self._start()
        channel.send(self._socket, body, fds)
        return True

    def _has_ended(self) -> bool:
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        return bool(poller.poll(0))

    def close(self) -> None:
        """The process sees the end of its channel and leaves; supervisors stay."""
        self._socket.close()
        os.close(self._pidfd)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            return


def _start_process() -> tuple[socket.socket, int]:
    ours, theirs = channel.channel_pair()
    executable = _read_only_interpreter()
    try:
        pid = os.posix_spawn(
            f"/proc/self/fd/{executable}",
            interpreter.command("launcher.beside.forkserver"),
            interpreter.environment(),
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP],
        )
    finally:
        theirs.close()
        os.close(executable)
    return ours, pid


def _read_only_interpreter() -> int:
    path = os.fsencode(os.path.realpath(sys.executable))
    try:
        tree = syscalls.open_tree(syscalls.AT_FDCWD, path)
        syscalls.mount_setattr(tree, syscalls.MOUNT_ATTR_RDONLY)
    except OSError as e:
        if e.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    return tree
