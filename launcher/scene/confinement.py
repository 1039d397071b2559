"""What is laid upon a program just before it runs, besides ids and capabilities: filter, label, memory rule.

The daemon decides it (`confiner`), the process that becomes the program carries it out, first process and
`exec` alike. Labels are written to the process's own attributes in a proc file system that is shown to be
one: what a container mounted over /proc must not swallow them (CVE-2019-16884, CVE-2025-52881).
"""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from launcher import syscalls

PROC_SUPER_MAGIC: Final = 0x9FA0
PROC_ROOT_INODE: Final = 1
MDWE_REFUSE_EXEC_GAIN: Final = 1
# Newest first: since Linux 5.8 each module has a directory of its own.
APPARMOR_FILES: Final = (b"attr/apparmor/exec", b"attr/exec")
SELINUX_FILES: Final = (b"attr/exec",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """Empty values lay nothing on."""

    seccomp: bytes = b""
    seccomp_flags: int = 0
    apparmor: str = ""
    selinux: str = ""
    mdwe: bool = False

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Confinement:
        return cls(**{**wire, "seccomp": base64.b64decode(wire["seccomp"])})

    def to_wire(self) -> dict[str, Any]:
        wire = {name: getattr(self, name) for name in self.__slots__}
        return wire | {"seccomp": base64.b64encode(self.seccomp).decode()}

    def describe(self) -> list[str]:
        labels = (("AppArmor profile", self.apparmor), ("SELinux label", self.selinux))
        return [
            *(f"take the {kind} {name}" for kind, name in labels if name),
            *(["refuse memory that is writable and executable"] if self.mdwe else []),
            f"load a seccomp filter of {len(self.seccomp) // 8} instructions"
            if self.seccomp
            else "load no seccomp filter",
        ]

    def take_labels(self) -> None:
        """OSError: the module refused, or knows no such profile; execve carries the label out."""
        if self.apparmor:
            write_attribute(APPARMOR_FILES, f"exec {self.apparmor}".encode())
        if self.selinux:
            write_attribute(SELINUX_FILES, self.selinux.encode())

    def close_in(self) -> None:
        """The last thing before execve: a profile of any kind need allow no more than that."""
        if self.mdwe:
            syscalls.prctl(syscalls.PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN)
        if self.seccomp:
            syscalls.seccomp_load(self.seccomp, self.seccomp_flags)


def write_attribute(names: tuple[bytes, ...], value: bytes) -> None:
    """Write to the first of this process's own attributes that this kernel has."""
    fd = open_own_attribute(names)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)


def open_own_attribute(names: tuple[bytes, ...]) -> int:
    """Below the true root of a proc, crossing no mount and following no link."""
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(proc).st_ino != PROC_ROOT_INODE:
            raise OSError(errno.EPERM, "is not the root of a proc file system", "/proc")
        refuse_other_than_proc(proc, "/proc")
        resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
        for name in names:
            path = b"%d/%s" % (os.getpid(), name)
            try:
                return syscalls.openat2(proc, path, os.O_WRONLY, resolve)
            except FileNotFoundError:
                continue
        raise OSError(errno.ENOENT, "this kernel has no such attribute", os.fsdecode(names[-1]))
    finally:
        os.close(proc)


def refuse_other_than_proc(fd: int, path: str) -> None:
    """OSError unless the descriptor is on a proc file system."""
    if syscalls.fstatfs_type(fd) != PROC_SUPER_MAGIC:
        raise OSError(errno.EPERM, "is not a proc file system", path)
