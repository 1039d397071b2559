"""The system calls that Python lacks: one thin wrapper each, named as the call, OSError with the path.

`PyDLL` keeps the GIL, so that nothing of the interpreter runs between a clone and its child. Numbers from 424
on are the same on every architecture; the older calls go through the C library's own functions.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct
import sys
from collections.abc import Iterable, Mapping
from typing import Final

NR_OPEN_TREE: Final = 428
NR_MOVE_MOUNT: Final = 429
NR_FSOPEN: Final = 430
NR_FSCONFIG: Final = 431
NR_FSMOUNT: Final = 432
NR_CLONE3: Final = 435
NR_CLOSE_RANGE: Final = 436
NR_OPENAT2: Final = 437
NR_MOUNT_SETATTR: Final = 442
NR_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}.get(os.uname().machine)
NR_KEYCTL: Final = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine)
NR_RT_SIGACTION: Final = {"x86_64": 13, "aarch64": 134}.get(os.uname().machine)

CLONE_NEWTIME: Final = 0x80
CLONE_PIDFD: Final = 0x1000
CLONE_PARENT: Final = 0x8000
CLONE_NEWNS: Final = 0x20000
CLONE_NEWCGROUP: Final = 0x2000000
CLONE_NEWUTS: Final = 0x4000000
CLONE_NEWIPC: Final = 0x8000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
CLONE_INTO_CGROUP: Final = 0x200000000

MS_NODEV: Final = 4
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MNT_DETACH: Final = 2

AT_FDCWD: Final = -100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000
OPEN_TREE_CLONE: Final = 1
MOVE_MOUNT_F_EMPTY_PATH: Final = 4
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40
FSCONFIG_SET_FLAG: Final = 0
FSCONFIG_SET_STRING: Final = 1
FSCONFIG_CMD_CREATE: Final = 6
MOUNT_ATTR_RDONLY: Final = 1
MOUNT_ATTR_NOSUID: Final = 2
MOUNT_ATTR_NODEV: Final = 4
MOUNT_ATTR_NOEXEC: Final = 8
MOUNT_ATTR_IDMAP: Final = 0x100000

RESOLVE_NO_XDEV: Final = 1
RESOLVE_NO_MAGICLINKS: Final = 2
RESOLVE_NO_SYMLINKS: Final = 4
RESOLVE_BENEATH: Final = 8
RESOLVE_IN_ROOT: Final = 0x10

PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
PR_SET_NAME: Final = 15
PR_CAPBSET_DROP: Final = 24
PR_SET_SECUREBITS: Final = 28
SECBIT_NO_SETUID_FIXUP: Final = 4
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_RAISE: Final = 2
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
PR_SET_MDWE: Final = 65
PR_GET_MDWE: Final = 66
LINUX_CAPABILITY_VERSION_3: Final = 0x20080522
CLOSE_RANGE_CLOEXEC: Final = 4
SECCOMP_SET_MODE_FILTER: Final = 1
KEYCTL_JOIN_SESSION_KEYRING: Final = 1

PIDFD_GET_INFO: Final = 0xC040FF0B  # _IOWR(0xFF, 11, 64 bytes), since Linux 6.13
PIDFD_INFO_EXIT: Final = 1 << 3

_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class CloneArgs(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in [
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        ]
    ]


class OpenHow(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


class MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def _failed(path: bytes | None) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), None if path is None else os.fsdecode(path))


def _syscall(number: int, *args: object, path: bytes | None = None) -> int:
    """Every argument arrives as a ctypes object of its true width."""
    while (result := int(_libc.syscall(ctypes.c_long(number), *args))) < 0:
        if ctypes.get_errno() != errno.EINTR:
            raise _failed(path)
    return result


def _call(function: str, *args: object, path: bytes | None = None) -> int:
    """A function of the C library that answers -1 and errno."""
    if (result := int(getattr(_libc, function)(*args))) < 0:
        raise _failed(path)
    return result


def clone3(flags: int, cgroup_fd: int | None = None) -> tuple[int, int]:
    """(pid, pidfd) in the parent, (0, -1) in the child, which carries on right here."""
    pidfd = ctypes.c_int(-1)
    args = CloneArgs(flags=flags | CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=signal.SIGCHLD)
    if flags & CLONE_PARENT:
        args.exit_signal = 0  # the kernel gives the child our own
    if cgroup_fd is not None:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = cgroup_fd
    pid = _syscall(NR_CLONE3, ctypes.byref(args), ctypes.c_size_t(ctypes.sizeof(args)))
    return pid, pidfd.value if pid else -1


def unshare(flags: int) -> None:
    """Leave for new namespaces."""
    _call("unshare", ctypes.c_int(flags))


def setns(fd: int, flags: int) -> None:
    """Join namespaces, all at once where fd is a pidfd."""
    _call("setns", ctypes.c_int(fd), ctypes.c_int(flags))


def pivot_root(new_root: bytes, put_old: bytes) -> None:
    """Make new_root the root of the mount namespace."""
    _call("pivot_root", ctypes.c_char_p(new_root), ctypes.c_char_p(put_old), path=new_root)


def umount_detach(path: bytes) -> None:
    """Take the mount out of the tree now; it ends with its last user."""
    _call("umount2", ctypes.c_char_p(path), ctypes.c_int(MNT_DETACH), path=path)


def set_propagation(path: bytes, flags: int) -> None:
    """MS_SLAVE, with MS_REC for everything below."""
    none = ctypes.c_char_p(None)
    _call("mount", none, ctypes.c_char_p(path), none, ctypes.c_ulong(flags), none, path=path)


def mount(source: bytes, target: bytes, fstype: bytes, flags: int, data: bytes | None = None) -> None:
    """The call of old, where the newer ones cannot serve."""
    words = (ctypes.c_char_p(source), ctypes.c_char_p(target), ctypes.c_char_p(fstype))
    _call("mount", *words, ctypes.c_ulong(flags), ctypes.c_char_p(data), path=target)


Options = Mapping[bytes, bytes | None] | Iterable[tuple[bytes, bytes | None]]


def mount_fs(fstype: bytes, options: Options, attributes: int) -> int:
    """A new file system, mounted nowhere yet: the fd of its root. None as a value makes the option a flag."""
    fs = _syscall(NR_FSOPEN, ctypes.c_char_p(fstype), ctypes.c_uint(1), path=fstype)
    try:
        for key, value in options.items() if isinstance(options, Mapping) else options:
            kind = FSCONFIG_SET_FLAG if value is None else FSCONFIG_SET_STRING
            _fsconfig(fs, kind, key, value)
        _fsconfig(fs, FSCONFIG_CMD_CREATE, None, None, path=fstype)
        return _syscall(
            NR_FSMOUNT, ctypes.c_int(fs), ctypes.c_uint(1), ctypes.c_uint(attributes), path=fstype
        )
    finally:
        os.close(fs)


def _fsconfig(
    fs: int, command: int, key: bytes | None, value: bytes | None, path: bytes | None = None
) -> None:
    wide = (
        ctypes.c_int(fs),
        ctypes.c_uint(command),
        ctypes.c_char_p(key),
        ctypes.c_char_p(value),
        ctypes.c_int(0),
    )
    _syscall(NR_FSCONFIG, *wide, path=path or key)


def open_tree(dir_fd: int, path: bytes, recursive: bool = False) -> int:
    """A detached copy of the mount at path (of dir_fd itself where path is empty)."""
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    return _syscall(
        NR_OPEN_TREE, ctypes.c_int(dir_fd), ctypes.c_char_p(path), ctypes.c_uint(flags), path=path
    )


def move_mount(tree_fd: int, target_fd: int, path: bytes | None = None) -> None:
    """Attach a detached mount to the very file or directory that target_fd is."""
    empty = ctypes.c_char_p(b"")
    flags = ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
    _syscall(NR_MOVE_MOUNT, ctypes.c_int(tree_fd), empty, ctypes.c_int(target_fd), empty, flags, path=path)


def mount_setattr(
    fd: int, attributes: int, recursive: bool = False, *, propagation: int = 0, userns_fd: int | None = None
) -> None:
    """Add attributes to a mount; with `userns_fd`, ids on disk appear as that user namespace maps them."""
    attr = MountAttr(attr_set=attributes, propagation=propagation)
    if userns_fd is not None:
        attr.attr_set |= MOUNT_ATTR_IDMAP
        attr.userns_fd = userns_fd
    flags = ctypes.c_uint(AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0))
    size = ctypes.c_size_t(ctypes.sizeof(attr))
    _syscall(NR_MOUNT_SETATTR, ctypes.c_int(fd), ctypes.c_char_p(b""), flags, ctypes.byref(attr), size)


def openat2(dir_fd: int, path: bytes, flags: int, resolve: int) -> int:
    """EAGAIN (the tree moved under a "..") is tried again."""
    how = OpenHow(flags=flags | os.O_CLOEXEC, resolve=resolve)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    for _ in range(64):
        try:
            return _syscall(
                NR_OPENAT2, ctypes.c_int(dir_fd), ctypes.c_char_p(path), ctypes.byref(how), size, path=path
            )
        except BlockingIOError:
            continue
    raise OSError(errno.EAGAIN, "the directory tree keeps changing", os.fsdecode(path))


def default_signal(number: int) -> None:
    """The kernel's own action, also for the two signals that the C library keeps to itself (and leaves
    ignored).
    """
    if NR_RT_SIGACTION is not None:
        nothing = ctypes.c_char_p(bytes(32))
        none, size = ctypes.c_void_p(None), ctypes.c_size_t(8)
        _syscall(NR_RT_SIGACTION, ctypes.c_int(number), nothing, none, size)


def prctl(option: int, arg2: int = 0, arg3: int = 0) -> None:
    """Options with at most two numbers."""
    zero = ctypes.c_ulong(0)
    _call("prctl", ctypes.c_int(option), ctypes.c_ulong(arg2), ctypes.c_ulong(arg3), zero, zero)


def setfsids(uid: int, gid: int) -> None:
    """Who the kernel takes us for when we make files. The calls report no failure: root has none."""
    _libc.setfsgid(ctypes.c_uint(gid))
    _libc.setfsuid(ctypes.c_uint(uid))


def syncfs(fd: int) -> None:
    """Wait until all that was written to the file system of fd is on its disk."""
    _call("syncfs", ctypes.c_int(fd))


def set_process_name(name: bytes) -> None:
    """What `ps` and `top` show; at most 15 bytes."""
    buffer = ctypes.create_string_buffer(name[:15])
    prctl(PR_SET_NAME, ctypes.addressof(buffer))


def capset(mask: int, inheritable: int = 0) -> None:
    """Effective and permitted become `mask`."""
    low, high = mask & 0xFFFFFFFF, mask >> 32
    low_i, high_i = inheritable & 0xFFFFFFFF, inheritable >> 32
    header = struct.pack("=Ii", LINUX_CAPABILITY_VERSION_3, 0)
    data = struct.pack("=6I", low, low, low_i, high, high, high_i)
    _call("capset", ctypes.c_char_p(header), ctypes.c_char_p(data))


def capget_permitted() -> int:
    """The mask of what this process may have."""
    header = struct.pack("=Ii", LINUX_CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _call("capget", ctypes.c_char_p(header), data)
    words = struct.unpack("=6I", data.raw)
    return int(words[1] | words[4] << 32)


class FilterProgram(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def seccomp_load(program: bytes, flags: int) -> None:
    """Filter this thread's system calls, and its children's, for ever; 8 bytes to an instruction."""
    if NR_SECCOMP is None:
        raise OSError(errno.ENOSYS, "seccomp is not supported on this architecture")
    filter_program = FilterProgram(len(program) // 8, program)
    numbers = (ctypes.c_uint(SECCOMP_SET_MODE_FILTER), ctypes.c_uint(flags))
    _syscall(NR_SECCOMP, *numbers, ctypes.byref(filter_program))


def join_session_keyring() -> None:
    """A new and empty session keyring in place of the one that was inherited."""
    if NR_KEYCTL is not None:
        _syscall(NR_KEYCTL, ctypes.c_int(KEYCTL_JOIN_SESSION_KEYRING), ctypes.c_char_p(None))


def fstatfs_type(fd: int) -> int:
    """The magic number of the file system that fd is on (linux/magic.h)."""
    buffer = ctypes.create_string_buffer(256)
    _call("fstatfs", ctypes.c_int(fd), buffer)
    return int.from_bytes(buffer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder)


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    """Close, or mark close-on-exec, every descriptor from first to last."""
    _syscall(NR_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(flags))


def close_others(kept: set[int]) -> None:
    """Every descriptor but these."""
    first = 0
    for fd in sorted(kept):
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)


def pidfd_exit_status(pidfd: int) -> int | None:
    """The wait status of a process that ended, although somebody else reaped it; None where the kernel
    cannot tell.
    """
    info = bytearray(64)
    struct.pack_into("=Q", info, 0, PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, PIDFD_GET_INFO, info)
    except OSError:
        return None
    (mask,) = struct.unpack_from("=Q", info, 0)
    (status,) = struct.unpack_from("=i", info, 60)
    return int(status) if mask & PIDFD_INFO_EXIT else None
