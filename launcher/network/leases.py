"""Who has which address, one file each, written before anything of it exists in the kernel.

STATE_DIR/network/leases/10.88.0.2   {"boot_id", "container": name | null, "ports": [...]}

`null` is a network prepared ahead. A lease needs no fsync: it is read again only by a daemon that follows on
the same boot, and to that the kernel shows what was written; after a reboot there is nothing left to lease.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from launcher.network.addresses import Address, Network, lowest_free
from launcher.network.errors import AddressTaken


@dataclass(frozen=True, slots=True)
class Port:
    """A port of the host that leads to one of the container; `host_ip` empty: every address of the host."""

    host_port: int
    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""

    def overlaps(self, other: Port) -> bool:
        """Would both take the same packets?"""
        if (self.host_port, self.protocol) != (other.host_port, other.protocol):
            return False
        return not self.host_ip or not other.host_ip or self.host_ip == other.host_ip


@dataclass(frozen=True, slots=True)
class Lease:
    address: Address
    container: str | None
    ports: tuple[Port, ...] = ()


class LeaseBook:
    """All leases of one daemon. Safe to call from any thread."""

    def __init__(self, directory: str, boot_id: str) -> None:
        self._directory = directory
        self._boot_id = boot_id
        self._lock = threading.Lock()
        self._leases: dict[Address, Lease] = {}
        self._by_container: dict[str, Lease] = {}
        os.makedirs(directory, 0o700, exist_ok=True)
        self._read()

    def _read(self) -> None:
        """Half a file, or one of another boot, leases nothing."""
        for name in os.listdir(self._directory):
            lease = _parse(name, _read_json(f"{self._directory}/{name}"), self._boot_id)
            if lease is None:
                with contextlib.suppress(IsADirectoryError):
                    os.unlink(f"{self._directory}/{name}")
            else:
                self._keep(lease)

    def all(self) -> list[Lease]:
        with self._lock:
            return list(self._leases.values())

    def of(self, container: str) -> Lease | None:
        with self._lock:
            return self._by_container.get(container)

    def holds(self, address: Address) -> bool:
        with self._lock:
            return address in self._leases

    def take(self, pool: Network, wanted: Address | None = None) -> Lease:
        """The lowest free address, or the one wanted. Raises NoAddressFree, AddressTaken."""
        with self._lock:
            if wanted is not None and wanted in self._leases:
                raise AddressTaken(str(wanted), _holder_of(self._leases[wanted]))
            address = lowest_free(pool, self._leases) if wanted is None else wanted
            lease = Lease(address, None)
            self._write(lease)
            self._keep(lease)
            return lease

    def give(self, lease: Lease, container: str, ports: Sequence[Port]) -> Lease:
        """A prepared network becomes a container's."""
        given = replace(lease, container=container, ports=tuple(ports))
        with self._lock:
            self._write(given)
            self._keep(given)
        return given

    def disown(self, lease: Lease) -> None:
        """The container has ended; the address stays taken until what stood for it is gone."""
        with self._lock:
            self._forget(lease)
            orphan = replace(lease, container=None, ports=())
            self._leases[lease.address] = orphan
            # Where the disk is full, the next daemon finds a lease whose container has ended: the same to it.
            with contextlib.suppress(OSError):
                self._write(orphan)

    def release(self, lease: Lease) -> None:
        """The last of a network: whatever the lease stood for is gone."""
        with self._lock:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self._directory}/{lease.address}")
            self._leases.pop(lease.address, None)
            self._forget(lease)

    def _keep(self, lease: Lease) -> None:
        self._leases[lease.address] = lease
        if lease.container is not None:
            self._by_container[lease.container] = lease

    def _forget(self, lease: Lease) -> None:
        """The container may have another network by now: then that stays."""
        present = self._by_container.get(lease.container or "")
        if present is not None and present.address == lease.address:
            del self._by_container[present.container or ""]

    def _write(self, lease: Lease) -> None:
        text = json.dumps(
            {
                "boot_id": self._boot_id,
                "container": lease.container,
                "ports": [asdict(port) for port in lease.ports],
            }
        )
        fresh = f"{self._directory}/.new"
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(fresh, f"{self._directory}/{lease.address}")


def _holder_of(lease: Lease) -> str:
    return f"is the address of container {lease.container!r}" if lease.container else "is being prepared"


def _read_json(path: str) -> Any:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return json.loads(file.read())
    except (OSError, ValueError):
        return None


def _parse(name: str, wire: Any, boot_id: str) -> Lease | None:
    if not isinstance(wire, dict) or wire.get("boot_id") != boot_id:
        return None
    try:
        ports = tuple(Port(**port) for port in wire["ports"])
        return Lease(ipaddress.IPv4Address(name), wire["container"], ports)
    except (KeyError, TypeError, ValueError):
        return None
