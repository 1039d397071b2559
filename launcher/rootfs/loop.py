"""Loop devices that vanish with their last user, and block devices as detached mounts.

A limit for a writable layer is a file system in a file. Its loop device is attached with AUTOCLEAR: once
it is mounted and our descriptor is closed, the mount is its only user, so a kill -9 at any moment leaves
no device.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import Final

from launcher import syscalls

LOOP_CTL_GET_FREE: Final = 0x4C82
LOOP_CONFIGURE: Final = 0x4C0A  # since Linux 5.8
LO_FLAGS_AUTOCLEAR: Final = 4
_LOOP_CONFIG_BYTES: Final = 304  # fd, block_size, struct loop_info64 (232 bytes), eight spare words
_FLAGS_OFFSET: Final = 8 + 52  # lo_flags within loop_info64
_RACES: Final = 64


def attach(path: str) -> int:
    """The loop device over a file, opened; it ends with its last user."""
    backing = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_RACES):
            device = _open_free()
            try:
                _configure(device, backing)
            except OSError as e:
                os.close(device)
                if e.errno != errno.EBUSY:  # somebody else was given the same free one
                    raise
            else:
                return device
    finally:
        os.close(backing)
    raise OSError(errno.EBUSY, "no free loop device", path)


def _open_free() -> int:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
    finally:
        os.close(control)
    return os.open(f"/dev/loop{number}", os.O_RDWR | os.O_CLOEXEC)


def _configure(device: int, backing: int) -> None:
    config = bytearray(_LOOP_CONFIG_BYTES)
    struct.pack_into("=II", config, 0, backing, 0)
    struct.pack_into("=I", config, _FLAGS_OFFSET, LO_FLAGS_AUTOCLEAR)
    fcntl.ioctl(device, LOOP_CONFIGURE, config)


def attached_to(path: str) -> Iterator[str]:
    """Loop devices (`/dev/loopN`) over that very file."""
    for name in os.listdir("/sys/block"):
        if not name.startswith("loop"):
            continue
        try:
            with open(
                f"/sys/block/{name}/loop/backing_file", encoding="utf-8", errors="surrogateescape"
            ) as file:
                backing = file.read().rstrip("\n")
        except OSError:  # not attached, or no longer
            continue
        if backing == path:
            yield f"/dev/{name}"


def mount_image(path: str) -> int:
    """The ext4 in a file as a detached mount. One that a container has mounted is the same file system, by
    the same device: mounted twice by two devices it would be destroyed.
    """
    path = os.path.realpath(path)
    for device in attached_to(path):
        with contextlib.suppress(FileNotFoundError), _held(device):
            # Held open it stays attached, so it is still that file's, or was let go before.
            if device in attached_to(path):
                return mount_device(device)
    loop = attach(path)
    try:
        return mount_device(f"/dev/loop{os.minor(os.fstat(loop).st_rdev)}")
    finally:
        os.close(loop)


@contextlib.contextmanager
def _held(device: str) -> Iterator[None]:
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        os.close(fd)


def mount_device(device: str, *, read_only: bool = False) -> int:
    """The ext4 on a block device as a detached mount; devices in it do not work."""
    options: dict[bytes, bytes | None] = {b"source": os.fsencode(device)}
    if read_only:
        options[b"ro"] = None
    return syscalls.mount_fs(b"ext4", options, syscalls.MOUNT_ATTR_NODEV)
