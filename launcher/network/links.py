"""The bridge, the pairs of links and their queues, made through pyroute2; used by the daemon alone, since
pyroute2 takes 200 ms to import.

One object works on the namespace of the thread that made it, and has a thread of its own: an IPRoute makes an
event loop and a socket for every thread that uses it, and closes those of its own thread alone. What is gone
already is no error when it shall go.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import ipaddress
import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from launcher.network import netns
from launcher.network.addresses import Address, Network, gateway_of, mac_of
from launcher.network.errors import NetworkFailed

INSIDE: Final = "eth0"
DEFAULT_MTU: Final = 1500
UNICAST, LOCAL = 1, 2
"""Types of routes that mean that the host uses the addresses (RTN_UNICAST, RTN_LOCAL)."""
LARGEST_BURST_BYTES: Final = 256 << 10
SMALLEST_BURST_BYTES: Final = 16 << 10
LATENCY_USEC: Final = 50_000
VANISH_SEC: Final = 0.5
POLL_SEC: Final = 0.01


def burst_of(bytes_per_sec: int) -> int:
    """256 KiB, as 32 already cost some percent of the rate; more from 200 Mbit/s on, where the timer's grain
    would; less below 1 Mbit/s, where it would be many seconds' worth.
    """
    return max(bytes_per_sec // 100, min(LARGEST_BURST_BYTES, max(SMALLEST_BURST_BYTES, 2 * bytes_per_sec)))


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    try:
        yield
    except (NetlinkError, OSError) as e:
        code = e.code if isinstance(e, NetlinkError) else e.errno
        raise NetworkFailed(what, os.strerror(code) if code else str(e)) from e


_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


def _on_its_thread(
    method: Callable[Concatenate[Links, _Given], _Answer],
) -> Callable[Concatenate[Links, _Given], _Answer]:
    @functools.wraps(method)
    def call(self: Links, /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Answer:
        return self.thread.submit(method, self, *args, **kwargs).result()

    return call


class Links:
    """Interfaces of the host. Safe to call from any thread; one thing is done at a time."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="netlink")
        self._netlink: Any = self.thread.submit(IPRoute).result()

    def close(self) -> None:
        self.thread.submit(self._netlink.close).result()
        self.thread.shutdown()

    @_on_its_thread
    def routes(self) -> list[tuple[Network, str]]:
        """Which networks the host reaches, or is part of, and by which device; default routes apart."""
        with _step("read the host's routes"):
            found = []
            names = self._names()
            for route in self._netlink.get_routes(family=socket.AF_INET):
                destination, device = route.get_attr("RTA_DST"), names.get(route.get_attr("RTA_OIF"))
                if destination and device and route["type"] in (UNICAST, LOCAL):
                    found.append((ipaddress.IPv4Network((destination, route["dst_len"])), device))
            return found

    @_on_its_thread
    def names(self) -> dict[str, str]:
        """Every interface of this namespace, and its alias."""
        with _step("list the host's links"):
            return {
                link.get_attr("IFLA_IFNAME"): link.get_attr("IFLA_IFALIAS") or ""
                for link in self._netlink.get_links()
            }

    def _names(self) -> dict[int, str]:
        return {link["index"]: link.get_attr("IFLA_IFNAME") for link in self._netlink.get_links()}

    @_on_its_thread
    def mtu_of(self, devices: set[str]) -> int:
        """The smallest of these, so that no packet of a container is too large for its way out."""
        with _step("list the host's links"):
            found = [
                link.get_attr("IFLA_MTU")
                for link in self._netlink.get_links()
                if link.get_attr("IFLA_IFNAME") in devices
            ]
        return min(found, default=DEFAULT_MTU)

    @_on_its_thread
    def make_bridge(self, name: str, pool: Network, mtu: int) -> None:
        """With a MAC of its own: else it takes a port's, and another when that goes."""
        gateway = gateway_of(pool)
        with _step(f"make the bridge {name}"):
            with _already_there():
                self._netlink.link("add", ifname=name, kind="bridge", address=mac_of(gateway))
            netns.write_setting(f"ipv6/conf/{name}/disable_ipv6", "1")
            index = _index_of(name)
            with _already_there():
                self._netlink.addr("add", index=index, address=str(gateway), prefixlen=pool.prefixlen)
            self._netlink.link("set", index=index, state="up", mtu=mtu)
        netns.write_setting(f"ipv4/conf/{name}/forwarding", "1")
        netns.write_setting(f"ipv4/conf/{name}/route_localnet", "1")

    @_on_its_thread
    def make_pair(self, name: str, namespace: int, address: Address) -> None:
        """The host's end here, `eth0` born in the namespace; both are down."""
        peer = {"ifname": INSIDE, "net_ns_fd": namespace, "address": mac_of(address)}
        with _step(f"make the link {name}"):
            self._netlink.link("add", ifname=name, kind="veth", peer=peer)
        netns.write_setting(f"ipv6/conf/{name}/disable_ipv6", "1")

    @_on_its_thread
    def plug(self, name: str, bridge: str, mtu: int) -> None:
        """The host's end becomes a port of the bridge and goes up; who sends what must be settled before."""
        with _step(f"plug {name} into {bridge}"):
            master = _index_of(bridge)
            self._netlink.link("set", index=_index_of(name), master=master, state="up", mtu=mtu)

    @_on_its_thread
    def label(self, name: str, container: str) -> None:
        """`ip link` tells whose link it is, and so does one dump of all counters, after any restart."""
        with _step(f"label {name}"), _already_gone():
            self._netlink.link("set", index=_index_of(name), ifalias=container)

    @_on_its_thread
    def shape(self, name: str, bits_per_sec: int) -> None:
        """What leaves through this interface, by a token bucket."""
        with _step(f"shape {name} to {bits_per_sec} bit/s"):
            _shape(self._netlink, _index_of(name), bits_per_sec)

    def await_end(self, name: str, patience_sec: float = VANISH_SEC) -> None:
        """The kernel takes a pair away with the namespace of one end, many at once and without holding up
        others; one whose namespace somebody else still uses is deleted.
        """
        deadline = time.monotonic() + patience_sec
        while netns.is_there(name):
            if time.monotonic() > deadline:
                self.delete(name)
                return
            time.sleep(POLL_SEC)

    @_on_its_thread
    def delete(self, name: str) -> None:
        """Both ends; waits for the kernel, some 25 ms, in which it lets nobody else change a link."""
        with _step(f"delete {name}"), _already_gone():
            self._netlink.link("del", index=_index_of(name))


