"""What runs in the forked processes that become programs inside a container: the first one, and those of
`exec`.
"""

from __future__ import annotations

import _socket
import errno
import os
import signal
import socket
from typing import Final, NoReturn

from launcher import channel, syscalls
from launcher.failpoints import reach
from launcher.oom_score import set_oom_score
from launcher.scene import cloning, terminal
from launcher.scene.operations import Operation, Scene
from launcher.scene.rlimits import raise_rlimits
from launcher.scene.seal import (
    STATUS_FD,
    Failure,
    Program,
    close_all_but,
    failure_of,
    give_up_early,
    place_descriptors,
    report,
    run_program,
)

JOIN_STEP: Final = "join the container"


def start(
    plan: list[Operation], program: Program, scene: Scene, stdio: list[int], status: socket.socket
) -> NoReturn:
    """The first process: set the scene, then become the program when the gate opens.

    `stdio` is input, output, error, or output and error alone: then there is nothing to read.
    """
    try:
        os.setsid()
        os.umask(0o022)
        reach("first.begun")
        for fd in stdio if scene.owner else ():
            terminal.give_to(fd, scene.owner, scene.owner)
        for operation in plan:
            try:
                operation.execute(scene)
            except OSError as e:
                raise failure_of(e, operation.describe()) from None
        reach("first.scene")
        socket.send_fds(
            status, [b"terminals"], [fd for fd in (scene.terminals_fd, scene.master_fd) if fd >= 0]
        )
        if scene.terminal_fd >= 0:
            terminal.take_control(scene.terminal_fd)
            stdio = [scene.terminal_fd] * 3
        elif len(stdio) == 2:
            stdio = [os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), *stdio]
        place_descriptors([*stdio, status.detach()])
        _run(program, gated=True)
    except OSError as e:
        report(status, failure_of(e, "give the program its descriptors"))
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

    def __init__(self, status: _socket.socket, client: _socket.socket) -> None:
        self.status = status
        self.client = client
        self.pid = 0

    @classmethod
    def start(cls, pidfd: int, client: _socket.socket, terminals_fd: int | None) -> Join:
        """The request waits at `client`: its reader is the child, so that we grow by none of it."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            _join(pidfd, client, terminals_fd, theirs)
        theirs.close()
        return cls(ours, client)


def _join(pidfd: int, client: _socket.socket, terminals_fd: int | None, status: _socket.socket) -> NoReturn:
    """Cgroups first (their files are the host's), then all namespaces at once, then a process born into the
    pid one.

    The request's descriptors: stdin, stdout, stderr (none for a terminal), cgroup entries, and if so told the
    unified directory. We are non-dumpable, as the supervisor is: nobody inside can trace us or open our
    descriptors (CVE-2016-9962), unless with CAP_SYS_PTRACE: so a process that can be seen inside holds
    nothing of the host's any more.
    """
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        syscalls.close_others({0, 1, 2, pidfd, client.fileno(), status.fileno(), terminals_fd or 0})
        os.umask(0o022)
        message = channel.receive(client)
        if message is None:
            os._exit(70)
        program = Program.from_wire(message.body["program"])
        size = message.body.get("terminal")
        unified = message.fds.pop() if message.body["join_unified"] else None
        stdio, entries = ([], message.fds) if size is not None else (message.fds[:3], message.fds[3:])
        for fd in entries:
            os.write(fd, b"0")
            os.close(fd)
        raise_rlimits(program.rlimits)
        if program.oom_score_adj is not None:
            set_oom_score("self", program.oom_score_adj)
        if unified is not None:
            # Born into the group out here: the descriptor of its directory must not be seen in there.
            pid, child_pidfd = syscalls.clone3(syscalls.CLONE_PARENT, unified)
            if pid:
                os._exit(0)
        owner = cloning.enter(pidfd)
        os.chdir("/")
        later = [pidfd] if owner is not None else []
        later += [client.fileno(), terminals_fd] if size is not None and terminals_fd is not None else []
        close_all_but([0, 1, 2, status.fileno(), *stdio, *later])
        if owner is None:
            give_up_early(program)
        pid, child_pidfd = syscalls.clone3(syscalls.CLONE_PARENT)
        if pid:
            os.close(child_pidfd)
            status.send(b"pid %d" % pid)
            os._exit(0)
        os.setsid()
        if owner is not None:
            cloning.enter_user(pidfd, owner, stdio)
        if size is not None:
            stdio = [_open_terminal(client, terminals_fd, size)] * 3
        place_descriptors([*stdio, status.detach()])
        _run(program, gated=False)
    except OSError as e:
        report(status, failure_of(e, JOIN_STEP))
    finally:
        os._exit(70)


def _open_terminal(client: _socket.socket, terminals_fd: int | None, size: dict[str, int]) -> int:
    """A terminal of the container's devpts; whoever asked holds its other side."""
    if terminals_fd is None:
        raise OSError(errno.ENODEV, "the container has no terminals of its own")
    master, slave = terminal.open_pair(terminals_fd)
    if (wanted := terminal.parse_size(size)) is not None:
        terminal.set_size(master, *wanted)
    channel.send(client, {"terminal": True}, [master])
    terminal.take_control(slave)
    return slave
