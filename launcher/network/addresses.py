"""Which addresses, hardware addresses and interface names a daemon's network uses: pure, so that each is told
from the others before anything exists.

One lease fixes everything of a container's network: its address, and by that its MAC and the name of its
link.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from launcher.network.errors import NetworkUnavailable, NoAddressFree

AUTO: Final = "auto"
AUTO_RANGE: Final = ipaddress.IPv4Network("10.88.0.0/13")
AUTO_PREFIX: Final = 20
"""4,092 containers for a daemon, and room for 128 daemons on a host."""
SMALLEST_PREFIX: Final = 30
LARGEST_PREFIX: Final = 8
BRIDGE_PREFIX: Final = "cgwbr-"
LINK_PREFIX: Final = "cgw"
LINK: Final = re.compile(r"cgw[0-9a-f]{11}")

Network = ipaddress.IPv4Network
Address = ipaddress.IPv4Address


@dataclass(frozen=True, slots=True)
class Names:
    """What this daemon calls its parts in the kernel; other daemons on the host have other names.

    A name of an interface has 15 characters at most.
    """

    key: str

    @classmethod
    def of(cls, state_dir: str) -> Names:
        """The state directory belongs to one daemon alone, so it names the daemon."""
        return cls(hashlib.sha256(state_dir.encode("utf-8", "surrogateescape")).hexdigest()[:8])

    @property
    def bridge(self) -> str:
        return f"{BRIDGE_PREFIX}{self.key}"

    @property
    def table(self) -> str:
        return f"cgwarden_{self.key}"

    def link(self, address: Address) -> str:
        """The host's end of the pair of the container at this address: `cgw` and 11 hexadecimal digits."""
        return f"{LINK_PREFIX}{self.key[:3]}{int(address):08x}"

    def is_link(self, name: str, pool: Network) -> bool:
        """Is this link one of ours? Daemons may share three digits; they do not share addresses."""
        if LINK.fullmatch(name) is None or name[3:6] != self.key[:3]:
            return False
        return Address(int(name[6:], 16)) in pool


def mac_of(address: Address) -> str:
    """A locally administered address, the same whenever this address is leased: caches stay right."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x63, *address.packed))


def parse_pool(text: str) -> Network | None:
    """A CIDR that containers get their addresses from; None for `auto`. Raises ValueError with what is wrong.

    The first address is the gateway's.
    """
    if text == AUTO:
        return None
    try:
        pool = Network(text)
    except ValueError as e:
        raise ValueError(f"{text!r} is no network such as 10.88.0.0/16: {e}") from None
    if not LARGEST_PREFIX <= pool.prefixlen <= SMALLEST_PREFIX:
        raise ValueError(f"{text!r} must have a prefix of /{LARGEST_PREFIX} to /{SMALLEST_PREFIX}")
    return pool


def choose_pool(wanted: Network | None, routes: Iterable[tuple[Network, str]]) -> Network:
    """The pool asked for, or with None the first of our own range that this host has no route into.

    Args:
        routes: what the host routes already, and the device of each; without default routes.

    Raises:
        NetworkUnavailable: it overlaps what the host uses.
    """
    used = list(routes)
    if wanted is not None:
        for network, device in used:
            if network.overlaps(wanted):
                raise NetworkUnavailable(
                    f"the address pool {wanted} overlaps {network}, which this host routes to {device}: "
                    "choose another as network.pool"
                )
        return wanted
    for pool in AUTO_RANGE.subnets(new_prefix=AUTO_PREFIX):
        if not any(network.overlaps(pool) for network, _ in used):
            return pool
    raise NetworkUnavailable(
        f"this host routes all of {AUTO_RANGE} already: choose an address pool as network.pool"
    )


def gateway_of(pool: Network) -> Address:
    """The bridge's own address."""
    return pool.network_address + 1


def addresses_of(pool: Network) -> Iterator[Address]:
    """What containers may get, lowest first."""
    first, last = int(pool.network_address) + 2, int(pool.broadcast_address) - 1
    return (Address(number) for number in range(first, last + 1))


def lowest_free(pool: Network, taken: Container[Address]) -> Address:
    """Raises NoAddressFree when the pool has been given away."""
    for address in addresses_of(pool):
        if address not in taken:
            return address
    raise NoAddressFree(str(pool))
