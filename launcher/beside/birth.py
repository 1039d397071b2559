"""How a supervisor comes to its container: by starting it, or by taking over from one that was killed.

The first process sets itself up while the supervisor puts it on record; the gate between set-up and program
opens when both are done.
"""

from __future__ import annotations

import _socket
import json
import os
import select
import socket
from dataclasses import asdict, astuple
from typing import Any, Final

from launcher import channel, records
from launcher.beside import handover, settling, stdio
from launcher.beside.handover import Handover
from launcher.beside.supervisor import tell, wire_of
from launcher.failpoints import reach
from launcher.oom_score import set_oom_score
from launcher.rootfs import mounting
from launcher.scene import cloning, inside, terminal, userns
from launcher.scene.operations import Scene
from launcher.scene.plan import LaunchFacts, plan_inside, plan_program
from launcher.spec import ContainerSpec

LONGEST_WORD: Final = 65536
UNLIMITED: Final = {"kind": "failed", "step": "put its limits in force", "errno": 0, "why": "given up"}
DIED: Final = {"kind": "failed", "step": "set up the container", "errno": 0, "why": "its first process died"}


def bring_up(message: channel.Message, heir: _socket.socket) -> None:
    """A request from the spawner's socket becomes a running container, with `heir`'s other end beside it."""
    daemon = socket.socket(fileno=message.fds[0])
    reach("supervisor.begun")
    facts = LaunchFacts.from_wire(message.body["facts"])
    try:
        settling.hold_launch(facts.state_dir)
        if "spec" in message.body:
            spec = ContainerSpec.from_wire(message.body["spec"])
            identity = _launch(spec, facts, daemon, _first_audience(message), heir)
        else:
            identity = _take_over(facts, message.fds[1], heir)
    except _LaunchRefused as refused:
        # In this order: the one that stays ends at that word, and we with it.
        tell(daemon, {"error": refused.wire})
        heir.send(handover.FAILED)
    except OSError as e:
        tell(daemon, {"error": wire_of(e, "prepare the supervisor")})
        heir.send(handover.FAILED)
    else:
        reach("supervisor.opened")
        # In this order too: a program may end at once, and the one that stays, and we with it.
        tell(daemon, {"started": identity})
        reach("supervisor.told")
        heir.send(handover.RUNS)


