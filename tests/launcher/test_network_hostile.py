"""What a container on the bridge must not be able to do: raw frames that it may send with NET_RAW, sent here
from inside its namespace, each beside an honest one that does arrive.
"""

import ipaddress
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from launcher import BadSpec, Container, Launcher
from launcher.network import netns
from launcher.network.addresses import mac_of
from tests.launcher.conftest import NetPlace
from tests.launcher.hosts import (
    LOST_SEC,
    OUTSIDE_ADDRESS,
    PATIENCE_SEC,
    NetworkHost,
    arrives,
    namespace_of,
    open_in,
)

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
PORT = 5353
OTHER_MAC = "02:63:00:00:00:99"


class Peer(NamedTuple):
    """A container on the bridge, as seen from its own namespace."""

    namespace: int
    mac: str
    address: str
    gateway: str
    gateway_mac: str


@pytest.fixture
def place(net_place: NetPlace) -> NetPlace:
    return net_place


@pytest.fixture
def peers(run: Run, launcher: Launcher) -> Iterator[tuple[Peer, Peer]]:
    """Two containers that have met: each other's addresses are known."""
    told: list[dict[str, Any]] = []
    containers = [run("sleep 60", name=name, network="bridge") for name in ("evil", "good")]
    for container in containers:
        network = launcher.network_of(container)
        assert network is not None
        told.append(network)
    gateway_mac = mac_of(ipaddress.IPv4Address(told[0]["gateway"]))
    with namespace_of(containers[0].pid) as one, namespace_of(containers[1].pid) as other:
        yield (
            Peer(one, told[0]["mac"], told[0]["address"], told[0]["gateway"], gateway_mac),
            Peer(other, told[1]["mac"], told[1]["address"], told[1]["gateway"], gateway_mac),
        )


def packed_mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def checksum(header: bytes) -> int:
    total = sum(int(word) for word in struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source: str, destination: str, port: int = PORT) -> bytes:
    """An IPv4 packet with a UDP datagram; UDP's own checksum is left out, as is allowed."""
    udp = struct.pack("!HHHH", 4000, port, 8 + 5, 0) + b"hello"
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    start = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
    total = checksum(start + addresses)
    return start[:10] + struct.pack("!H", total) + addresses + udp


def arp_reply(mac: str, address: str, to_mac: str, to_address: str) -> bytes:
    """ "`address` is at `mac`"."""
    start = struct.pack("!HHBBH", 1, IPV4, 6, 4, 2)
    sender = packed_mac(mac) + ipaddress.IPv4Address(address).packed
    return start + sender + packed_mac(to_mac) + ipaddress.IPv4Address(to_address).packed


def send(namespace: int, source: str, destination: str, kind: int, body: bytes) -> None:
    """One frame through eth0 of that namespace, as it is given."""
    with netns.inside(namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", kind))
        raw.send(packed_mac(destination) + packed_mac(source) + struct.pack("!H", kind) + body)


class Ear:
    """All frames that reach a namespace's eth0."""

    def __init__(self, namespace: int) -> None:
        with netns.inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._socket.bind(("eth0", 3))

    def hears(self, part: bytes, patience_sec: float) -> bool:
        deadline = time.monotonic() + patience_sec
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0] and part in self._socket.recv(2000):
                return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ear(peers: tuple[Peer, Peer]) -> Iterator[Ear]:
    made = Ear(peers[1].namespace)
    yield made
    made.close()


def test_an_honest_frame_arrives_and_one_with_anothers_address_does_not(
    peers: tuple[Peer, Peer], ear: Ear
) -> None:
    evil, good = peers
    honest = datagram(evil.address, good.address)
    forged = datagram(good.gateway, good.address)

    send(evil.namespace, evil.mac, good.mac, IPV4, forged)
    send(evil.namespace, evil.mac, good.mac, IPV4, honest)

    assert not ear.hears(forged, LOST_SEC)
    send(evil.namespace, evil.mac, good.mac, IPV4, honest)
    assert ear.hears(honest, PATIENCE_SEC)


def test_a_frame_with_anothers_mac_is_dropped(peers: tuple[Peer, Peer], ear: Ear) -> None:
    evil, good = peers
    forged = datagram(evil.address, good.address)

    send(evil.namespace, OTHER_MAC, good.mac, IPV4, forged)

    assert not ear.hears(packed_mac(OTHER_MAC), LOST_SEC)


def test_nobody_can_say_that_the_gateways_address_is_his(peers: tuple[Peer, Peer], ear: Ear) -> None:
    evil, good = peers
    lie = arp_reply(evil.mac, evil.gateway, good.mac, good.address)
    half_a_lie = arp_reply(OTHER_MAC, evil.address, good.mac, good.address)
    truth = arp_reply(evil.mac, evil.address, good.mac, good.address)

    for body in (lie, half_a_lie):
        send(evil.namespace, evil.mac, good.mac, ARP, body)
        assert not ear.hears(body, LOST_SEC)

    send(evil.namespace, evil.mac, good.mac, ARP, truth)
    assert ear.hears(truth, PATIENCE_SEC)


@pytest.mark.parametrize("kind", [IPV6, 0x8100, 0x88CC])
def test_nothing_but_ipv4_and_arp_crosses_the_bridge(peers: tuple[Peer, Peer], ear: Ear, kind: int) -> None:
    evil, good = peers
    body = b"neither of the two, as told by its type" * 2

    send(evil.namespace, evil.mac, good.mac, kind, body)

    assert not ear.hears(body, LOST_SEC)


def test_what_listens_on_the_hosts_loopback_is_not_reached(
    peers: tuple[Peer, Peer], net_host: NetworkHost
) -> None:
    """CVE-2020-8558: route_localnet is on for the bridge."""
    evil, _ = peers
    with (
        open_in(net_host.namespace, socket.SOCK_DGRAM) as secret,
        open_in(net_host.namespace, socket.SOCK_DGRAM) as open_to_all,
    ):
        secret.bind(("127.0.0.1", PORT))
        open_to_all.bind((evil.gateway, PORT))

        send(evil.namespace, evil.mac, evil.gateway_mac, IPV4, datagram(evil.address, "127.0.0.1"))
        send(evil.namespace, evil.mac, evil.gateway_mac, IPV4, datagram(evil.address, evil.gateway))

        assert arrives(open_to_all)
        assert not arrives(secret, LOST_SEC)


def test_nothing_goes_out_under_anothers_address(peers: tuple[Peer, Peer], net_host: NetworkHost) -> None:
    evil, _ = peers
    with open_in(net_host.outside, socket.SOCK_DGRAM) as world:
        world.bind((OUTSIDE_ADDRESS, PORT))

        send(evil.namespace, evil.mac, evil.gateway_mac, IPV4, datagram("198.51.100.9", OUTSIDE_ADDRESS))
        assert not arrives(world, LOST_SEC)
        send(evil.namespace, evil.mac, evil.gateway_mac, IPV4, datagram(evil.address, OUTSIDE_ADDRESS))
        assert arrives(world)


def test_a_rate_that_the_container_could_lift_is_refused(run: Run) -> None:
    with pytest.raises(BadSpec, match="NET_ADMIN could lift it"):
        run("true", network="bridge", net_egress_bits_per_sec=10**6, cap_add=["NET_ADMIN"])
