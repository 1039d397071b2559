"""btrfs subvolumes by ioctl: made, snapshot, limited, destroyed (include/uapi/linux/btrfs.h)."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import Final

from launcher.records import opened_directory

BTRFS_MAGIC: Final = 0x9123683E
SNAP_DESTROY: Final = 0x5000940F
SNAP_CREATE: Final = 0x50009417
SUBVOL_CREATE: Final = 0x50009418
SUBVOL_SETFLAGS: Final = 0x4008941A
INO_LOOKUP: Final = 0xD0009412
QUOTA_CTL: Final = 0xC0109428
QGROUP_LIMIT: Final = 0x8030942B
QUOTA_RESCAN_WAIT: Final = 0x942E
SUBVOL_RDONLY: Final = 2
QUOTA_CTL_ENABLE: Final = 1
QGROUP_LIMIT_MAX_EXCL: Final = 2
TOP_INODE: Final = 256
"""The inode number of every subvolume's own directory."""
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_OFFSET: Final = 56


def is_btrfs(path: str) -> bool:
    """Is that on btrfs?"""
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None, use_errno=True).statfs(os.fsencode(path), buffer):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return bool(struct.unpack_from("@l", buffer)[0] == BTRFS_MAGIC)


def create(path: str) -> None:
    """A new, empty subvolume."""
    _named(SUBVOL_CREATE, path, fd=0, flags=0)


def snapshot(source: str, path: str, *, read_only: bool = False) -> None:
    """A snapshot of the subvolume `source`; it is whole or not there, also after a crash of the host."""
    fd = os.open(source, _FLAGS)
    try:
        _named(SNAP_CREATE, path, fd=fd, flags=SUBVOL_RDONLY if read_only else 0)
    finally:
        os.close(fd)


def _named(request: int, path: str, fd: int, flags: int) -> None:
    above, name = os.path.split(path)
    args = bytearray(4096)
    struct.pack_into("=qQQ", args, 0, fd, 0, flags)
    args[_NAME_OFFSET : _NAME_OFFSET + len(os.fsencode(name))] = os.fsencode(name)
    with opened_directory(above) as parent, _named_in_error(path):
        fcntl.ioctl(parent, request, args)


def destroy(path: str) -> None:
    """The subvolume and those that the container made inside; one that is not there is fine."""
    above, name = os.path.split(path)
    with contextlib.suppress(FileNotFoundError), opened_directory(above) as parent:
        _destroy_at(parent, name, path)


def _destroy_at(parent: int, name: str, path: str) -> None:
    try:
        _destroy_one(parent, name, path)
    except OSError as e:
        # Subvolumes inside, which anybody may make, keep it from going. A read-only one cannot be changed.
        if e.errno not in (errno.ENOTEMPTY, errno.EROFS, errno.EPERM):
            raise
        fd = os.open(name, _FLAGS, dir_fd=parent)
        try:
            fcntl.ioctl(fd, SUBVOL_SETFLAGS, struct.pack("=Q", 0))
            _destroy_inside(fd, path, 0)
        finally:
            os.close(fd)
        _destroy_one(parent, name, path)


def _destroy_one(parent: int, name: str, path: str) -> None:
    args = bytearray(4096)
    struct.pack_into("=q", args, 0, 0)
    args[8 : 8 + len(os.fsencode(name))] = os.fsencode(name)
    with _named_in_error(path):
        fcntl.ioctl(parent, SNAP_DESTROY, args)


def _destroy_inside(fd: int, path: str, level: int) -> None:
    if level > 500:
        raise OSError(errno.ELOOP, "subvolumes lie too deep in it", path)
    with os.scandir(fd) as entries:
        below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in below:
        if os.stat(name, dir_fd=fd, follow_symlinks=False).st_ino == TOP_INODE:
            _destroy_at(fd, name, f"{path}/{name}")
            continue
        down = os.open(name, _FLAGS, dir_fd=fd)
        try:
            _destroy_inside(down, f"{path}/{name}", level + 1)
        finally:
            os.close(down)


def limit_exclusive(path: str, size_bytes: int) -> None:
    """What this subvolume does not share with others may grow to that; quota is switched on if need be."""
    with opened_directory(path) as fd, _named_in_error(path):
        fcntl.ioctl(fd, QUOTA_CTL, bytearray(struct.pack("=QQ", QUOTA_CTL_ENABLE, 0)))
        # Counting what was there before runs in the background, and limits wait for it.
        fcntl.ioctl(fd, QUOTA_RESCAN_WAIT)
        flags = QGROUP_LIMIT_MAX_EXCL
        limit = struct.pack("=6Q", _read_id(fd), flags, 0, size_bytes, 0, 0)
        fcntl.ioctl(fd, QGROUP_LIMIT, bytearray(limit))


def _read_id(fd: int) -> int:
    args = bytearray(4096)
    struct.pack_into("=QQ", args, 0, 0, TOP_INODE)
    fcntl.ioctl(fd, INO_LOOKUP, args)
    return int(struct.unpack_from("=Q", args)[0])


@contextlib.contextmanager
def _named_in_error(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        e.filename = path
        raise
