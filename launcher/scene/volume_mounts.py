"""Volumes, single files and tmpfs inside a container, as operations: detached mounts, made ready before they
appear, attached to descriptors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from launcher import syscalls
from launcher.rootfs.copying import copy_into_empty
from launcher.scene import idmaps, places
from launcher.scene.operations import Scene
from launcher.spec import ContainerSpec

NAMES: Final = (
    (syscalls.MOUNT_ATTR_RDONLY, "ro"),
    (syscalls.MOUNT_ATTR_NOSUID, "nosuid"),
    (syscalls.MOUNT_ATTR_NODEV, "nodev"),
    (syscalls.MOUNT_ATTR_NOEXEC, "noexec"),
)
_NO_LINKS: Final = syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_MAGICLINKS

DEFAULT: Final = {"nosuid": syscalls.MOUNT_ATTR_NOSUID, "nodev": syscalls.MOUNT_ATTR_NODEV}
_ADDED: Final = {"ro": syscalls.MOUNT_ATTR_RDONLY, "noexec": syscalls.MOUNT_ATTR_NOEXEC}
_LIFTED: Final = {"rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec"}


def name_attributes(attributes: int) -> str:
    """As mount(8) spells them."""
    return ",".join(name for bit, name in NAMES if attributes & bit) or "rw"


@dataclass(frozen=True, slots=True)
class AttachVolume:
    """A directory or file of the host at its place inside, with everything that is mounted below it."""

    source: str
    """Without symbolic links: one that has become part of it since is refused."""
    target: str
    attributes: int = 0
    hidden: tuple[str, ...] = ()
    """cgwarden's own directories, relative to the source."""
    fill: bool = False
    """A volume that is empty gets what the root has at this place."""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> AttachVolume:
        return cls(**{**wire, "hidden": tuple(wire["hidden"])})

    def to_wire(self) -> dict[str, Any]:
        wire = {f.name: getattr(self, f.name) for f in fields(self)}
        return wire | {"hidden": list(self.hidden)}

    def describe(self) -> str:
        more = "".join(f", hide {path} in it" for path in self.hidden)
        first = "; fill it from the root if it is empty" if self.fill else ""
        return f"mount {self.source} on {self.target} ({name_attributes(self.attributes)}){more}{first}"

    def execute(self, scene: Scene) -> None:
        source = syscalls.openat2(syscalls.AT_FDCWD, os.fsencode(self.source), os.O_PATH, _NO_LINKS)
        tree = syscalls.open_tree(source, b"", recursive=True)
        os.close(source)
        if scene.owner:
            # Root inside is root of the volume, whatever its ids are on the host.
            idmaps.map_mount(tree, scene.joins["user"], self.source, recursive=True)
        target = places.open_target(scene, self.target, directory=stat.S_ISDIR(os.fstat(tree).st_mode))
        if self.fill:
            _fill(tree, target)
        propagation = syscalls.MS_PRIVATE
        syscalls.mount_setattr(tree, self.attributes, recursive=True, propagation=propagation)
        syscalls.move_mount(tree, target)
        for path in self.hidden:
            places.hide(tree, path)
        os.close(target)
        os.close(tree)


def _fill(tree: int, target: int) -> None:
    """What the image has at a volume's place is its first content, as docker does it."""
    volume = os.open(f"/proc/self/fd/{tree}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    image = os.open(f"/proc/self/fd/{target}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not os.listdir(volume):
            copy_into_empty(image, volume)
    finally:
        os.close(volume)
        os.close(image)


@dataclass(frozen=True, slots=True)
class MountTmpfs:
    """Memory as a directory, charged to the container."""

    target: str
    size_bytes: int | None
    mode: int
    attributes: int

    def describe(self) -> str:
        size = "" if self.size_bytes is None else f", {self.size_bytes} bytes"
        return (
            f"mount a tmpfs on {self.target} ({name_attributes(self.attributes)}, mode {self.mode:04o}{size})"
        )

    def execute(self, scene: Scene) -> None:
        owner = b"%d" % scene.owner
        options: dict[bytes, bytes | None] = {b"mode": b"%o" % self.mode, b"uid": owner, b"gid": owner}
        if self.size_bytes is not None:
            options[b"size"] = b"%d" % self.size_bytes
        tree = syscalls.mount_fs(b"tmpfs", options, self.attributes)
        target = places.open_target(scene, self.target, directory=True)
        syscalls.move_mount(tree, target)
        os.close(target)
        os.close(tree)


def plan_tmpfs(spec: ContainerSpec) -> tuple[MountTmpfs, ...]:
    """nosuid, nodev and noexec unless `exec` is asked for, as docker's."""
    default = DEFAULT | {"noexec": syscalls.MOUNT_ATTR_NOEXEC}
    return tuple(
        MountTmpfs(
            places.normal(item["target"]),
            item["size_bytes"],
            item["mode"],
            attributes_of(item["options"], default),
        )
        for item in spec.tmpfs
    )


def attributes_of(options: Iterable[str], default: Mapping[str, int]) -> int:
    """The later word counts: `exec` lifts `noexec`, `rw` lifts `ro`."""
    held = dict(default)
    for word in options:
        if word in _LIFTED:
            held.pop(_LIFTED[word], None)
        elif word in DEFAULT or word in _ADDED:
            held[word] = (DEFAULT | _ADDED)[word]
    return sum(held.values())


def in_order(mounts: Iterable[AttachVolume | MountTmpfs]) -> list[AttachVolume | MountTmpfs]:
    """A directory before what is mounted below it."""
    return sorted(mounts, key=lambda mount: mount.target.count("/"))
