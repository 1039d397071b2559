"""The spawner's main loop: a pair is always forked ahead, the next container's starter and supervisor.

Everything a supervisor or a container's first process needs is imported here, before any fork: nothing is
imported afterwards (what would be found then could be the container's file, CVE-2019-14271), and the pages
stay shared.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # not `signal`: see handover
import _socket
import contextlib
import encodings.ascii
import encodings.utf_8  # noqa: F401
import gc
import os
import select
import signal
import socket
import sys
from types import FrameType

from launcher import channel, syscalls
from launcher.beside import birth, handover, supervisor
from launcher.failpoints import reach

REQUESTS_FD = 3
OF_THE_C_LIBRARY = (32, 33)  # posix_spawn leaves them ignored, and a container's program would inherit that


def main() -> None:
    """All preparation once, then fork for ever."""
    requests = socket.socket(fileno=REQUESTS_FD)
    syscalls.close_range(REQUESTS_FD + 1)
    syscalls.set_process_name(b"cgwarden-spawn")
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    os.chdir("/")
    os.umask(0o022)
    _quiet_stdio()
    for number in OF_THE_C_LIBRARY:
        syscalls.default_signal(number)
    # Nothing is imported from here on, in no descendant.
    sys.path.clear()
    sys.path_hooks.clear()
    sys.meta_path.clear()
    gc.collect()
    gc.freeze()
    gc.disable()
    signal.signal(signal.SIGCHLD, _reap)
    _serve(requests)


def _serve(requests: socket.socket) -> None:
    """One pair waits ahead of the request, so that nobody waits for the forks."""
    while True:
        taken_read, taken_write = os.pipe2(os.O_CLOEXEC)
        if os.fork() == 0:
            os.close(taken_read)
            _become_supervisor(requests, taken_write)
        os.close(taken_write)
        if not _was_taken(taken_read):
            os._exit(0)
        reach("spawner.taken")


def _was_taken(taken_read: int) -> bool:
    """True once the waiting child has a request; False when the daemon is gone."""
    poller = select.poll()
    poller.register(taken_read, select.POLLIN)
    poller.poll()
    word = os.read(taken_read, 1)
    os.close(taken_read)
    return word != b"q"


def _become_supervisor(requests: socket.socket, taken_write: int) -> None:
    """Never returns. The starter is forked from the one that stays, and takes the request."""
    try:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        handover.end_with_parent(signal.SIGKILL)
        os.setsid()
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            ours.close()
            _start_container(requests, taken_write, theirs)
        theirs.close()
        requests.close()
        os.close(taken_write)
        supervisor.stay(ours)
    finally:
        _leave()


def _start_container(requests: socket.socket, taken_write: int, heir: _socket.socket) -> None:
    """Never returns; it ends with the supervisor, should that be killed."""
    try:
        handover.end_with_parent(signal.SIGKILL)
        message = channel.receive(requests)
        if message is not None:
            heir.send(handover.TAKEN)
        os.write(taken_write, b"q" if message is None else b"1")
        os.close(taken_write)
        requests.close()
        if message is not None:
            birth.bring_up(message, heir)
    finally:
        _leave()


def _leave() -> None:
    if sys.exc_info()[0] is not None:
        sys.excepthook(*sys.exc_info())
        os._exit(70)
    os._exit(0)


def _reap(_signal: int, _frame: FrameType | None) -> None:
    """Supervisors that ended, and first processes whose supervisor was killed."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _quiet_stdio() -> None:
    """Standard error stays the daemon's, for what cannot be told otherwise."""
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if null > 2:
        os.close(null)
