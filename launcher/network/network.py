"""The networks of a daemon's containers: attached at a launch, released at an end, found by the next
daemon.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import threading
from collections.abc import Collection
from typing import Any, Final

from launcher.errors import BadSpec, LauncherError
from launcher.network.addresses import Address, Names, addresses_of, gateway_of, mac_of
from launcher.network.errors import AddressTaken, NoAddressFree
from launcher.network.ground import Ground, NetworkConfig, read_note
from launcher.network.leases import Lease, LeaseBook, Port
from launcher.network.ports import HeldPorts
from launcher.network.prepared import Prepared
from launcher.network.wiring import Shape, Wired
from launcher.spec import ContainerSpec

_LOG: Final = logging.getLogger("cgwarden.launcher")
BRIDGE: Final = "bridge"


class ContainerNetworks:
    """Every bridged container of one daemon. Safe to call from any thread; costs nothing until the first."""

    def __init__(self, config: NetworkConfig, state_dir: str, boot_id: str) -> None:
        self._config = config
        self._directory = f"{state_dir}/network"
        self._names = Names.of(state_dir)
        self._lock = threading.Lock()
        self._ports_lock = threading.Lock()
        self._held: dict[str, HeldPorts] = {}
        self._ground: Ground | None = None
        self._prepared: Prepared | None = None
        self._book = LeaseBook(f"{self._directory}/leases", boot_id)

    def attach(self, spec: ContainerSpec) -> Wired:
        """A network for this container, its ports published. The caller closes the namespace's descriptor
        once the container is in it, and calls `detach` when that has ended, or did not start.
        """
        ground, prepared = self._stand()
        wanted = self._wanted(spec, ground)
        held = self._hold_ports(spec)
        try:
            wired = self._ready(ground, prepared, wanted)
            try:
                shape = Shape(spec.net_egress_bits_per_sec, spec.net_ingress_bits_per_sec)
                assigned = ground.wiring.assign(wired, spec.name, held.ports, shape)
                prepared.label(assigned.lease)
                return assigned
            except BaseException:
                os.close(wired.namespace)
                self._withdraw(ground, prepared, self._book.of(spec.name) or wired.lease)
                raise
        except BaseException:
            self._let_go_of_ports(spec.name)
            raise

    def detach(self, name: str) -> None:
        """The container has ended: its ports are free at once, its address when the link is gone."""
        lease = self._book.of(name)
        if lease is not None and self._ground is not None and self._prepared is not None:
            self._withdraw(self._ground, self._prepared, lease)
            self._let_go_of_ports(name)

    def _withdraw(self, ground: Ground, prepared: Prepared, lease: Lease) -> None:
        self._book.disown(lease)
        ground.wiring.tables.unpublish(lease)
        prepared.retire(lease)

    def adopt(self, running: Collection[str]) -> None:
        """Keep what running containers use, and take away all else that an earlier daemon made."""
        leases = self._book.all()
        if not leases and not read_note(self._directory):
            return
        try:
            ground, prepared = self._stand()
        except LauncherError as e:
            _LOG.warning("the networks of containers could not be taken over: %s", e)
            return
        for lease in leases:
            if lease.container in running:
                self._hold_again(lease)
                prepared.label(lease)
            else:
                self._withdraw(ground, prepared, lease)
        for name in ground.stray_links(leases):
            ground.delete_link(name)

    def close(self) -> None:
        """Running containers keep their networks; without one nothing is left."""
        with self._lock:
            if self._ground is None or self._prepared is None:
                return
            self._prepared.close()
            if not self._book.all():
                self._ground.clear()
            self._ground.close()
            self._ground = self._prepared = None
        for name in list(self._held):
            self._let_go_of_ports(name)

    def view(self, spec: ContainerSpec) -> dict[str, Any] | None:
        """As the API tells it; None for one without a network of ours, or that has ended."""
        lease = self._book.of(spec.name) if spec.network == BRIDGE else None
        ground = self._ground
        if lease is None or ground is None:
            return None
        pool = ground.wiring.pool
        return {
            "address": str(lease.address),
            "prefix": pool.prefixlen,
            "gateway": str(gateway_of(pool)),
            "mac": mac_of(lease.address),
            "link": self._names.link(lease.address),
            "bridge": self._names.bridge,
            "ports": [
                {
                    "host_ip": port.host_ip,
                    "host_port": port.host_port,
                    "container_port": port.container_port,
                    "protocol": port.protocol,
                }
                for port in lease.ports
            ],
        }

    def _stand(self) -> tuple[Ground, Prepared]:
        with self._lock:
            if self._ground is None or self._prepared is None:
                ground = Ground.lay(self._directory, self._names, self._config, self._book)
                self._prepared = Prepared(ground.wiring, self._config.prepared, ground.look_around)
                self._ground = ground
            return self._ground, self._prepared

    def _wanted(self, spec: ContainerSpec, ground: Ground) -> Address | None:
        if not spec.ip:
            return None
        wanted, pool = ipaddress.IPv4Address(spec.ip), ground.wiring.pool
        if wanted not in pool or wanted in (pool.network_address, pool.broadcast_address, gateway_of(pool)):
            first = next(addresses_of(pool))
            raise BadSpec("ip", f"{wanted} is no address for a container: {pool} has them, {first} the first")
        return wanted

    def _ready(self, ground: Ground, prepared: Prepared, wanted: Address | None) -> Wired:
        """One made ahead, or a new one; addresses that are just being given back are waited for."""
        if wanted is None and (wired := prepared.take()) is not None:
            return wired
        try:
            return ground.wiring.make(wanted)
        except NoAddressFree:
            prepared.settle()
        except AddressTaken:
            if self._is_used(wanted):
                raise
            prepared.discard_ready()
            prepared.settle()
        return (prepared.take() if wanted is None else None) or ground.wiring.make(wanted)

    def _is_used(self, address: Address | None) -> bool:
        return any(lease.address == address and lease.container in self._held for lease in self._book.all())

    def _hold_ports(self, spec: ContainerSpec) -> HeldPorts:
        wanted = [
            Port(port["host_port"], port["container_port"], port["protocol"], _address(port["host_ip"]))
            for port in spec.publish
        ]
        with self._ports_lock:
            others = {name: held.ports for name, held in self._held.items()}
            self._held[spec.name] = held = HeldPorts.hold(wanted, others)
        return held

    def _hold_again(self, lease: Lease) -> None:
        """Of a container that ran on without us; its rules stand, whoever has taken the port meanwhile."""
        assert lease.container is not None
        with self._ports_lock:
            try:
                held = HeldPorts.hold(lease.ports, {})
            except LauncherError as e:
                _LOG.warning("container %r: %s; packets still go to the container", lease.container, e)
                held = HeldPorts(lease.ports, ())
            self._held[lease.container] = held

    def _let_go_of_ports(self, name: str) -> None:
        with self._ports_lock:
            if (held := self._held.pop(name, None)) is not None:
                held.close()


def _address(host_ip: str) -> str:
    """Empty for every address of the host, however that was said."""
    return "" if host_ip == "0.0.0.0" else host_ip
