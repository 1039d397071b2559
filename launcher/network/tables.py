"""The tables in the kernel, held to what the leases say: added to by each launch, written anew when somebody
else has flushed them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

from launcher.network import rules
from launcher.network.addresses import Names, Network
from launcher.network.errors import NetworkFailed
from launcher.network.leases import Lease, LeaseBook
from launcher.network.nft import Nft, RulesRefused


class Tables:
    """Safe to call from any thread: a lease is in the book before its rules are added, and out of it before
    they are deleted, so that a table that is written meanwhile is right too.
    """

    def __init__(
        self, nft: Nft, names: Names, pool: Network, book: LeaseBook, api_ports: Sequence[int]
    ) -> None:
        self._nft = nft
        self._names = names
        self._pool = pool
        self._book = book
        self._api_ports = tuple(api_ports)
        self._lock = threading.Lock()
        self.opened: set[str] = set()

    def write(self) -> None:
        """All of both, in one transaction, in place of whatever stood there."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        text = rules.plan_tables(
            self._names, self._pool, self._book.all(), opened=self.opened, api_ports=self._api_ports
        )
        try:
            self._nft.run(text)
        except RulesRefused as e:
            raise NetworkFailed("write its rules", str(e)) from e

    def stand(self) -> bool:
        """Are they there? `nft flush ruleset`, or a firewall's reload, takes away everybody's."""
        with self._lock:
            try:
                self._nft.run(f"list chain bridge {self._names.table} sent")
                self._nft.run(f"list chain inet {self._names.table} forwarded")
            except RulesRefused:
                return False
        return True

    def admit(self, lease: Lease) -> None:
        """What is sent from this link under this address passes from now on."""
        self._add(rules.plan_lease(self._names, lease))

    def publish(self, lease: Lease) -> None:
        """The ports of a lease lead in from now on."""
        if lease.ports:
            self._add(rules.plan_ports(self._names, lease))

    def _add(self, lines: Sequence[str]) -> None:
        with self._lock:
            try:
                self._nft.run("\n".join(lines))
            except RulesRefused:
                # Somebody took the tables away. The lease is in the book, so it is in what is written.
                self._write()

    def unpublish(self, lease: Lease) -> None:
        """No packet is sent to this address any more from a port of the host."""
        self._delete(rules.plan_ports(self._names, lease, verb="delete"))

    def expel(self, lease: Lease) -> None:
        """All of a lease; what is not there is passed over."""
        self._delete(rules.plan_lease(self._names, lease, verb="delete"))

    def _delete(self, lines: Sequence[str]) -> None:
        with self._lock:
            for line in lines:
                with contextlib.suppress(RulesRefused):
                    self._nft.run(line)

    def remove(self) -> None:
        """Both tables."""
        with self._lock, contextlib.suppress(RulesRefused):
            self._nft.run("\n".join(rules.plan_removal(self._names, add_first=True)))

    def close(self) -> None:
        self._nft.close()
