"""What runs in the forked processes that become programs inside a container: the first one, and those of
`exec`.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import Final, NoReturn

from launcher import cloning, syscalls
from launcher.channel import Message
from launcher.failpoints import reach
from launcher.operations import Operation, Scene
from launcher.seal import STATUS_FD, Failure, Program, failure_of, place_descriptors, report, run_program

JOIN_STEP: Final = "join the container"


def start(
    plan: list[Operation], program: Program, scene: Scene, output: list[int], status: socket.socket
) -> NoReturn:
    """The first process: set the scene, then become the program when the gate opens."""
    try:
        os.setsid()
        os.umask(0o022)
        reach("first.begun")
        for operation in plan:
            try:
                operation.execute(scene)
            except OSError as e:
                raise failure_of(e, operation.describe()) from None
        reach("first.scene")
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        place_descriptors([null, *output, status.detach()])
        _run(program, gated=True)
    except Failure as failure:
        report(status if status.fileno() >= 0 else socket.socket(fileno=STATUS_FD), failure)
    finally:
        os._exit(70)


def _run(program: Program, *, gated: bool) -> None:
    status = socket.socket(fileno=STATUS_FD)
    try:
        run_program(program, status, (lambda: _wait_for_gate(status)) if gated else (lambda: None))
    except Failure as failure:
        report(status, failure)
        os._exit(70)


def _wait_for_gate(status: socket.socket) -> None:
    """No word means that the supervisor died before this container was on record: it must not run."""
    status.send(b"ready")
    if status.recv(16) != b"go":
        os._exit(70)


class Join:
    """A program on its way into a running container, seen from the supervisor."""

    def __init__(self, status: socket.socket) -> None:
        self.status = status
        self.pid = 0
        self.client: socket.socket | None = None

    @classmethod
    def start(cls, pidfd: int, message: Message, not_for_child: list[int]) -> Join:
        """The message's fds: stdin, stdout, stderr, cgroup entries, and if so told the unified directory."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = Program.from_wire(message.body["program"])
        unified = message.fds[-1] if message.body["join_unified"] else None
        entries = message.fds[3 : -1 if unified is not None else None]
        if os.fork() == 0:
            for fd in not_for_child:
                os.close(fd)
            ours.close()
            _join(pidfd, program, message.fds[:3], entries, unified, theirs)
        theirs.close()
        return cls(ours)


def _join(
    pidfd: int,
    program: Program,
    stdio: list[int],
    entries: list[int],
    unified: int | None,
    status: socket.socket,
) -> NoReturn:
    """Cgroups first (their files are the host's), then all namespaces at once, then a process born into the
    pid one.

    We are non-dumpable, as the supervisor is: nobody inside can trace us or open our descriptors
    (CVE-2016-9962).
    """
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.umask(0o022)
        for fd in entries:
            os.write(fd, b"0")
            os.close(fd)
        cloning.enter(pidfd)
        os.chdir("/")
        pid, child_pidfd = syscalls.clone3(syscalls.CLONE_PARENT, unified)
        if pid:
            os.close(child_pidfd)
            status.send(b"pid %d" % pid)
            os._exit(0)
        os.setsid()
        place_descriptors([*stdio, status.detach()])
        _run(program, gated=False)
    except OSError as e:
        report(status, failure_of(e, JOIN_STEP))
    finally:
        os._exit(70)
