"""The kernel's file systems in a container: proc, sysfs and cgroups, mounted by descriptor.

Every place inside the root is opened once, without following symbolic links, and the mount goes onto that
descriptor: the content of a root directory is hostile.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Final

from launcher import syscalls
from launcher.scene import places
from launcher.scene.operations import Scene
from launcher.syscalls import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY

LOCKED_DOWN: Final = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC


def open_place(dir_fd: int, name: bytes) -> int:
    """A directory right below dir_fd, made if it is missing; a symbolic link there is refused
    (CVE-2026-41579).
    """
    try:
        os.mkdir(name, 0o755, dir_fd=dir_fd)
    except FileExistsError:
        pass_over = syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH
        try:
            return syscalls.openat2(dir_fd, name, os.O_PATH | os.O_DIRECTORY, pass_over)
        except OSError as e:
            if e.errno in (errno.ELOOP, errno.ENOTDIR):
                raise OSError(
                    e.errno, "it must be a plain directory in the root", f"/{os.fsdecode(name)}"
                ) from None
            raise
    return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)


def mount_at(tree_fd: int, dir_fd: int, name: bytes) -> None:
    """Attach a detached mount to a directory of our own making below dir_fd."""
    place = open_place(dir_fd, name)
    try:
        syscalls.move_mount(tree_fd, place, path=name)
    finally:
        os.close(place)


def open_own(dir_fd: int, path: bytes) -> int | None:
    """Something inside a file system that we mounted ourselves; None where this kernel has no such path."""
    try:
        return syscalls.openat2(
            dir_fd, path, os.O_PATH, syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH
        )
    except (FileNotFoundError, NotADirectoryError):
        return None


@dataclass(frozen=True, slots=True)
class HidePath:
    """cgwarden's own directories inside a root that contains them (the host's `/`)."""

    path: str

    def describe(self) -> str:
        return f"hide {self.path} under an empty read-only tmpfs"

    def execute(self, scene: Scene) -> None:
        places.hide(scene.root_fd, self.path.lstrip("/"))


@dataclass(frozen=True, slots=True)
class MountProc:
    def describe(self) -> str:
        return "mount a new proc on /proc (nosuid, nodev, noexec)"

    def execute(self, scene: Scene) -> None:
        scene.proc_fd = syscalls.mount_fs(b"proc", {}, LOCKED_DOWN)
        mount_at(scene.proc_fd, scene.root_fd, b"proc")


@dataclass(frozen=True, slots=True)
class MountSys:
    def describe(self) -> str:
        return "mount a new sysfs on /sys (read-only, nosuid, nodev, noexec)"

    def execute(self, scene: Scene) -> None:
        scene.sys_fd = syscalls.mount_fs(b"sysfs", {}, MOUNT_ATTR_RDONLY | LOCKED_DOWN)
        mount_at(scene.sys_fd, scene.root_fd, b"sys")


@dataclass(frozen=True, slots=True)
class MountCgroups:
    """The container's own cgroups, read-only, as the host arranges them; ("", path) for a single tree."""

    binds: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        return "mount the container's cgroups read-only below /sys/fs/cgroup: " + " ".join(
            name or "/" for name, _ in self.binds
        )

    def execute(self, scene: Scene) -> None:
        place = open_own(scene.sys_fd, b"fs/cgroup")
        if place is None:
            return
        if self.binds and not self.binds[0][0]:
            self._bind(self.binds[0][1], place)
            os.close(place)
            return
        options: dict[bytes, bytes | None] = {b"mode": b"755", b"size": b"64k"}
        tree = syscalls.mount_fs(b"tmpfs", options, LOCKED_DOWN)
        syscalls.move_mount(tree, place)
        os.close(place)
        for name, path in self.binds:
            target = open_place(tree, os.fsencode(name))
            self._bind(path, target)
            os.close(target)
        syscalls.mount_setattr(tree, MOUNT_ATTR_RDONLY)
        os.close(tree)

    def _bind(self, path: str, target: int) -> None:
        bind = syscalls.open_tree(syscalls.AT_FDCWD, os.fsencode(path))
        syscalls.mount_setattr(bind, MOUNT_ATTR_RDONLY | LOCKED_DOWN)
        syscalls.move_mount(bind, target)
        os.close(bind)
