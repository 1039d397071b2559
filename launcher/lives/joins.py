"""The namespaces that a new container joins, opened by the daemon: one descriptor for each kind.

They travel to the supervisor beside its cgroups, under `"joins": [kind, …]`; whoever has prepared a namespace
(a network with its address, say) adds it here. Not imported by the spawner.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from launcher.container import Container
from launcher.errors import BadSpec, UnknownContainer
from launcher.processes import held_process, is_alive
from launcher.scene.capabilities import NUMBERS
from launcher.scene.devfs import SHM_OWNER
from launcher.scene.namespaces import FIELDS, joined_container
from launcher.spec import ContainerSpec
from launcher.spec_values import HOSTNAME


class Joins:
    """Owns its descriptors: use it as a context manager."""

    def __init__(self) -> None:
        self.fds: dict[str, int] = {}

    def add(self, kind: str, fd: int) -> None:
        """From now on the descriptor is ours; a kind that was there is replaced."""
        if kind in self.fds:
            os.close(self.fds[kind])
        self.fds[kind] = fd

    def close(self) -> None:
        for fd in self.fds.values():
            os.close(fd)
        self.fds.clear()

    def __enter__(self) -> Joins:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hostname_of(spec: ContainerSpec, find: Callable[[str], Container]) -> str:
    """The name that goes with its UTS namespace, which is another's where that is; for HOSTNAME and /etc."""
    if name := joined_container(spec.uts):
        with contextlib.suppress(UnknownContainer):
            return find(name).spec.hostname
    there = os.uname().nodename
    return there if spec.uts == "host" and HOSTNAME.fullmatch(there) else spec.hostname


def open_joins(spec: ContainerSpec, find: Callable[[str], Container]) -> Joins:
    """What `container:NAME` asks for. Raises BadSpec with the field: no such container, or not running.

    The namespace stays, whatever becomes of the other container: a descriptor holds it. A pid namespace
    stays too, but nothing can be started in it once its first process has ended.
    """
    joins = Joins()
    try:
        for kind, field in FIELDS.items():
            if name := joined_container(getattr(spec, field)):
                joins.add(kind, _open_of(field, name, find, kind))
                if kind == "pid":
                    _refuse_watchers(field, name, joins.fds[kind])
                if kind == "ipc":
                    # POSIX shared memory is a tmpfs: who shares System V's shares that too.
                    joins.add(SHM_OWNER, _open_of(field, name, find, "mnt"))
    except BadSpec:
        joins.close()
        raise
    return joins


def _open_of(field: str, name: str, find: Callable[[str], Container], kind: str) -> int:
    try:
        container = find(name)
    except UnknownContainer as e:
        raise BadSpec(field, str(e)) from None
    not_running = f"container {name!r} is not running; start it first"
    if container.state != "running" or container.pid is None:
        raise BadSpec(field, not_running)
    try:
        return open_namespace(container.pid, container.start_ticks, kind)
    except (ProcessLookupError, FileNotFoundError):
        raise BadSpec(field, not_running) from None


def _refuse_watchers(field: str, name: str, namespace: int) -> None:
    """Who has CAP_SYS_PTRACE over the host's root in that pid namespace could look into the new container's
    first process while it still holds the host's mounts, and so get out.
    """
    wanted, host = os.fstat(namespace).st_ino, os.stat("/proc/self/ns/user").st_ino
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}/ns/pid").st_ino != wanted:
                continue
            if os.stat(f"/proc/{pid}/ns/user").st_ino == host and _may_trace(pid):
                why = f"container {name!r} has a process with CAP_SYS_PTRACE: it could look into the new one"
                raise BadSpec(field, f"{why} while that is set up; run it without, or with --userns auto")


def _may_trace(pid: str) -> bool:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        (line,) = (line for line in file if line.startswith("CapPrm:"))
    return bool(int(line.split()[1], 16) >> NUMBERS["SYS_PTRACE"] & 1)


def open_namespace(pid: int, start_ticks: int | None, kind: str) -> int:
    """A namespace of the very process on record; ProcessLookupError if that has ended.

    /proc goes by number. While a pidfd is held and the process is alive afterwards, the number was its own
    all the time.
    """
    with held_process(pid, start_ticks):
        fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
        if is_alive(pid, start_ticks):
            return fd
    os.close(fd)
    raise ProcessLookupError(pid)
