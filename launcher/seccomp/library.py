"""libseccomp by ctypes: the functions that turn rules into a filter, each checked and typed.

seccomp_init(3), seccomp_rule_add(3), seccomp_export_bpf(3). Loaded when the first profile is compiled: a host
without the library can still run containers that ask for no filter.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

from launcher.errors import LauncherError
from launcher.seccomp.profile import Condition

LIBRARY: Final = "libseccomp.so.2"
ACT_BADARCH: Final = 2
CTL_NNP: Final = 3
CTL_OPTIMIZE: Final = 8
BINARY_TREE: Final = 2
UNKNOWN: Final = (
    -1
)  # __NR_SCMP_ERROR; other negative numbers are libseccomp's own for calls of other architectures


class NoLibrary(LauncherError):
    """Filters cannot be made on this host."""

    def __init__(self) -> None:
        super().__init__(
            f"seccomp: {LIBRARY} is not on this host: apt-get install libseccomp2, "
            "or give up the filter with --security-opt seccomp=unconfined"
        )


class _Version(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint)]


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    ]


@functools.cache
def _library() -> Any:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise NoLibrary from None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_arch_native.restype = ctypes.c_uint32
    library.seccomp_version.restype = ctypes.POINTER(_Version)
    return library


def read_version() -> str:
    """Such as 2.5.4. Raises `NoLibrary`."""
    found = _library().seccomp_version().contents
    return f"{found.major}.{found.minor}.{found.micro}"


def native_architecture() -> int:
    """AUDIT_ARCH_* of this interpreter."""
    return int(_library().seccomp_arch_native())


def resolve(architecture: int, name: str) -> int:
    """The call's number there; negative where that architecture has none, `UNKNOWN` where no one has."""
    arch, text = ctypes.c_uint32(architecture), ctypes.c_char_p(name.encode())
    return int(_library().seccomp_syscall_resolve_name_arch(arch, text))


class FilterContext:
    """A filter in the making."""

    def __init__(self, handle: int) -> None:
        self._handle = ctypes.c_void_p(handle)

    def set(self, attribute: int, value: int) -> None:
        _check(_library().seccomp_attr_set(self._handle, ctypes.c_int(attribute), ctypes.c_uint32(value)))

    def add_architecture(self, architecture: int) -> None:
        _check(_library().seccomp_arch_add(self._handle, ctypes.c_uint32(architecture)))

    def add_rule(self, action: int, number: int, conditions: Sequence[Condition]) -> None:
        """All conditions must hold."""
        array = (_Comparison * len(conditions))(
            *(_Comparison(c.index, c.op, c.value, c.second) for c in conditions)
        )
        count = ctypes.c_uint(len(conditions))
        rule = (ctypes.c_uint32(action), ctypes.c_int(number), count, array)
        _check(_library().seccomp_rule_add_array(self._handle, *rule))

    def export(self) -> bytes:
        """The program: 8 bytes for each instruction."""
        fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
        try:
            _check(_library().seccomp_export_bpf(self._handle, ctypes.c_int(fd)))
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)


@contextlib.contextmanager
def new_filter(default_action: int) -> Iterator[FilterContext]:
    """A filter that answers `default_action` to everything, for the native architecture."""
    handle = _library().seccomp_init(ctypes.c_uint32(default_action))
    if not handle:
        raise OSError(22, "libseccomp makes no filter with this default action")
    try:
        yield FilterContext(handle)
    finally:
        _library().seccomp_release(ctypes.c_void_p(handle))


def _check(result: int) -> None:
    """libseccomp answers with a negative errno."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