def _take_over(facts: LaunchFacts, pidfd: int, heir: _socket.socket) -> dict[str, Any]:
    """The supervisor was killed, the container lives: keep its output and record its end from outside."""
    state_fd = os.open(facts.state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    identity = records.read_record(facts.state_dir, records.INIT) or {}
    spec = (identity.get("intent") or {}).get("spec") or {}
    identity |= _supervisor_identity() | {"orphan": True}
    records.write_record(state_fd, records.INIT, identity)
    given = Handover(identity["pid"], identity["start_ticks"], json.dumps(identity).encode())
    given.fds = {"pidfd": pidfd, "state": state_fd, **stdio.reopen_pipes(facts.run_dir)}
    given.log_max_bytes, given.log_max_files = spec.get("log_max_bytes"), spec.get("log_max_files")
    given.give(heir)
    return identity


def _first_audience(message: channel.Message) -> dict[str, Any]:
    """Who waits for its first output, and how large that one's terminal is."""
    fds = {"audience": message.fds[1]} if message.body.get("audience") else {}
    return {"fds": fds, "size": terminal.parse_size(message.body.get("terminal"))}


class _LaunchRefused(Exception):
    def __init__(self, wire: dict[str, Any]) -> None:
        self.wire = wire


def _launch(
    spec: ContainerSpec,
    facts: LaunchFacts,
    daemon: socket.socket,
    audience: dict[str, Any],
    heir: _socket.socket,
) -> dict[str, Any]:
    state_fd = os.open(facts.state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    run_fd = os.open(facts.run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    ours, container_ends = stdio.open_pipes(spec, run_fd)
    reach("supervisor.pipes")
    status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    media_fd = mounting.open_media(facts.root)
    plan, program = (
        plan_inside(spec, facts, media_fd),
        plan_program(spec, facts.confinement, threads=facts.threads),
    )
    owned = userns.make_namespaces(spec, facts.ids)
    fds, unified_fd, joins = _await_places(daemon)
    joins = owned | joins
    pid, pidfd = cloning.clone_first(spec, facts.time_offsets, joins, unified_fd)
    if pid == 0:
        scene = Scene(fds, joins, *((0, 0) if facts.ids is None else astuple(facts.ids)))
        inside.start(plan, program, scene, container_ends, theirs)
    for fd in (*fds, *joins.values(), *container_ends, *([] if unified_fd is None else [unified_fd])):
        os.close(fd)
    if media_fd >= 0:
        os.close(media_fd)
    theirs.close()
    reach("supervisor.cloned")
    # All this goes on record while the first process sets itself up.
    identity = _identity(pid, facts)
    identity["oom_score_adj"] = set_oom_score(pid, facts.oom_score_adj)
    intent = {"spec": spec.to_wire(), "created_at": facts.created_at}
    intent |= {} if facts.ids is None else {"ids": asdict(facts.ids)}
    listener = channel.bind_control(run_fd)
    given = Handover(pid, identity["start_ticks"], json.dumps(identity).encode(), tty=spec.tty)
    given.fds = {"pidfd": pidfd, "state": state_fd, "listener": listener.fileno(), **ours, **audience["fds"]}
    given.log_max_bytes, given.log_max_files = spec.log_max_bytes, spec.log_max_files
    # The record repeats the intent: one sync makes both last.
    records.create_record(state_fd, records.INIT, identity | {"intent": intent})
    reach("supervisor.recorded")
    try:
        _open_gate(status, daemon, given, audience["size"], heir)
    except _LaunchRefused:
        # An intent without a record is what the next daemon undoes, should this one be gone.
        os.unlink(records.INIT, dir_fd=state_fd)
        raise
    return identity


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


def _identity(pid: int, facts: LaunchFacts) -> dict[str, Any]:
    return {
        "pid": pid,
        "start_ticks": records.read_start_ticks(pid),
        "boot_id": facts.boot_id,
        "started_at": records.rfc3339(),
        **_supervisor_identity(),
    }


def _supervisor_identity() -> dict[str, Any]:
    """The one that stays is our parent."""
    return {"supervisor_pid": os.getppid(), "supervisor_start_ticks": records.read_start_ticks(os.getppid())}


def _open_gate(
    status: socket.socket,
    daemon: socket.socket,
    given: Handover,
    size: tuple[int, int] | None,
    heir: _socket.socket,
) -> None:
    """Wait until the first process is ready and limited, let it go, and see execve succeed (a channel that
    ends).

    Once limits are in force the daemon may be gone: the container is on record, so it runs, and the next
    daemon adopts it.
    """
    word, fds, _flags, _address = socket.recv_fds(status, LONGEST_WORD, 2)
    if word == b"terminals":
        given.fds |= dict(zip(("terminals", "terminal"), fds, strict=False))
        _prepare_terminal(given.fds.get("terminal"), size)
        word = status.recv(LONGEST_WORD)
    if word == b"ready":
        if channel.receive(daemon) is None:  # it ended before it could limit the container
            status.close()
            _await_death(given.fds["pidfd"])
            raise _LaunchRefused(UNLIMITED)
        given.give(heir)
        status.send(b"go")
        word = status.recv(LONGEST_WORD)
        if not word:
            status.close()
            return
    _await_death(given.fds["pidfd"])
    raise _LaunchRefused(json.loads(word) if word else DIED)


def _await_death(pidfd: int) -> None:
    """Its parent reaps it; until it is dead its cgroups cannot go."""
    death = select.poll()
    death.register(pidfd, select.POLLIN)
    death.poll()


def _prepare_terminal(master: int | None, size: tuple[int, int] | None) -> None:
    if master is not None:
        os.set_blocking(master, False)
        if size is not None:
            terminal.set_size(master, *size)
