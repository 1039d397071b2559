"""Directory trees copied whole: owners, modes, times, extended attributes, hard links, devices, holes.

Layers go on top of one another, bottom first, whiteouts applied: only so are files of the layers cloned
(FICLONE), since an overlay's files cannot be. Blocks are shared where the file system can, else copied within
the kernel. What is mounted inside a layer is not copied.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Sequence
from typing import Final

from launcher import syscalls
from launcher.rootfs.entries import is_opaque, is_whiteout, opened

FICLONE: Final = 0x40049409
_PIECE: Final = 1 << 30
_DIR: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_CLONE: Final = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY)
_NO_RANGE: Final = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


def copy_layers(layers: Sequence[str], target: str) -> None:
    """A new directory `target` with all layers, bottom to top, in it."""
    os.mkdir(target, 0o755)
    copy_layers_into(layers, target, fresh=True)


def copy_layers_into(layers: Sequence[str], target: str, *, fresh: bool = False) -> None:
    """The same into a directory that is there; `fresh`: it is empty, so nothing need be taken away first."""
    place = os.open(target, _DIR)
    try:
        for number, layer in enumerate(layers):
            # A detached copy of the mount: nothing that is mounted inside is in it.
            tree = syscalls.open_tree(syscalls.AT_FDCWD, os.fsencode(layer))
            try:
                source = os.open(f"/proc/self/fd/{tree}", _DIR)
                try:
                    _Copy(place, fresh=not number and fresh).directory(source, place, "")
                finally:
                    os.close(source)
            finally:
                os.close(tree)
    finally:
        os.close(place)


def copy_into_empty(source: int, target: int) -> None:
    """What is in one open directory into another, with that directory's own attributes."""
    copy = _Copy(target, fresh=True)
    copy.directory(source, target, "")
    copy._attributes(source, target, os.fstat(source))


class _Copy:
    """One layer on its way; remembers the files with several names."""

    def __init__(self, top: int, *, fresh: bool) -> None:
        self._top = top
        self._fresh = fresh
        self._links: dict[tuple[int, int], str] = {}

    def directory(self, source: int, target: int, path: str) -> None:
        """What is in a directory, then its own attributes: times change with the content."""
        if path and is_opaque(source):
            clear(target, path)
        with os.scandir(source) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            self._entry(source, target, name, f"{path}/{name}")
        if path:  # the top is as with overlay: root's, and open to all
            self._attributes(source, target, os.fstat(source))

    def _entry(self, source: int, target: int, name: str, path: str) -> None:
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        mode = found.st_mode
        if stat.S_ISDIR(mode):
            self._into(source, target, name, path)
            return
        if not self._fresh:
            take_away(target, name, path)
        if is_whiteout(found):
            return
        if found.st_nlink > 1:
            first = self._links.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                os.link(
                    first.lstrip("/"), name, src_dir_fd=self._top, dst_dir_fd=target, follow_symlinks=False
                )
                return
        if stat.S_ISREG(mode):
            self._file(source, target, name, found)
            return
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        else:
            os.mknod(name, mode, found.st_rdev, dir_fd=target)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(mode):
            os.chmod(name, stat.S_IMODE(mode), dir_fd=target)
        times = (found.st_atime_ns, found.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)

    def _into(self, source: int, target: int, name: str, path: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=target)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=target, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=target)
                os.mkdir(name, 0o700, dir_fd=target)
        with opened(source, name, path) as down, opened(target, name, path) as below:
            self.directory(down, below, path)

    def _file(self, source: int, target: int, name: str, found: os.stat_result) -> None:
        old = os.open(name, _READ, dir_fd=source)
        try:
            new = os.open(name, _NEW, 0o600, dir_fd=target)
            try:
                copy_content(old, new, found.st_size)
                self._attributes(old, new, found)
            finally:
                os.close(new)
        finally:
            os.close(old)

    def _attributes(self, old: int, new: int, found: os.stat_result) -> None:
        """Owner first: it clears set-user-id and capabilities."""
        os.fchown(new, found.st_uid, found.st_gid)
        os.fchmod(new, stat.S_IMODE(found.st_mode))
        for key in _xattrs(old):
            os.setxattr(new, key, os.getxattr(old, key))
        os.utime(new, ns=(found.st_atime_ns, found.st_mtime_ns))


def _xattrs(fd: int) -> list[str]:
    """All but overlay's own marks, and labels that the host's security module gives."""
    try:
        keys = os.listxattr(fd)
    except OSError as e:
        if e.errno == errno.EOPNOTSUPP:
            return []
        raise
    ours = ("trusted.overlay.", "user.overlay.", "security.selinux")
    return [key for key in keys if not key.startswith(ours)]


def copy_content(old: int, new: int, size: int) -> None:
    """Shared blocks where both are on one file system that can; else data copied, holes kept."""
    if not size:
        return
    try:
        fcntl.ioctl(new, FICLONE, old)
    except OSError as e:
        if e.errno not in _NO_CLONE:
            raise
        os.ftruncate(new, size)
        _copy_data(old, new, size)


def _copy_data(old: int, new: int, size: int) -> None:
    at = 0
    while at < size:
        try:
            at = os.lseek(old, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:  # the rest is a hole
                return
            raise
        end = min(os.lseek(old, at, os.SEEK_HOLE), size)
        while at < end:
            done = _copy_piece(old, new, at, end - at)
            if not done:
                return
            at += done


def _copy_piece(old: int, new: int, at: int, length: int) -> int:
    try:
        return os.copy_file_range(old, new, min(length, _PIECE), at, at)
    except OSError as e:
        if e.errno not in _NO_RANGE:
            raise
    return os.pwrite(new, os.pread(old, min(length, 1 << 20), at), at)


def take_away(dir_fd: int, name: str, path: str) -> None:
    """Remove whatever has this name; nothing is fine."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        with opened(dir_fd, name, path) as below:
            clear(below, path)
        os.rmdir(name, dir_fd=dir_fd)


def clear(dir_fd: int, path: str) -> None:
    """Remove all that is in a directory that we copied ourselves."""
    for name in os.listdir(dir_fd):
        take_away(dir_fd, name, f"{path}/{name}")
