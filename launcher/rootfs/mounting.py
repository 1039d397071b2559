"""From what a driver prepared to the container's root mount: the first step inside its mount namespace.

Block devices are opened by the supervisor: the first process has joined the container's cgroups by then,
whose device rules keep it from every disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import Final

from launcher import syscalls
from launcher.rootfs import devices, loop
from launcher.rootfs.source import RootSource
from launcher.scene import idmaps
from launcher.scene.operations import Scene
from launcher.syscalls import MOUNT_ATTR_NODEV

_FLAGS: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_LONGEST_OPTION: Final = 255  # bytes that one value of fsconfig may have
# Explicit, since a kernel can be built to follow redirects that a hostile layer brings.
_PLAIN: Final[dict[bytes, bytes | None]] = {
    b"index": b"off",
    b"metacopy": b"off",
    b"redirect_dir": b"off",
    b"xino": b"off",
}


def open_media(source: RootSource) -> int:
    """The file system on a block device that this root needs, as a detached mount; -1 where it needs none."""
    if source.device:
        return loop.mount_device(devices.node_of(source.device))
    return loop.mount_image(source.image) if source.image else -1


@dataclass(frozen=True, slots=True)
class MountRoot:
    """Whatever it is made of, it goes onto `STATE_DIR/containers/NAME/root`, without device nodes."""

    source: RootSource
    state_dir: str
    media_fd: int = -1
    """The mount that `open_media` made, handed down by the supervisor."""

    def describe(self) -> str:
        place = f"{self.state_dir}/root"
        if self.source.device:
            return f"mount the thin snapshot {self.source.device} on {place}"
        if self.source.tree:
            return f"mount the {self.source.driver} copy {self.source.tree} on {place}"
        above = f"upper/ inside {self.source.image}" if self.source.image else "upper/"
        below = ":".join(reversed(self.source.layers))
        return f"mount an overlay on {place}: {below} below, changes above in {above}"

    def execute(self, scene: Scene) -> None:
        target = os.open(f"{self.state_dir}/root", _FLAGS)
        if self.source.device:
            scene.root_fd = self.media_fd
            self._map(scene)
        elif self.source.tree:
            scene.root_fd = syscalls.open_tree(syscalls.AT_FDCWD, os.fsencode(self.source.tree))
            syscalls.mount_setattr(scene.root_fd, MOUNT_ATTR_NODEV)
            self._map(scene)
        else:
            scene.root_fd = self._overlay(scene, target)
        syscalls.move_mount(scene.root_fd, target)
        os.close(target)
        idmaps.make_files_owned(scene)

    def _map(self, scene: Scene) -> None:
        """The container's own copy: on disk it keeps the ids of its layers."""
        if scene.owner:
            idmaps.map_mount(scene.root_fd, scene.joins["user"], self.source.tree or self.source.device)

    def _overlay(self, scene: Scene, target: int) -> int:
        """Everything goes in by descriptor: paths may hold what separates overlay's options."""
        upper_dir = self.state_dir
        if self.source.image:
            # Its file system must be in our mount tree, or overlay refuses it; the root then covers it.
            syscalls.move_mount(self.media_fd, target)
            upper_dir = f"/proc/self/fd/{self.media_fd}"
            for name in ("upper", "work"):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(f"{upper_dir}/{name}", 0o755)
        upper = [os.open(f"{upper_dir}/{name}", _FLAGS) for name in ("upper", "work")]
        place = os.fsencode(f"{self.state_dir}/root")
        if scene.owner:
            lower = idmaps.open_layers(scene, self.source.layers, self.state_dir)
            idmaps.give_upper(scene, upper[0], lower[0])
        else:
            lower = [os.open(path, _FLAGS) for path in reversed(self.source.layers)]
        root = mount_overlay_fds(lower, place, upper[0], upper[1])
        for fd in (*lower, *upper, *([self.media_fd] if self.source.image else [])):
            os.close(fd)
        return root


def mount_overlay_fds(lower: list[int], place: bytes, upper: int = -1, work: int = -1) -> int:
    """A detached overlay of open directories, top to bottom, and those for what is written; without them it
    is read-only. Old kernels need a `place`, a directory of ours, for a moment.
    """
    rest = dict(_PLAIN)
    if upper >= 0:
        rest |= {b"upperdir": _name(upper), b"workdir": _name(work)}
    names = [_name(fd) for fd in lower]
    joined = b":".join(names)
    if len(joined) <= _LONGEST_OPTION:
        return _mount([(b"lowerdir", joined)], rest)
    try:
        return _mount([(b"lowerdir+", name) for name in names], rest)
    except OSError as e:
        # Since Linux commit 24e16e385f22 ("ovl: add support for appending lowerdirs one by one") (in v6.7).
        # Older kernels take the key in silence, and fail at the end.
        if e.errno != errno.EINVAL:
            raise
        return _mount_by_path(joined, rest, place)


def _name(fd: int) -> bytes:
    return b"/proc/self/fd/%d" % fd


def _mount(lower: list[tuple[bytes, bytes | None]], rest: dict[bytes, bytes | None]) -> int:
    options = [(b"source", b"overlay"), *lower, *rest.items()]
    return syscalls.mount_fs(b"overlay", options, MOUNT_ATTR_NODEV)


def _mount_by_path(lower: bytes, rest: dict[bytes, bytes | None], place: bytes) -> int:
    """The call of old takes a page of options, so 200 layers, but mounts nowhere but at a path."""
    options = [b"lowerdir=" + lower, *(key + b"=" + (value or b"") for key, value in rest.items())]
    syscalls.mount(b"overlay", place, b"overlay", syscalls.MS_NODEV, b",".join(options))
    try:
        return syscalls.open_tree(syscalls.AT_FDCWD, place)
    finally:
        syscalls.umount_detach(place)
