"""The directory that a layer is unpacked into: parents opened and made, names cleared, deletions noted.

A parent is resolved by openat2 below the root, links included: theirs is this root as well.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Final

from launcher import syscalls
from launcher.images.attributes import set_owner_mode
from launcher.images.errors import TooManyEntries
from launcher.images.tarball import Entry
from launcher.images.whiteouts import OPAQUE_ATTRIBUTE
from launcher.removal import remove_tree

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_IN_ROOT: Final = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS | syscalls.RESOLVE_NO_XDEV
_MISSING_DIRECTORY_MODE: Final = 0o755


class Tree:
    """The directory being filled; the last entry's parent stays open, since the next is often there."""

    def __init__(self, root_fd: int, most: int) -> None:
        self.root_fd = root_fd
        self.count = 0
        self._most = most
        self._times: dict[bytes, int] = {}
        self._held: tuple[bytes, int] | None = None

    def parent(self, parts: list[bytes]) -> int:
        """The directory of that name, made where it is missing; valid until the next call."""
        path = b"/".join(parts)
        if self._held is None or self._held[0] != path:
            fd = self._open_or_make(parts)
            self.close()
            self._held = (path, fd)
        return self._held[1]

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held[1])
            self._held = None

    def open(self, path: bytes, flags: int = _DIRECTORY) -> int:
        """Resolve below the root, links included: theirs is this root as well."""
        return syscalls.openat2(self.root_fd, path or b".", flags, _IN_ROOT)

    def _open_or_make(self, parts: list[bytes]) -> int:
        with contextlib.suppress(FileNotFoundError):
            return self.open(b"/".join(parts))
        fd = self.open(b"")
        for count, part in enumerate(parts, 1):
            above, fd = fd, -1
            try:
                fd = self._step_down(above, parts[:count], part)
            finally:
                os.close(above)
        return fd

    def _step_down(self, above: int, path: list[bytes], part: bytes) -> int:
        """One part further, made where it is missing; a link is resolved from the root."""
        if not is_link(above, part):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            if stat_of(above, part) is None or is_whiteout(above, part):
                self.count_one()
                make_directory(above, part)
                os.chmod(part, _MISSING_DIRECTORY_MODE, dir_fd=above)
        return self.open(b"/".join(path))

    def count_one(self) -> None:
        """An entry, or a directory that an entry needs and that the archive does not have."""
        self.count += 1
        if self.count > self._most:
            raise TooManyEntries(self._most)

    def finish_directory(self, path: bytes, entry: Entry) -> int:
        """Owner, mode and attributes now; the time at the very end, as each file inside changes it."""
        # The entry's own name, never a link's target: what it replaced was made a directory before.
        fd = self.open(path, _DIRECTORY | os.O_NOFOLLOW)
        try:
            dropped = set_owner_mode(fd, entry)
        finally:
            os.close(fd)
        self._times[path] = entry.mtime_ns
        return dropped

    def set_directory_times(self) -> None:
        for path, mtime_ns in self._times.items():
            with contextlib.suppress(OSError):  # something else has its name by now
                fd = self.open(path, _DIRECTORY | os.O_NOFOLLOW)
                try:
                    os.utime(fd, ns=(mtime_ns, mtime_ns))
                finally:
                    os.close(fd)


def stat_of(parent: int, name: bytes) -> os.stat_result | None:
    """What has the name itself; None for nothing."""
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_link(parent: int, name: bytes) -> bool:
    """A symbolic link?"""
    found = stat_of(parent, name)
    return found is not None and stat.S_ISLNK(found.st_mode)


def is_whiteout(parent: int, name: bytes) -> bool:
    """A deletion, as overlay has it?"""
    found = stat_of(parent, name)
    return found is not None and stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def delete_below(parent: int, name: bytes) -> None:
    """Deletes from the layers below, never what this layer brought, whatever came first."""
    found = stat_of(parent, name)
    if found is None:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent)
    elif stat.S_ISDIR(found.st_mode):
        fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            os.setxattr(fd, OPAQUE_ATTRIBUTE, b"y")
        finally:
            os.close(fd)


def make_directory(parent: int, name: bytes) -> None:
    """One that is there stays; one in the place of a deletion hides what it deleted."""
    found = stat_of(parent, name)
    if found is not None and stat.S_ISDIR(found.st_mode):
        return
    is_opaque = found is not None and is_whiteout(parent, name)
    if found is not None:
        os.unlink(name, dir_fd=parent)
    os.mkdir(name, 0o700, dir_fd=parent)
    if is_opaque:
        delete_below(parent, name)


def clear(parent: int, name: bytes) -> None:
    """Take away what has the name."""
    found = stat_of(parent, name)
    if found is None:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    before = os.open(".", _DIRECTORY)
    try:
        os.fchdir(parent)
        remove_tree(os.fsdecode(name))
    finally:
        os.fchdir(before)
        os.close(before)
