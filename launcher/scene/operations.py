"""The steps that turn a fresh process into a container, as data: `describe()` and `execute()`.

Here: the protocol, and the steps that mount nothing new. Errors leave as OSError; the caller knows the step
by the operation.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from typing import Final, Protocol

from launcher import syscalls
from launcher.scene import namespaces

SIOCGIFFLAGS: Final = 0x8913
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 1


class Scene:
    """What the operations share while one container is set up: descriptors of its root and of what is
    mounted there.
    """

    __slots__ = (
        *("dev_fd", "entry_fds", "joins", "master_fd", "proc_fd", "root_fd", "sys_fd"),
        *("ids_size", "owner", "terminal_fd", "terminals_fd"),
    )

    def __init__(
        self, entry_fds: list[int], joins: dict[str, int], owner: int = 0, ids_size: int = 0
    ) -> None:
        self.entry_fds = entry_fds
        self.joins = joins
        # The host's id of root inside, and how many ids there are; 0 where they are the host's.
        self.owner = owner
        self.ids_size = ids_size
        self.root_fd = self.dev_fd = self.proc_fd = self.sys_fd = -1
        # The root of devpts, and both sides of the container's own terminal, if it has one.
        self.terminals_fd = self.master_fd = self.terminal_fd = -1


class Operation(Protocol):
    def describe(self) -> str: ...
    def execute(self, scene: Scene) -> None: ...


@dataclass(frozen=True, slots=True)
class JoinCgroups:
    path: str

    def describe(self) -> str:
        return f"join cgroup {self.path} in every hierarchy"

    def execute(self, scene: Scene) -> None:
        # "0" to `tasks` from a single-threaded process is the one way in that waits for no RCU grace period.
        for fd in scene.entry_fds:
            os.write(fd, b"0")
            os.close(fd)
        scene.entry_fds = []


@dataclass(frozen=True, slots=True)
class JoinNamespaces:
    def describe(self) -> str:
        return "join the namespaces that were handed over"

    def execute(self, scene: Scene) -> None:
        """What was not cloned anew, the pid namespace apart: in that we were born."""
        for kind, fd in scene.joins.items():
            if kind in namespaces.OWNED:
                syscalls.setns(fd, namespaces.FLAGS[kind])
                os.close(fd)
        scene.joins = {kind: fd for kind, fd in scene.joins.items() if kind not in namespaces.OWNED}


@dataclass(frozen=True, slots=True)
class NewCgroupNamespace:
    def describe(self) -> str:
        return "new cgroup namespace: the container sees its own cgroup as /"

    def execute(self, scene: Scene) -> None:
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)


@dataclass(frozen=True, slots=True)
class StopPropagation:
    def describe(self) -> str:
        return "make all mounts slaves: nothing mounted here reaches the host"

    def execute(self, scene: Scene) -> None:
        try:
            syscalls.set_propagation(b"/", syscalls.MS_REC | syscalls.MS_SLAVE)
        except OSError as e:
            if e.errno != errno.EINVAL:
                raise
            self._from_the_top()

    def _from_the_top(self) -> None:
        """In a chroot `/` is no mount. Joining our own mount namespace leads to its root, for a moment."""
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        syscalls.setns(own, syscalls.CLONE_NEWNS)
        syscalls.set_propagation(b"/", syscalls.MS_REC | syscalls.MS_SLAVE)
        os.fchdir(root)
        os.chroot(".")
        os.close(own)
        os.close(root)


@dataclass(frozen=True, slots=True)
class LoopbackUp:
    def describe(self) -> str:
        return "bring up the loopback interface"

    def execute(self, scene: Scene) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = struct.pack("16sH14x", b"lo", 0)
            (flags,) = struct.unpack_from("H", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request), 16)
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


@dataclass(frozen=True, slots=True)
class SetHostname:
    hostname: str

    def describe(self) -> str:
        return f"set the host name {self.hostname}"

    def execute(self, scene: Scene) -> None:
        socket.sethostname(self.hostname)
