"""Places below a container's root, found or made for what will be mounted there.

The content of a root is hostile and may change while we look: another container can share a volume with
it. So a path is never walked as a string. Each prefix is resolved by the kernel with the root as `/` (links
in the image lead within it), what is missing is made below a descriptor, and the mount goes onto the
descriptor that was checked (CVE-2021-30465, CVE-2024-45310).
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from launcher import syscalls
from launcher.scene.operations import Scene

IN_ROOT: Final = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY
# What the launcher itself puts there must stay what it is, with all that is below …
_KEPT: Final = ("/proc", "/sys", "/dev/pts", "/dev/mqueue")
# … or by itself.
_KEPT_ALONE: Final = ("/", "/dev", "/dev/console", "/dev/ptmx", "/dev/null", "/dev/zero", "/dev/fd")
_SEALED: Final = (
    syscalls.MOUNT_ATTR_RDONLY
    | syscalls.MOUNT_ATTR_NOSUID
    | syscalls.MOUNT_ATTR_NODEV
    | syscalls.MOUNT_ATTR_NOEXEC
)
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def normal(path: str) -> str:
    """Without "." and "..", as written: links are not looked at."""
    return os.path.normpath("/" + path.lstrip("/"))


def is_kept(path: str) -> bool:
    """May nothing else be mounted there?"""
    return path in _KEPT_ALONE or any((path + "/").startswith(f"{kept}/") for kept in _KEPT)


def open_target(scene: Scene, target: str, *, directory: bool) -> int:
    """The directory or file where something is to be mounted; made, with its parents, if it is missing.

    OSError names the target: it leads to what is the launcher's, is of the other kind, or a link that leads
    nowhere.
    """
    parts = [os.fsencode(part) for part in target.split("/") if part]
    at = os.open(b".", DIRECTORY | os.O_CLOEXEC, dir_fd=scene.root_fd)
    for depth in range(1, len(parts) + 1):
        is_directory = directory or depth < len(parts)
        below = _open_or_make(scene, at, parts[:depth], target, directory=is_directory)
        os.close(at)
        at = below
    _refuse_kept(scene, at, target)
    return at


def _open_or_make(scene: Scene, parent: int, parts: list[bytes], target: str, *, directory: bool) -> int:
    """From the root each time, so that ".." in a link cannot lead out of it; new names below the parent."""
    try:
        found = syscalls.openat2(scene.root_fd, b"/".join(parts), os.O_PATH, IN_ROOT)
    except FileNotFoundError:
        return _make(parent, parts[-1], target, directory=directory)
    except OSError as e:
        raise OSError(e.errno, e.strerror, target) from None
    if stat.S_ISDIR(os.fstat(found).st_mode) != directory:
        os.close(found)
        raise OSError(errno.ENOTDIR if directory else errno.EISDIR, _other_kind(directory), target)
    return found


def _other_kind(directory: bool) -> str:
    return "is not a directory in the root" if directory else "is a directory in the root, the source is not"


def _make(parent: int, name: bytes, target: str, *, directory: bool) -> int:
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            os.close(os.open(name, _NEW_FILE, 0o644, dir_fd=parent))
    except FileExistsError:
        # It was missing a moment ago when the kernel followed it: a link, or somebody is changing the tree.
        raise OSError(errno.ELOOP, "is a link that leads nowhere in the root", target) from None
    except OSError as e:
        raise OSError(e.errno, e.strerror, target) from None
    kind = os.O_DIRECTORY if directory else 0
    return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=parent)


def _refuse_kept(scene: Scene, fd: int, target: str) -> None:
    """Behind a link too: /proc and /sys must stay what we mounted (CVE-2019-16884, CVE-2023-27561)."""
    inside = os.readlink(f"/proc/self/fd/{fd}").removeprefix(os.readlink(f"/proc/self/fd/{scene.root_fd}"))
    if is_kept(inside or "/"):
        why = f"leads to {inside or '/'} in the root; nothing may be mounted there"
        raise OSError(errno.EPERM, why, target)


def hide(tree: int, path: str) -> None:
    """Lay an empty tmpfs over a directory below an attached mount; one that is not there needs none."""
    no_links = syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH
    try:
        place = syscalls.openat2(tree, os.fsencode(path), os.O_PATH, no_links)
    except FileNotFoundError:
        return
    cover = syscalls.mount_fs(b"tmpfs", {b"mode": b"000", b"size": b"0"}, _SEALED)
    syscalls.move_mount(cover, place)
    os.close(cover)
    os.close(place)
