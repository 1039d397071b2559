"""The spawner's main loop: one child is always forked ahead, and becomes the supervisor of the next request.

Everything a supervisor or a container's first process needs is imported here, before any fork: nothing is
imported afterwards (what would be found then could be the container's file, CVE-2019-14271), and the pages
stay shared.
"""

from __future__ import annotations

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

from launcher import birth, channel, syscalls
from launcher.failpoints import reach

REQUESTS_FD = 3
PR_SET_PDEATHSIG = 1
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
    """One child waits ahead of the request, so that nobody waits for the fork."""
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
    """Never returns."""
    status = 70
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        syscalls.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        message = channel.receive(requests)
        syscalls.prctl(PR_SET_PDEATHSIG, 0)
        os.write(taken_write, b"q" if message is None else b"1")
        os.close(taken_write)
        requests.close()
        if message is not None:
            birth.supervise(message)
        status = 0
    finally:
        if sys.exc_info()[0] is not None:
            sys.excepthook(*sys.exc_info())
        os._exit(status)


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
