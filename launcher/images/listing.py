"""A digest of a directory tree as it lies on disk, so that an unpacked layer can be held against what it was.

A diff id cannot be had again from files (an archive has an order and paddings of its own). This one is over
each file's path, type, mode, owner, size, time, attributes and content, in the order of names.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Final

from launcher import syscalls

_BENEATH: Final = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
_PIECE_BYTES: Final = 1 << 18
# Labels that a host's security module gives to every file, and takes away again.
_HOSTS_OWN: Final = ("security.selinux", "security.ima", "security.evm")


def tree_digest(root_fd: int) -> str:
    """The digest of everything below, and of the directory itself. OSError where a path is too long."""
    digest = hashlib.sha256()
    contents: dict[int, bytes] = {}
    waiting = [b"."]
    while waiting:
        path = waiting.pop()
        fd = syscalls.openat2(root_fd, path, os.O_RDONLY | os.O_DIRECTORY, _BENEATH)
        try:
            _add(digest, path, os.fstat(fd), _xattrs(fd))
            below = []
            for name in sorted(os.fsencode(name) for name in os.listdir(fd)):
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    below.append(path + b"/" + name)
                else:
                    _add(digest, path + b"/" + name, found, _content(fd, name, found, contents))
            waiting += reversed(below)
        finally:
            os.close(fd)
    return f"sha256:{digest.hexdigest()}"


def _add(digest: hashlib._Hash, path: bytes, found: os.stat_result, rest: bytes) -> None:
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    numbers = (found.st_mode, found.st_uid, found.st_gid, found.st_rdev, size, found.st_mtime_ns)
    digest.update(b"%s\0%s\0%s\n" % (path, b" ".join(b"%d" % number for number in numbers), rest))


def _content(parent: int, name: bytes, found: os.stat_result, contents: dict[int, bytes]) -> bytes:
    if stat.S_ISLNK(found.st_mode):
        return os.readlink(name, dir_fd=parent)
    if not stat.S_ISREG(found.st_mode):
        return b""
    known = contents.get(found.st_ino)
    if known is not None:
        return known
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    try:
        digest = hashlib.sha256()
        while piece := os.read(fd, _PIECE_BYTES):
            digest.update(piece)
        told = digest.hexdigest().encode() + _xattrs(fd)
    finally:
        os.close(fd)
    if found.st_nlink > 1:
        contents[found.st_ino] = told
    return told


def _xattrs(fd: int) -> bytes:
    names = sorted(name for name in os.listxattr(fd) if name not in _HOSTS_OWN)
    return b"".join(b" %s=%s" % (name.encode(), os.getxattr(fd, name).hex().encode()) for name in names)
