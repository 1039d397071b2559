"""A container's /dev: a tmpfs with the usual nodes, those asked for, terminals and shared memory."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import Final

from launcher import syscalls
from launcher.defaults import DEVICE_LINKS, DEVICE_NODES
from launcher.mounts import LOCKED_DOWN, mount_at
from launcher.operations import Scene
from launcher.syscalls import MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID

TTY_GROUP: Final = 5
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

    def describe(self) -> str:
        names = " ".join((*(node.name for node in DEVICE_NODES), *(node.name for node in self.nodes)))
        return f"mount a tmpfs on /dev with {names}, pts, mqueue, shm ({self.shm_bytes} bytes)"

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
        shm = owned | {b"mode": b"1777", b"size": b"%d" % self.shm_bytes}
        locked = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC
        scene.terminals_fd = _mount(scene, b"pts", b"devpts", terminals, locked)
        os.close(_mount(scene, b"shm", b"tmpfs", shm, LOCKED_DOWN))
        os.close(_mount(scene, b"mqueue", b"mqueue", {}, LOCKED_DOWN))
        for node in self.nodes:
            _make_node(scene, node)
        os.umask(old_mask)


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
