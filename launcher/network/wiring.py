"""One container's network in the kernel, made step by step and taken away again: namespace, link, rules,
address, in an order that leaves nothing half-open and that the next daemon can undo from the lease alone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from launcher.failpoints import reach
from launcher.network import netns
from launcher.network.addresses import Address, Names, Network
from launcher.network.errors import NetworkFailed
from launcher.network.leases import Lease, LeaseBook, Port
from launcher.network.tables import Tables

if TYPE_CHECKING:
    from launcher.network.links import Links


@dataclass(frozen=True, slots=True)
class Wired:
    """A network that is ready: the namespace lives as long as the descriptor, or a process in it."""

    lease: Lease
    namespace: int


@dataclass(frozen=True, slots=True)
class Shape:
    """Rates in bits per second; None: as fast as it goes."""

    egress: int | None = None
    ingress: int | None = None


class Wiring:
    """What makes networks on one bridge. Safe to call from any thread."""

    def __init__(
        self, names: Names, pool: Network, mtu: int, book: LeaseBook, links: Links, tables: Tables
    ) -> None:
        self.names = names
        self.pool = pool
        self.mtu = mtu
        self._book = book
        self._links = links
        self.tables = tables

    def make(self, wanted: Address | None = None) -> Wired:
        """A namespace with `eth0` inside, plugged into the bridge. Raises with everything undone."""
        with kernel_steps("network"):
            lease = self._book.take(self.pool, wanted)
        name = self.names.link(lease.address)
        try:
            with kernel_steps("network"), contextlib.ExitStack() as undo:
                reach("network.leased")
                namespace = netns.make()
                undo.callback(os.close, namespace)
                self._links.make_pair(name, namespace, lease.address)
                reach("network.linked")
                # Who may send what is settled before anything can be sent.
                self.tables.admit(lease)
                _links_module().configure_inside(namespace, lease.address, self.pool, self.mtu)
                reach("network.configured")
                self._links.plug(name, self.names.bridge, self.mtu)
                reach("network.plugged")
                undo.pop_all()
        except BaseException:
            self.unmake(lease)
            raise
        return Wired(lease, namespace)

    def unmake(self, lease: Lease) -> None:
        """Rules, link, lease; what is not there, or was never made, is passed over."""
        self.tables.expel(lease)
        reach("network.unruled")
        self._links.await_end(self.names.link(lease.address))
        reach("network.unlinked")
        self._book.release(lease)

    def assign(self, wired: Wired, container: str, ports: Sequence[Port], shape: Shape) -> Wired:
        """A ready network becomes this container's."""
        with kernel_steps("network"):
            lease = self._book.give(wired.lease, container, ports)
            reach("network.given")
            self.tables.publish(lease)
            self.shape(lease, wired.namespace, shape)
            reach("network.assigned")
        return Wired(lease, wired.namespace)

    def plug_again(self) -> None:
        """Every link, into a bridge that had to be made anew."""
        for lease in self._book.all():
            with contextlib.suppress(NetworkFailed):
                self._links.plug(self.names.link(lease.address), self.names.bridge, self.mtu)

    def label(self, lease: Lease) -> None:
        """After the launch, as every change of a link may have to wait for another."""
        if lease.container is not None:
            self._links.label(self.names.link(lease.address), lease.container)

    def shape(self, lease: Lease, namespace: int, shape: Shape) -> None:
        """Each direction where it starts: what the container sends at its own end, what it gets at ours."""
        if shape.ingress is not None:
            self._links.shape(self.names.link(lease.address), shape.ingress)
        if shape.egress is not None:
            _links_module().shape_inside(namespace, shape.egress)


@contextlib.contextmanager
def kernel_steps(what: str) -> Iterator[None]:
    """What the kernel or the disk refuses below is told as the launcher's own error."""
    try:
        yield
    except OSError as e:
        raise NetworkFailed(f"make the {what}", e.strerror or str(e)) from e


def _links_module() -> Any:
    """pyroute2 takes 200 ms to import: only a daemon that has made a bridge has it."""
    from launcher.network import links

    return links
