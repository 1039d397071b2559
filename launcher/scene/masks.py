"""What of /proc and /sys a container must not see or not write: covered within our own mounts of them."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from launcher import syscalls
from launcher.scene.mounts import LOCKED_DOWN, open_own
from launcher.scene.operations import Scene
from launcher.syscalls import MOUNT_ATTR_RDONLY


@dataclass(frozen=True, slots=True)
class MaskPaths:
    """Files become the container's null device, directories an empty read-only tmpfs, each by descriptor."""

    files: tuple[str, ...]
    directories: tuple[str, ...]

    def describe(self) -> str:
        return "mask " + " ".join((*self.files, *self.directories))

    def execute(self, scene: Scene) -> None:
        null = open_own(scene.dev_fd, b"null")
        if null is None or not _is_null(null):
            raise OSError(errno.ENODEV, "is not the null device", "/dev/null")
        for path in self.files:
            _cover(scene, path, null)
        os.close(null)
        if self.directories:
            empty = syscalls.mount_fs(
                b"tmpfs", {b"mode": b"555", b"size": b"4k"}, MOUNT_ATTR_RDONLY | LOCKED_DOWN
            )
            # A first place is needed before copies of it can be taken on older kernels.
            _cover_with(scene, self.directories[0], empty)
            for path in self.directories[1:]:
                _cover(scene, path, empty)
            os.close(empty)


def _is_null(fd: int) -> bool:
    found = os.fstat(fd)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(1, 3)


def _place_in(scene: Scene, path: str) -> int | None:
    """`/proc/x` or `/sys/x`, below the file systems that we mounted, whatever the root holds."""
    top, _, rest = path.lstrip("/").partition("/")
    return open_own({"proc": scene.proc_fd, "sys": scene.sys_fd}[top], os.fsencode(rest))


def _cover(scene: Scene, path: str, source_fd: int) -> None:
    tree = syscalls.open_tree(source_fd, b"")
    try:
        _cover_with(scene, path, tree)
    finally:
        os.close(tree)


def _cover_with(scene: Scene, path: str, tree: int) -> None:
    place = _place_in(scene, path)
    if place is not None:
        syscalls.move_mount(tree, place)
        os.close(place)


@dataclass(frozen=True, slots=True)
class ReadOnlyPaths:
    paths: tuple[str, ...]

    def describe(self) -> str:
        return "make read-only " + " ".join(self.paths)

    def execute(self, scene: Scene) -> None:
        for path in self.paths:
            place = _place_in(scene, path)
            if place is not None:
                tree = syscalls.open_tree(place, b"", recursive=True)
                syscalls.mount_setattr(tree, MOUNT_ATTR_RDONLY | LOCKED_DOWN, recursive=True)
                syscalls.move_mount(tree, place)
                os.close(tree)
                os.close(place)
