"""Pseudo terminals of a container: of its own devpts, by descriptor, so that no path of its root counts.

The other side (the slave) comes by TIOCGPTPEER and never by a name below `/dev/pts`, which the container may
have replaced (CVE-2025-52565). The terminal is the container's alone: what is pushed into its input (TIOCSTI)
reaches nobody outside (bubblewrap CVE-2017-5226).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from launcher import syscalls
from launcher.scene.operations import Scene

TIOCGPTPEER: Final = 0x5441  # asm-generic/ioctls.h, since Linux 4.13
TIOCSPTLCK: Final = 0x40045431
LARGEST_SIZE: Final = 0xFFFF


def open_pair(terminals_fd: int) -> tuple[int, int]:
    """(master, slave) of a new terminal in the devpts that the descriptor is the root of."""
    master = os.open("ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=terminals_fd)
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    return master, slave


def set_size(master: int, rows: int, columns: int) -> None:
    """The foreground processes inside hear SIGWINCH if it changed."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def take_control(slave: int) -> None:
    """Make it the controlling terminal of this session, which must have none."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def parse_size(wire: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """(rows, columns), or None where nobody told."""
    if not wire or not wire.get("rows") or not wire.get("columns"):
        return None
    return min(int(wire["rows"]), LARGEST_SIZE), min(int(wire["columns"]), LARGEST_SIZE)


def give_to(fd: int, uid: int, gid: int) -> None:
    """Whoever the program runs as owns its output: it may open /dev/stdout or /dev/tty anew. A terminal keeps
    its group (tty), as `mesg` wants it.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode):
        os.fchown(fd, uid, gid)
    elif stat.S_ISCHR(mode) and os.isatty(fd):
        os.fchown(fd, uid, -1)


@dataclass(frozen=True, slots=True)
class OpenTerminal:
    """After MountDev, whose devpts it comes from."""

    def describe(self) -> str:
        return "open a terminal of the container's own and bind it on /dev/console"

    def execute(self, scene: Scene) -> None:
        scene.master_fd, scene.terminal_fd = open_pair(scene.terminals_fd)
        tree = syscalls.open_tree(scene.terminal_fd, b"")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            console = os.open("console", flags, 0o600, dir_fd=scene.dev_fd)
        except FileExistsError:
            raise OSError(errno.EEXIST, "is there already", "/dev/console") from None
        syscalls.move_mount(tree, console)
        os.close(tree)
        os.close(console)
