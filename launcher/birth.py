"""How a supervisor comes to its container: by starting it, or by taking over from one that was killed.

The first process sets itself up while the supervisor puts it on record; the gate between set-up and program
opens when both are done.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any, Final

from launcher import channel, cloning, inside, records, syscalls
from launcher.failpoints import reach
from launcher.operations import Scene
from launcher.plan import LaunchFacts, plan_inside, plan_program
from launcher.rootfs import mounting
from launcher.spec import ContainerSpec
from launcher.supervisor import STREAMS, Supervisor, tell, wire_of

LONGEST_WORD: Final = 65536
DIED: Final = {"kind": "failed", "step": "set up the container", "errno": 0, "why": "its first process died"}


def supervise(message: channel.Message) -> None:
    """A request from the spawner's socket becomes a running container; returns when that has ended."""
    os.setsid()
    syscalls.set_process_name(b"cgwarden-super")
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
    daemon = socket.socket(fileno=message.fds[0])
    reach("supervisor.begun")
    facts = LaunchFacts.from_wire(message.body["facts"])
    try:
        if "spec" in message.body:
            spec = ContainerSpec.from_wire(message.body["spec"])
            container = _launch(spec, facts, daemon)
        else:
            container = _take_over(facts, message.fds[1])
    except _LaunchRefused as refused:
        tell(daemon, {"error": refused.wire})
        return
    except OSError as e:
        tell(daemon, {"error": wire_of(e, "prepare the supervisor")})
        return
    reach("supervisor.opened")
    tell(daemon, {"started": container.identity})
    reach("supervisor.told")
    daemon.close()
    # Whoever reads the daemon's standard error must see its end when the daemon ends.
    os.dup2(0, 2)
    container.watch()


def _take_over(facts: LaunchFacts, pidfd: int) -> Supervisor:
    """The supervisor was killed, the container lives: keep its output and record its end from outside."""
    state_fd = os.open(facts.state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    identity = records.read_record(facts.state_dir, records.INIT) or {}
    identity |= _supervisor_identity() | {"orphan": True}
    readers = []
    for name in STREAMS:
        # Without its pipes (the run directory was emptied) there is still the end to record.
        with contextlib.suppress(FileNotFoundError):
            readers.append(os.open(f"{facts.run_dir}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    records.write_record(state_fd, records.INIT, identity)
    return Supervisor(pidfd, identity, state_fd, readers, None)


class _LaunchRefused(Exception):
    def __init__(self, wire: dict[str, Any]) -> None:
        self.wire = wire


def _launch(spec: ContainerSpec, facts: LaunchFacts, daemon: socket.socket) -> Supervisor:
    state_fd = os.open(facts.state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    run_fd = os.open(facts.run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    readers, writers = _open_pipes(run_fd)
    reach("supervisor.pipes")
    status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    media_fd = mounting.open_media(facts.root)
    plan, program = plan_inside(spec, facts, media_fd), plan_program(spec)
    fds, unified_fd, joins = _await_places(daemon)
    pid, pidfd = cloning.clone_first(spec, joins, unified_fd)
    if pid == 0:
        inside.start(plan, program, Scene(fds, joins), writers, theirs)
    for fd in (*fds, *joins.values(), *writers, *([] if unified_fd is None else [unified_fd])):
        os.close(fd)
    if media_fd >= 0:
        os.close(media_fd)
    theirs.close()
    reach("supervisor.cloned")
    # All this goes on record while the first process sets itself up.
    identity = _identity(pid, facts)
    intent = {"spec": spec.to_wire(), "created_at": facts.created_at}
    listener = channel.bind_control(run_fd)
    # The record repeats the intent: one sync makes both last.
    records.create_record(state_fd, records.INIT, identity | {"intent": intent})
    reach("supervisor.recorded")
    try:
        _open_gate(status, pid)
    except _LaunchRefused:
        # An intent without a record is what the next daemon undoes, should this one be gone.
        os.unlink(records.INIT, dir_fd=state_fd)
        raise
    return Supervisor(pidfd, identity, state_fd, readers, listener)


def _await_places(daemon: socket.socket) -> tuple[list[int], int | None, dict[str, int]]:
    """Cgroups to enter, the unified one, namespaces to join: the daemon makes them, limits in force,
    while we get ready.
    """
    message = channel.receive(daemon)
    if message is None:
        raise _LaunchRefused({"kind": "failed", "step": "make its cgroups", "errno": 0, "why": "given up"})
    joins = {kind: message.fds.pop() for kind in reversed(message.body["joins"])}
    unified = message.fds.pop() if message.body["unified"] else None
    return message.fds, unified, joins


def _open_pipes(run_fd: int) -> tuple[list[int], list[int]]:
    """Named pipes, which the container holds for reading too: it gets no SIGPIPE should we be killed."""
    readers, writers = [], []
    for name in STREAMS:
        os.mkfifo(name, 0o600, dir_fd=run_fd)
        readers.append(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=run_fd))
        writers.append(os.open(name, os.O_RDWR | os.O_CLOEXEC, dir_fd=run_fd))
    return readers, writers


def _identity(pid: int, facts: LaunchFacts) -> dict[str, Any]:
    return {
        "pid": pid,
        "start_ticks": records.read_start_ticks(pid),
        "boot_id": facts.boot_id,
        "started_at": records.rfc3339(),
        **_supervisor_identity(),
    }


def _supervisor_identity() -> dict[str, Any]:
    return {"supervisor_pid": os.getpid(), "supervisor_start_ticks": records.read_start_ticks(os.getpid())}


def _open_gate(status: socket.socket, pid: int) -> None:
    """Wait until the first process is ready, let it go, and see execve succeed (a channel that ends).

    The daemon may be gone by now. The container is on record, so it runs, and the next daemon adopts it.
    """
    word = status.recv(LONGEST_WORD)
    if word == b"ready":
        status.send(b"go")
        word = status.recv(LONGEST_WORD)
        if not word:
            status.close()
            return
    os.waitpid(pid, 0)
    raise _LaunchRefused(json.loads(word) if word else DIED)
