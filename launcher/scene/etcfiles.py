"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container's own, mounted over what its root has there.

The daemon writes them for each run (`launcher.network.etc_texts`); here is the step of the plan that puts
them in place. The root is hostile: a link there is replaced, never followed, and only a regular file is
mounted on.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import Final

from launcher import syscalls
from launcher.scene.operations import Operation, Scene
from launcher.spec import ContainerSpec
from launcher.syscalls import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY

HOSTS: Final = "hosts"
HOSTNAME: Final = "hostname"
RESOLV_CONF: Final = "resolv.conf"
NAMES: Final = (HOSTS, HOSTNAME, RESOLV_CONF)
DIRECTORY: Final = "etc"
"""Below the container's own directory."""
_LOCKED_DOWN: Final = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC


def names_of(spec: ContainerSpec) -> tuple[str, ...]:
    """Which of the files this container gets: without a network nobody answers a resolver's questions."""
    resolves = spec.network != "none" or bool(spec.dns)
    return NAMES if resolves else (HOSTS, HOSTNAME)


def plan_etc(spec: ContainerSpec, state_dir: str) -> list[Operation]:
    """Comes after the root is mounted, and before volumes, which may lie over these files."""
    return [MountEtcFiles(f"{state_dir}/{DIRECTORY}", names_of(spec), spec.read_only)]


@dataclass(frozen=True, slots=True)
class MountEtcFiles:
    directory: str
    names: tuple[str, ...]
    read_only: bool

    def describe(self) -> str:
        return "mount its own " + " ".join(f"/etc/{name}" for name in self.names)

    def execute(self, scene: Scene) -> None:
        etc = _open_etc(scene.root_fd)
        attributes = _LOCKED_DOWN | (MOUNT_ATTR_RDONLY if self.read_only else 0)
        for name in self.names:
            place = open_file_place(etc, name)
            tree = syscalls.open_tree(syscalls.AT_FDCWD, os.fsencode(f"{self.directory}/{name}"))
            if scene.owner:
                os.chown(f"/proc/self/fd/{tree}", scene.owner, scene.owner)
            syscalls.mount_setattr(tree, attributes)
            syscalls.move_mount(tree, place)
            os.close(tree)
            os.close(place)
        os.close(etc)


def _open_etc(root_fd: int) -> int:
    """A link is followed as the container would: its root is the top."""
    in_root = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    try:
        return syscalls.openat2(root_fd, b"etc", os.O_PATH | os.O_DIRECTORY, in_root)
    except FileNotFoundError:
        os.mkdir("etc", 0o755, dir_fd=root_fd)
        return os.open("etc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root_fd)


def open_file_place(dir_fd: int, name: str) -> int:
    """The regular file to mount on; a link becomes an empty file, and so does nothing at all."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        place = os.open(name, flags, dir_fd=dir_fd)
        mode = os.fstat(place).st_mode
        if stat.S_ISREG(mode):
            return place
        os.close(place)
        if not stat.S_ISLNK(mode):
            raise OSError(errno.EINVAL, "it must be a file in the root", f"/etc/{name}")
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass
    made = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(name, made, 0o644, dir_fd=dir_fd))
    return os.open(name, flags, dir_fd=dir_fd)
