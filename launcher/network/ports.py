"""Ports of the host that lead into containers: each is held by a socket of the daemon, so that two do not get
the same one, be the other a container, another daemon or a program of the host.

Packets never reach that socket: they are sent on before. It is bound and does not listen.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from launcher.network.errors import AddressTaken, NetworkFailed, PortTaken
from launcher.network.leases import Port

KINDS: Final = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class HeldPorts:
    """The sockets behind the published ports of one container."""

    def __init__(self, ports: Sequence[Port], sockets: Sequence[socket.socket]) -> None:
        self.ports = tuple(ports)
        self._sockets = sockets

    @classmethod
    def hold(cls, wanted: Iterable[Port], others: Mapping[str, Sequence[Port]]) -> HeldPorts:
        """All or none; `others` are the ports of other containers, by name. A host port 0 becomes a free one.

        Raises PortTaken with the holder's name, AddressTaken for an address of another host.
        """
        ports: list[Port] = []
        with contextlib.ExitStack() as undo:
            sockets = []
            for port in wanted:
                _refuse_twice(port, ports, others)
                held = undo.enter_context(_bind(port))
                ports.append(replace(port, host_port=held.getsockname()[1]))
                sockets.append(held)
            undo.pop_all()
        return cls(ports, sockets)

    def close(self) -> None:
        for held in self._sockets:
            held.close()


def _refuse_twice(port: Port, ours: Sequence[Port], others: Mapping[str, Sequence[Port]]) -> None:
    if not port.host_port:
        return
    for name, ports in others.items():
        if any(other.overlaps(port) for other in ports):
            raise PortTaken(port.host_ip, port.host_port, port.protocol, f"container {name!r}")
    if any(other.overlaps(port) for other in ours):
        raise PortTaken(
            port.host_ip, port.host_port, port.protocol, "the same container, which names it twice"
        )


def _bind(port: Port) -> socket.socket:
    held = socket.socket(socket.AF_INET, KINDS[port.protocol])
    try:
        held.bind((port.host_ip, port.host_port))
    except OSError as e:
        held.close()
        if e.errno == errno.EADDRINUSE:
            holder = read_holder(port.host_port, port.protocol)
            raise PortTaken(port.host_ip, port.host_port, port.protocol, holder) from None
        if e.errno == errno.EADDRNOTAVAIL:
            raise AddressTaken(port.host_ip, "is no address of this host") from None
        raise NetworkFailed(f"hold port {port.host_port}/{port.protocol}", e.strerror or str(e)) from e
    return held


def read_holder(port: int, protocol: str) -> str:
    """Which process has the port, as far as the kernel tells."""
    inodes = {
        inode for family in ("", "6") for inode in parse_sockets(_read_table(f"{protocol}{family}"), port)
    }
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        if _has_socket(pid, inodes):
            return f"process {pid} ({_command(pid)})"
    return "another process"


def parse_sockets(table: str, port: int) -> set[str]:
    """The inodes of the sockets bound to that port in a /proc/net/{tcp,udp}{,6}; damaged lines are passed
    over.
    """
    found = set()
    for line in table.splitlines()[1:]:
        field = line.split()
        if len(field) > 9 and field[1].rpartition(":")[2] == f"{port:04X}" and field[9] != "0":
            found.add(field[9])
    return found


def _read_table(name: str) -> str:
    # thread-self: the daemon's main thread may be in another namespace than this one.
    try:
        with open(f"/proc/thread-self/net/{name}", encoding="ascii", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _has_socket(pid: str, inodes: set[str]) -> bool:
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{fd}").removeprefix("socket:[").rstrip("]") in inodes:
                    return True
    return False


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "ended meanwhile"
