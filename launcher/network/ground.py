"""What all networks of one daemon stand on: bridge, tables, forwarding; made for the first container that
needs it, and taken away when the daemon stops without one.

STATE_DIR/network/network.json is written before any of it exists: {"boot_id", "pool", "opened"}, `opened`
being the uplinks whose forwarding we switched on.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from launcher.failpoints import reach
from launcher.network import netns
from launcher.network.addresses import BRIDGE_PREFIX, Names, Network, choose_pool, parse_pool
from launcher.network.errors import NetworkFailed
from launcher.network.leases import Lease, LeaseBook
from launcher.network.nft import Nft
from launcher.network.tables import Tables
from launcher.network.uplinks import read_uplinks
from launcher.network.wiring import Wiring, kernel_steps

if TYPE_CHECKING:
    from launcher.network.links import Links


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """`pool`: a CIDR or `auto`. `uplinks`: devices that forward for containers, beside those of the default
    routes. `prepared`: networks made ahead. `api_ports`: TCP ports of the daemon, closed to containers.
    """

    pool: str = "auto"
    uplinks: tuple[str, ...] = ()
    prepared: int = 4
    api_ports: tuple[int, ...] = ()


class Ground:
    """Bridge and tables, standing. Made by `lay`."""

    def __init__(self, directory: str, config: NetworkConfig, wiring: Wiring, links: Links) -> None:
        self._directory = directory
        self._config = config
        self._links = links
        self._tables = wiring.tables
        self.wiring = wiring

    @classmethod
    def lay(cls, directory: str, names: Names, config: NetworkConfig, book: LeaseBook) -> Ground:
        """Choose the addresses, make the bridge, replace the tables with what the leases say.

        Raises NetworkUnavailable, NetworkFailed; nothing is left then, unless running containers use it.
        """
        with contextlib.ExitStack() as undo:
            nft = Nft()
            undo.callback(nft.close)
            from launcher.network.links import Links

            links = Links()
            undo.callback(links.close)
            with kernel_steps("bridge"), _one_daemon_at_a_time():
                before = read_note(directory)
                pool = _choose(before, names, config, links, in_use=bool(book.all()))
                uplinks = read_uplinks() | set(config.uplinks)
                tables = Tables(nft, names, pool, book, config.api_ports)
                tables.opened = set(before.get("opened", ()))
                wiring = Wiring(names, pool, links.mtu_of(uplinks), book, links, tables)
                ground = cls(directory, config, wiring, links)
                undo.callback(ground._clear_unused, book)
                ground._write_note()
                reach("network.noted")
                if str(pool) != before.get("pool"):
                    links.delete(names.bridge)
                links.make_bridge(names.bridge, pool, wiring.mtu)
                reach("network.bridged")
            with kernel_steps("bridge"):
                ground._open(uplinks)
                tables.write()
                reach("network.ruled")
            undo.pop_all()
        return ground

    def _clear_unused(self, book: LeaseBook) -> None:
        if not book.all():
            with contextlib.suppress(NetworkFailed):
                self.clear()

    def look_around(self) -> None:
        """The host may have got another uplink, and somebody may have taken away what is ours."""
        names, pool = self.wiring.names, self.wiring.pool
        changed = self._open(read_uplinks() | set(self._config.uplinks))
        if changed or not self._tables.stand():
            self._tables.write()
        if not netns.is_there(names.bridge):
            self._links.make_bridge(names.bridge, pool, self.wiring.mtu)
            self.wiring.plug_again()

    def stray_links(self, leases: Sequence[Lease]) -> list[str]:
        """Links of ours that nobody leased: the name tells the daemon in part, and the address wholly."""
        names, pool = self.wiring.names, self.wiring.pool
        known = {names.link(lease.address) for lease in leases}
        return [name for name in self._links.names() if names.is_link(name, pool) and name not in known]

    def delete_link(self, name: str) -> None:
        self._links.delete(name)

    def clear(self) -> None:
        """Everything goes: no container needs it."""
        names = self.wiring.names
        self._tables.remove()
        reach("network.unruled")
        self._links.delete(names.bridge)
        reach("network.unbridged")
        # Another daemon's containers may use the same uplinks; the last one closes what it opened itself.
        if not any(name.startswith(BRIDGE_PREFIX) for name in self._links.names()):
            for uplink in self._tables.opened:
                netns.write_setting(f"ipv4/conf/{uplink}/forwarding", "0")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._directory}/network.json")

    def close(self) -> None:
        self._links.close()
        self._tables.close()

    def _open(self, uplinks: set[str]) -> bool:
        """Forwarding on these, where it was off; True if the rules about it have to change.

        The note comes first: who follows us closes them again. A host that has begun to forward everywhere,
        for somebody else's containers say, is left to it.
        """
        if self._tables.opened and netns.read_setting("ipv4/ip_forward") == "1":
            self._tables.opened = set()
            self._write_note()
            return True
        shut = {uplink for uplink in uplinks if netns.read_setting(f"ipv4/conf/{uplink}/forwarding") == "0"}
        if not shut:
            return False
        self._tables.opened |= shut
        self._write_note()
        for uplink in shut:
            netns.write_setting(f"ipv4/conf/{uplink}/forwarding", "1")
        return True

    def _write_note(self) -> None:
        note = {
            "boot_id": _boot_id(),
            "pool": str(self.wiring.pool),
            "opened": sorted(self._tables.opened),
        }
        fresh = f"{self._directory}/.network.json.new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(note, file)
        os.rename(fresh, f"{self._directory}/network.json")


def read_note(directory: str) -> dict[str, Any]:
    """What an earlier daemon of this boot laid; empty where there is nothing."""
    try:
        with open(f"{directory}/network.json", "rb") as file:
            note = json.loads(file.read())
    except (FileNotFoundError, ValueError):
        return {}
    return note if isinstance(note, dict) and note.get("boot_id") == _boot_id() else {}


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _choose(
    before: dict[str, Any], names: Names, config: NetworkConfig, links: Links, *, in_use: bool
) -> Network:
    """Containers keep their addresses: what was chosen stays while one runs, or no other is asked for."""
    wanted = parse_pool(config.pool)
    if before and (in_use or wanted is None):
        return ipaddress.IPv4Network(before["pool"])
    routes = [(network, device) for network, device in links.routes() if device != names.bridge]
    return choose_pool(wanted, routes)


LOCK_NAME: Final = b"\0cgwarden-network"


@contextlib.contextmanager
def _one_daemon_at_a_time() -> Iterator[None]:
    """Two daemons that choose at the same moment would choose the same: an abstract name is the lock, as it
    belongs to the network namespace and ends with its holder.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lock:
        deadline = time.monotonic() + 10
        while True:
            try:
                lock.bind(LOCK_NAME)
                break
            except OSError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
        yield
