"""`--init`: a small static program as the first process of a container: it reaps orphans, forwards signals.

It is the host's own (tini or catatonit), bound read-only over a file in /dev; never one of ours: a Python
there would take memory in each container, and its interpreter would be the container's `/proc/1/exe`.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Final

from launcher import syscalls
from launcher.errors import BadSpec
from launcher.scene.operations import Scene

INSIDE: Final = "/dev/init"
CANDIDATES: Final = (
    "/usr/bin/tini-static",
    "/usr/bin/catatonit",
    "/usr/libexec/podman/catatonit",
    "/usr/bin/docker-init",
    "/usr/bin/tini",
)
PT_INTERP: Final = 3


def find_reaper(candidates: tuple[str, ...] = CANDIDATES) -> str:
    """The first that needs no loader, which the container's root may lack; `BadSpec` says what to install."""
    for path in candidates:
        if is_static(path):
            return os.path.realpath(path)
    raise BadSpec("init", "this host has no static init: install tini (for tini-static) or catatonit")


def is_static(path: str) -> bool:
    """Is it a 64-bit ELF program without an interpreter (elf(5), program headers)?"""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if head[:5] != b"\x7fELF\x02":
                return False
            offset, size, count = *struct.unpack_from("<Q", head, 32), *struct.unpack_from("<HH", head, 54)
            file.seek(offset)
            table = file.read(size * count)
    except (OSError, struct.error):
        return False
    kinds = [struct.unpack_from("<I", table, at)[0] for at in range(0, len(table) - 3, size or 1)]
    return bool(kinds) and PT_INTERP not in kinds


def behind_reaper(path: str, command: list[str]) -> tuple[str, list[str]]:
    """What to execute so that the program `path` becomes a child of the reaper."""
    return INSIDE, [INSIDE, "--", path, *command[1:]]


@dataclass(frozen=True, slots=True)
class MountReaper:
    path: str

    def describe(self) -> str:
        return f"mount {self.path} read-only on {INSIDE}: it starts the program and reaps orphans"

    def execute(self, scene: Scene) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open("init", flags, 0o755, dir_fd=scene.dev_fd))
        target = os.open("init", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=scene.dev_fd)
        tree = syscalls.open_tree(syscalls.AT_FDCWD, os.fsencode(self.path))
        try:
            locked = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
            syscalls.mount_setattr(tree, locked)
            syscalls.move_mount(tree, target, INSIDE.encode())
        finally:
            os.close(tree)
            os.close(target)
