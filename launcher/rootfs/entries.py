"""One file of a tree, looked at by its open parent: what `diff` compares and `commit` writes down."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Final

from launcher.errors import LauncherError

_OPAQUE: Final = ("trusted.overlay.opaque", "user.overlay.opaque")
DEEPEST: Final = 200
"""Levels of directories that are followed; each is held open, and a container makes as many as it likes."""
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class TooDeep(LauncherError):
    def __init__(self, path: str) -> None:
        super().__init__(f"/{path[:60]}…: directories more than {DEEPEST} levels deep are not followed")


def look(dir_fd: int, name: str) -> os.stat_result | None:
    """lstat; None for what is not there, or is a whiteout."""
    try:
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return None if is_whiteout(found) else found


_MORE: Final = (
    *("st_atime", "st_mtime", "st_ctime", "st_atime_ns", "st_mtime_ns", "st_ctime_ns"),
    *("st_blksize", "st_blocks", "st_rdev"),
)


def unshifted(found: os.stat_result, base: int, size: int) -> os.stat_result:
    """With the ids that a container with a range of its own sees, which are those of its image."""
    owner, group = (i - base if base <= i < base + size else i for i in (found.st_uid, found.st_gid))
    if (owner, group) == (found.st_uid, found.st_gid):
        return found
    fields = [*found[:4], owner, group, *found[6:10]]
    return os.stat_result(fields, {name: getattr(found, name) for name in _MORE})


def is_whiteout(found: os.stat_result) -> bool:
    """Overlay's mark for a name that was removed: a character device 0:0."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


@contextlib.contextmanager
def opened(dir_fd: int, name: str, path: str) -> Iterator[int]:
    """A directory one step down, `path` being its whole name; `TooDeep` where that has too many steps."""
    if path.count("/") >= DEEPEST:
        raise TooDeep(path)
    fd = os.open(name, _FLAGS, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def is_opaque(dir_fd: int) -> bool:
    """Does this directory of an upper layer hide what lies below it?"""
    return any(_read_xattr(dir_fd, key) == b"y" for key in _OPAQUE)


def _read_xattr(fd: int, key: str) -> bytes | None:
    try:
        return os.getxattr(fd, key)
    except OSError as e:
        if e.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return None
        raise


def read_xattrs(dir_fd: int, name: str, mode: int) -> dict[str, bytes]:
    """Those that belong to the content: security.capability and user.*; links and nodes have none."""
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return {}
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return {key: os.getxattr(fd, key) for key in os.listxattr(fd) if _is_content(key)}
    except OSError as e:
        if e.errno == errno.EOPNOTSUPP:
            return {}
        raise
    finally:
        os.close(fd)


def _is_content(key: str) -> bool:
    return key == "security.capability" or (key.startswith("user.") and not key.startswith("user.overlay."))


def differs(base_fd: int, tree_fd: int, name: str, before: os.stat_result, now: os.stat_result) -> bool:
    """As images count it (containers/storage, pkg/archive/changes.go): mode, ids, device, size, time, link
    target, security.capability, user.*; of a directory neither size nor time.
    """
    if (before.st_mode, before.st_uid, before.st_gid) != (now.st_mode, now.st_uid, now.st_gid):
        return True
    mode = now.st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return before.st_rdev != now.st_rdev
    if stat.S_ISLNK(mode):
        return os.readlink(name, dir_fd=base_fd) != os.readlink(name, dir_fd=tree_fd)
    if not stat.S_ISDIR(mode) and (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
        return True
    return read_xattrs(base_fd, name, mode) != read_xattrs(tree_fd, name, mode)
