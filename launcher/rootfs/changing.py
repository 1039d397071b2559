"""Into the new root, the old one gone: pivot_root, or where that cannot work, chroot with less to lose.

pivot_root is EINVAL where the present root is the kernel's initramfs, or no mount point, as in a chroot: then
the new root is moved over `/` and entered by chroot. The old one stays mounted below it, out of reach of
everybody who cannot chroot again; so CAP_SYS_CHROOT is withheld from the container (`launch.check`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from launcher import syscalls
from launcher.scene.operations import Scene

_MOUNTINFO: Final = Path("/proc/self/mountinfo")


def can_pivot(mountinfo: str | None = None) -> bool:
    """Is `/` of this process a mount that pivot_root can put away? Proc lists only mounts that it can see."""
    text = _MOUNTINFO.read_text(errors="surrogateescape") if mountinfo is None else mountinfo
    kinds = [kind for place, kind in _mounts(text) if place == "/"]
    return bool(kinds) and kinds[-1] != "rootfs"


def _mounts(text: str) -> list[tuple[str, str]]:
    """(mount point, file system) in the order of mounting."""
    lines = (line.partition(" - ") for line in text.splitlines())
    return [(left.split()[4], right.split()[0]) for left, _, right in lines]


@dataclass(frozen=True, slots=True)
class ChangeRoot:
    read_only: bool
    pivots: bool = True

    def describe(self) -> str:
        how = "pivot_root into the root" if self.pivots else "chroot into the root, moved over /"
        return how + (", read-only" if self.read_only else "")

    def execute(self, scene: Scene) -> None:
        os.fchdir(scene.root_fd)
        if self.pivots:
            syscalls.pivot_root(b".", b".")
            syscalls.umount_detach(b".")
        else:
            _detach_kernel_views()
            syscalls.mount(b".", b"/", b"", syscalls.MS_MOVE)
            os.chroot(".")
        os.chdir("/")
        if self.read_only:
            syscalls.mount_setattr(scene.root_fd, syscalls.MOUNT_ATTR_RDONLY)


def _detach_kernel_views() -> None:
    """The old root's proc and sysfs, whole and writable, must not stay mounted below (runc, msMoveRoot)."""
    root = os.getcwd()
    for place, kind in reversed(_mounts(_MOUNTINFO.read_text(errors="surrogateescape"))):
        if kind in ("proc", "sysfs") and not f"{place}/".startswith(f"{root}/"):
            syscalls.umount_detach(os.fsencode(_unescaped(place)))


def _unescaped(place: str) -> str:
    """Proc writes space, tab, newline and backslash in octal."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        place = place.replace(code, char)
    return place
