"""User namespaces: root inside is nobody outside, with a range of host ids that no other container has.

The namespace is made first, by a process that lives for a moment, together with those that shall belong to
it. The first process joins these, sets its scene as the host's root, and enters the user namespace last: so
everything that may be mounted or made for other containers may be for this one, and its mounts are locked
together (what is inherited by a less privileged mount namespace cannot be taken apart there).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from launcher import syscalls
from launcher.scene import namespaces, terminal
from launcher.scene.operations import Scene
from launcher.spec import ContainerSpec

INSIDE_ROOT: Final = 0


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids 0 to size - 1 inside are base to base + size - 1 on the host, users and groups alike."""

    base: int
    size: int

    def map_text(self) -> str:
        return f"{INSIDE_ROOT} {self.base} {self.size}\n"


def make_namespaces(spec: ContainerSpec, ids: IdRange | None) -> dict[str, int]:
    """Descriptors of the user namespace and of what it owns; nothing where the host's ids are used."""
    if ids is None:
        return {}
    kinds = ["user", *(k for k in namespaces.OWNED if namespaces.source_of(spec, k) == namespaces.NEW)]
    alive_read, alive_write = os.pipe2(os.O_CLOEXEC)
    pid, pidfd = syscalls.clone3(sum(namespaces.FLAGS[kind] for kind in kinds))
    if pid == 0:
        _hold(alive_read, alive_write)
    os.close(alive_read)
    os.close(pidfd)
    try:
        for name in ("uid_map", "gid_map"):
            _write(f"/proc/{pid}/{name}", ids.map_text())
        return {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in kinds}
    finally:
        os.close(alive_write)
        os.waitpid(pid, 0)


def _hold(alive_read: int, alive_write: int) -> None:
    """Until the one that waits for us has opened our namespaces, or is dead; never returns."""
    os.close(alive_write)
    os.read(alive_read, 1)
    os._exit(0)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class EnterUserNamespace:
    """The last of the scene: what comes after has no rights on the host."""

    ids: IdRange
    new_cgroup_namespace: bool

    def describe(self) -> str:
        last = self.ids.size - 1
        return (
            f"enter a user namespace of its own: ids 0 to {last} inside are {self.ids.base} to "
            f"{self.ids.base + last} on the host; lock all mounts"
        )

    def execute(self, scene: Scene) -> None:
        if scene.terminal_fd >= 0:
            terminal.give_to(scene.terminal_fd, self.ids.base, self.ids.base)
        user_fd = scene.joins.pop("user")
        syscalls.setns(user_fd, syscalls.CLONE_NEWUSER)
        os.close(user_fd)
        flag = syscalls.CLONE_NEWCGROUP if self.new_cgroup_namespace else 0
        syscalls.unshare(syscalls.CLONE_NEWNS | flag)
        become_inside_root()


@dataclass(frozen=True, slots=True)
class OpenLowPorts:
    """A network that was prepared belongs to the host's user namespace: there, root inside may bind no port
    below 1024 by its capability. So everybody may, as in docker.
    """

    def describe(self) -> str:
        return "let everybody in its network bind ports below 1024"

    def execute(self, scene: Scene) -> None:
        name = "sys/net/ipv4/ip_unprivileged_port_start"
        fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=scene.proc_fd)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)


def become_inside_root() -> None:
    """Host ids that are not mapped inside own nothing there; what we make from here on is the container's."""
    os.setgroups([])
    os.setresgid(INSIDE_ROOT, INSIDE_ROOT, INSIDE_ROOT)
    os.setresuid(INSIDE_ROOT, INSIDE_ROOT, INSIDE_ROOT)
    # A change of ids resets it to fs.suid_dumpable, which may be 1.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def read_inside_root(pid: int) -> int:
    """The host's id of root inside: from /proc/PID/uid_map, whose first range begins with it."""
    with open(f"/proc/{pid}/uid_map", "rb") as file:
        return int(file.readline().split()[1])
