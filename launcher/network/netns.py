"""Network namespaces made by a thread that leaves for a moment: a daemon with threads cannot fork for it.

Only the calling thread changes its namespace. `/proc/thread-self` is the way to its own; `/proc/self` shows
the namespace of the main thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from launcher.scene.operations import IFF_UP, SIOCGIFFLAGS, SIOCSIFFLAGS
from launcher.syscalls import CLONE_NEWNET

# Not PyDLL: making a namespace may wait for another that is going, and the daemon's threads must not.
_libc = ctypes.CDLL(None, use_errno=True)

SETTINGS: Final = {
    # No IPv6 on what is added later; loopback has it as in any new namespace.
    "ipv6/conf/default/disable_ipv6": "1",
    # Ping without NET_RAW, for everybody inside.
    "ipv4/ping_group_range": "0 2147483647",
}


def _call(name: str, *args: object) -> None:
    if getattr(_libc, name)(*args) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def current() -> int:
    """The calling thread's network namespace, held open."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(namespace: int) -> None:
    """The calling thread goes there, and stays."""
    _call("setns", ctypes.c_int(namespace), ctypes.c_int(CLONE_NEWNET))


@contextlib.contextmanager
def inside(namespace: int) -> Iterator[None]:
    """The calling thread works in that namespace: sockets made there stay there."""
    home = current()
    try:
        enter(namespace)
        try:
            yield
        finally:
            # A thread that cannot come back must not go on: what it did next would hit the wrong host.
            enter(home)
    finally:
        os.close(home)


def make() -> int:
    """A new namespace with loopback up; it lives as long as the descriptor, or a process in it."""
    home = current()
    try:
        _call("unshare", ctypes.c_int(CLONE_NEWNET))
        try:
            made = current()
            prepare()
            return made
        finally:
            enter(home)
    finally:
        os.close(home)


def prepare() -> None:
    """Settings of the calling thread's namespace, and its loopback."""
    for name, value in SETTINGS.items():
        write_setting(name, value)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def is_there(link: str) -> bool:
    """Does the calling thread's namespace have that link?"""
    try:
        return socket.if_nametoindex(link) > 0
    except OSError:
        return False


def write_setting(name: str, value: str) -> None:
    """A file below /proc/sys/net, of the calling thread's namespace; one that this kernel lacks is fine."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(f"/proc/sys/net/{name}", os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)


def read_setting(name: str) -> str | None:
    """None where this kernel has no such setting."""
    try:
        with open(f"/proc/sys/net/{name}") as file:
            return file.read().strip()
    except FileNotFoundError:
        return None
