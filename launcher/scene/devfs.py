"""A container's /dev: a tmpfs with the usual nodes, those asked for, terminals and shared memory."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from typing import Final

from launcher import syscalls
from launcher.defaults import DEVICE_LINKS, DEVICE_NODES
from launcher.scene.mounts import LOCKED_DOWN, mount_at
from launcher.scene.operations import Scene
from launcher.syscalls import MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID

TTY_GROUP: Final = 5
SHM_OWNER: Final = "shm"
"""Among what is joined: the mount namespace of whose shared memory this container has."""
TMPFS_MAGIC: Final = 0x01021994
Options = dict[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Node:
    """A device as the host has it; `name` below /dev, `mode` with its type."""

    name: str
    mode: int
    number: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class MountDev:
    shm_bytes: int
    nodes: tuple[Node, ...] = ()
    ipc: str = "private"
    """As in a description: who shares System V's shared memory shares POSIX's."""

    def describe(self) -> str:
        names = " ".join((*(node.name for node in DEVICE_NODES), *(node.name for node in self.nodes)))
        shm = f"{self.shm_bytes} bytes" if self.ipc == "private" else f"that of {self.ipc}"
        return f"mount a tmpfs on /dev with {names}, pts, mqueue, shm ({shm})"

    def execute(self, scene: Scene) -> None:
        old_mask = os.umask(0)
        owner = b"%d" % scene.owner
        owned: Options = {b"uid": owner, b"gid": owner}
        options = owned | {b"mode": b"755", b"size": b"64k"}
        scene.dev_fd = dev = syscalls.mount_fs(b"tmpfs", options, MOUNT_ATTR_NOSUID)
        mount_at(dev, scene.root_fd, b"dev")
        for usual in DEVICE_NODES:
            number = os.makedev(usual.major, usual.minor)
            _make_node(scene, Node(usual.name, stat.S_IFCHR | 0o666, number, 0, 0))
        for name, target in DEVICE_LINKS:
            os.symlink(target, name, dir_fd=dev)
        terminals: Options = {
            b"newinstance": None,
            b"ptmxmode": b"0666",
            b"mode": b"0620",
            b"gid": b"%d" % (scene.owner + TTY_GROUP),
        }
        locked = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC
        scene.terminals_fd = _mount(scene, b"pts", b"devpts", terminals, locked)
        shm = self._shared_memory(scene, owned)
        mount_at(shm, dev, b"shm")
        os.close(shm)
        os.close(_mount(scene, b"mqueue", b"mqueue", {}, LOCKED_DOWN))
        for node in self.nodes:
            _make_node(scene, node)
        os.umask(old_mask)

    def _shared_memory(self, scene: Scene, owned: Options) -> int:
        if self.ipc == "private":
            options = owned | {b"mode": b"1777", b"size": b"%d" % self.shm_bytes}
            return syscalls.mount_fs(b"tmpfs", options, LOCKED_DOWN)
        if SHM_OWNER not in scene.joins:
            return _copy_shm()
        theirs, own = scene.joins.pop(SHM_OWNER), os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        syscalls.setns(theirs, syscalls.CLONE_NEWNS)
        try:
            return _copy_shm()
        finally:
            syscalls.setns(own, syscalls.CLONE_NEWNS)
            os.close(own)
            os.close(theirs)


def _copy_shm() -> int:
    """A mount of the /dev/shm that we see now; a container may have put something else there."""
    no_links = syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS
    place = syscalls.openat2(syscalls.AT_FDCWD, b"/dev/shm", os.O_PATH | os.O_DIRECTORY, no_links)
    tree = syscalls.open_tree(place, b"")
    os.close(place)
    if syscalls.fstatfs_type(tree) != TMPFS_MAGIC:
        raise OSError(errno.EPERM, "is no shared memory there", "/dev/shm")
    syscalls.mount_setattr(tree, LOCKED_DOWN, propagation=syscalls.MS_PRIVATE)
    return tree


def _mount(scene: Scene, name: bytes, fstype: bytes, options: Options, attributes: int) -> int:
    tree = syscalls.mount_fs(fstype, options, attributes)
    mount_at(tree, scene.dev_fd, name)
    return tree


def _make_node(scene: Scene, node: Node) -> None:
    """In a tmpfs of ours alone, so that names can be walked. In a user namespace root inside owns it."""
    above = ""
    for part in node.name.split("/")[:-1]:
        above += f"{part}/"
        with contextlib.suppress(FileExistsError):
            os.mkdir(above, 0o755, dir_fd=scene.dev_fd)
    os.mknod(node.name, node.mode, node.number, dir_fd=scene.dev_fd)
    uid, gid = (scene.owner, scene.owner) if scene.owner else (node.uid, node.gid)
    os.chown(node.name, uid, gid, dir_fd=scene.dev_fd)
