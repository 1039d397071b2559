"""Device mapper by ioctl: tables, messages, status (include/uapi/linux/dm-ioctl.h).

Without libdevmapper and udev: device nodes are the kernel's own `/dev/dm-N`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from typing import Final

CONTROL: Final = "/dev/mapper/control"
SECTOR: Final = 512
_HEADER: Final = struct.Struct("=3I2I Ii2I IQ128s129s7x")
_SPEC: Final = struct.Struct("=QQiI16s")
_VERSION: Final = (4, 0, 0)
_BUFFER: Final = 16384
_CREATE, _REMOVE, _SUSPEND, _STATUS, _LOAD, _TABLE_STATUS, _MESSAGE = 3, 4, 6, 7, 9, 12, 14
_BUSY_SEC: Final = 10.0


def is_offered() -> bool:
    """Has this kernel device mapper?"""
    return os.path.exists(CONTROL)


def activate(name: str, sectors: int, target: str, parameters: str) -> None:
    """A device with a table of one line; one of that name that is there is kept."""
    if is_active(name):
        return
    _call(_CREATE, name)
    try:
        line = _SPEC.pack(0, sectors, 0, 0, target.encode()) + parameters.encode() + b"\0"
        _call(_LOAD, name, line + bytes(-len(line) % 8), targets=1)
        _call(_SUSPEND, name)  # without the suspend flag: the table that was loaded comes into force
    except OSError:
        _call(_REMOVE, name)
        raise


def deactivate(name: str) -> None:
    """Take the device away; one that is not there is fine. A mount that is just ending keeps it for a
    moment.
    """
    deadline = time.monotonic() + _BUSY_SEC
    while True:
        try:
            _call(_REMOVE, name)
        except OSError as e:
            if e.errno == errno.ENXIO:
                return
            if e.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def is_active(name: str) -> bool:
    """Is there a device of that name?"""
    try:
        _call(_STATUS, name)
    except OSError as e:
        if e.errno == errno.ENXIO:
            return False
        raise
    return True


def send(name: str, message: str) -> None:
    """A message to the device's target."""
    text = struct.pack("=Q", 0) + message.encode() + b"\0"
    _call(_MESSAGE, name, text + bytes(-len(text) % 8))


def read_status(name: str) -> str:
    """The status line of the device's only target."""
    answer, start = _call(_TABLE_STATUS, name)
    text = bytes(answer[start + _SPEC.size :])
    return text[: text.index(b"\0")].decode()


def _call(number: int, name: str, data: bytes = b"", targets: int = 0) -> tuple[bytearray, int]:
    """The buffer as the kernel left it, and where its data begin."""
    size = max(_BUFFER, _HEADER.size + len(data))
    buffer = bytearray(size)
    header = (*_VERSION, size, _HEADER.size, targets, 0, 0, 0, 0, 0, name.encode(), b"")
    _HEADER.pack_into(buffer, 0, *header)
    buffer[_HEADER.size : _HEADER.size + len(data)] = data
    control = os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(control, 0xC138FD00 | number, buffer)
    except OSError as e:
        e.filename = name
        raise
    finally:
        os.close(control)
    return buffer, int(_HEADER.unpack_from(buffer)[4])