def configure_inside(namespace: int, address: Address, pool: Network, mtu: int) -> None:
    """Address, gateway and `eth0` up, in that namespace; the calling thread must be free to go there."""
    with _step("set up eth0"), _opened(namespace) as (netlink, index):
        netlink.addr("add", index=index, address=str(address), prefixlen=pool.prefixlen)
        netlink.link("set", index=index, state="up", mtu=mtu)
        netlink.route("add", dst="default", gateway=str(gateway_of(pool)))


def shape_inside(namespace: int, bits_per_sec: int) -> None:
    """What the container sends, at its own end: it cannot undo that without NET_ADMIN."""
    with _step(f"shape eth0 to {bits_per_sec} bit/s"), _opened(namespace) as (netlink, index):
        _shape(netlink, index, bits_per_sec)


def _shape(netlink: Any, index: int, bits_per_sec: int) -> None:
    rate = bits_per_sec // 8
    netlink.tc("replace", "tbf", index=index, rate=rate, burst=burst_of(rate), latency=LATENCY_USEC)


@contextlib.contextmanager
def _opened(namespace: int) -> Iterator[tuple[Any, int]]:
    """And the number of eth0: a socket belongs to the namespace in which it was made, wherever it is used."""
    with netns.inside(namespace):
        netlink, index = IPRoute(), _index_of(INSIDE)
    try:
        yield netlink, index
    finally:
        netlink.close()


@contextlib.contextmanager
def _already_there() -> Iterator[None]:
    try:
        yield
    except NetlinkError as e:
        if e.code != errno.EEXIST:
            raise


@contextlib.contextmanager
def _already_gone() -> Iterator[None]:
    try:
        yield
    except NetlinkError as e:
        if e.code != errno.ENODEV:
            raise
    except OSError as e:
        if e.errno != errno.ENODEV:
            raise


def _index_of(name: str) -> int:
    """Python's own raises an error without a number."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name) from None
