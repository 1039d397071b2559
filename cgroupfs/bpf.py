"""The few ``bpf(2)`` calls that device control in the unified tree needs, each raising `OSError`.

A program lives as long as a cgroup has it attached; no fd of it need stay open. Linux: Documentation/bpf and
include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_NUMBERS: Final = {
    "x86_64": 321,
    "aarch64": 280,
    "riscv64": 280,
    "loongarch64": 280,
    "s390x": 351,
    "ppc64le": 361,
    "i686": 357,
    "armv7l": 386,
}
_LOAD, _ATTACH, _DETACH, _FD_BY_ID, _INFO, _QUERY = 5, 8, 9, 13, 15, 16
_TYPE_CGROUP_DEVICE: Final = 15
_ATTACH_CGROUP_DEVICE: Final = 6
_ALLOW_MULTI, _REPLACE, _EFFECTIVE = 2, 4, 1
_MOST_PROGRAMS: Final = 64  # of one kind in one cgroup: BPF_CGROUP_MAX_PROGS
_INFO_BYTES: Final = 256
INSTRUCTION_BYTES: Final = 8

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Program(NamedTuple):
    """A loaded program: `code` is what the kernel runs, after its checks."""

    id: int
    name: str
    tag: str
    code: bytes


def load(code: bytes, name: str) -> int:
    """Have the kernel check a program of type CGROUP_DEVICE; its fd, for the caller to close."""
    instructions, license_ = ctypes.create_string_buffer(code, len(code)), ctypes.c_char_p(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII16s",
        _TYPE_CGROUP_DEVICE,
        len(code) // INSTRUCTION_BYTES,
        ctypes.addressof(instructions),
        ctypes.cast(license_, ctypes.c_void_p).value or 0,
        0,
        0,
        0,
        0,
        0,
        name.encode("ascii"),
    )
    return _call(_LOAD, bytearray(attributes))


def attach(directory: int, program: int, replaced: int | None = None) -> None:
    """Attach beside the programs that are there, or in one step in the place of the program fd `replaced`."""
    flags = _ALLOW_MULTI if replaced is None else _ALLOW_MULTI | _REPLACE
    _call(
        _ATTACH,
        bytearray(struct.pack("=IIIII", directory, program, _ATTACH_CGROUP_DEVICE, flags, replaced or 0)),
    )


def detach(directory: int, program: int) -> None:
    """Take the program away from the cgroup."""
    _call(_DETACH, bytearray(struct.pack("=IIII", directory, program, _ATTACH_CGROUP_DEVICE, 0)))


def query(directory: int, *, effective: bool = False) -> tuple[int, ...]:
    """Ids of the device programs of the cgroup, with `effective` those of the groups above too."""
    ids = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    flags = _EFFECTIVE if effective else 0
    attributes = bytearray(
        struct.pack(
            "=IIIIQI", directory, _ATTACH_CGROUP_DEVICE, flags, 0, ctypes.addressof(ids), _MOST_PROGRAMS
        )
    )
    _call(_QUERY, attributes)
    (count,) = struct.unpack_from("=I", attributes, 24)
    return tuple(ids[:count])


@contextlib.contextmanager
def opened(program_id: int) -> Iterator[int]:
    """An fd of a loaded program."""
    fd = _call(_FD_BY_ID, bytearray(struct.pack("=III", program_id, 0, 0)))
    try:
        yield fd
    finally:
        os.close(fd)


def read_program(program: int) -> Program:
    """What the kernel tells of the program fd, its code included."""
    length = struct.unpack_from("=I", _read_info(program, 0, 0), 20)[0]
    code = ctypes.create_string_buffer(length)
    info = _read_info(program, length, ctypes.addressof(code))
    program_id, tag = struct.unpack_from("=4xI8s", info)
    (name,) = struct.unpack_from("=16s", info, 64)
    return Program(program_id, name.rstrip(b"\0").decode("ascii", "replace"), tag.hex(), code.raw)


def _read_info(program: int, length: int, address: int) -> bytes:
    info = ctypes.create_string_buffer(_INFO_BYTES)
    struct.pack_into("=20xIQQ", info, 0, length, 0, address)
    _call(_INFO, bytearray(struct.pack("=IIQ", program, _INFO_BYTES, ctypes.addressof(info))))
    return info.raw


def _call(command: int, attributes: bytearray) -> int:
    """One call; `attributes` is changed where the kernel answers in it."""
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"bpf(2) on {platform.machine()} is not known here")
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    result = _libc.syscall(number, command, ctypes.byref(buffer), len(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
