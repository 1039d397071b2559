"""The nftables rules of one daemon as text: who may send what, what is masqueraded, what is published.

Two tables, each replaced in one transaction; what differs from container to container is in sets and maps,
so that a launch adds elements and leaves the rules alone.

`bridge` holds what leaves a container: frames that do not carry the MAC and address that were leased to
their port are dropped before the bridge learns from them. One chain serves all ports; a netdev ingress chain
on every link would do the same, but what becomes of such a chain when its link goes differs between kernels
(since 6.16 it stays).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from launcher.network.addresses import BRIDGE_PREFIX, Names, Network, mac_of
from launcher.network.leases import Lease

METADATA: Final = "169.254.169.254"
"""Where clouds hand out a machine's own credentials."""


def plan_tables(
    names: Names, pool: Network, leases: Sequence[Lease], *, opened: Iterable[str], api_ports: Iterable[int]
) -> str:
    """Both tables with all that is leased, in place of whatever stood there.

    Args:
        opened: uplinks that forwarded nothing before us: they forward for containers alone.
        api_ports: TCP ports of the daemon itself, which no container reaches.
    """
    return "\n".join(
        [
            *plan_removal(names, add_first=True),
            f"table bridge {names.table} {{",
            *_indented(_senders()),
            "}",
            f"table inet {names.table} {{",
            *_indented(_routed(names.bridge, pool, sorted(opened), sorted(api_ports))),
            "}",
            *(line for lease in leases for line in plan_lease(names, lease)),
        ]
    )


def plan_removal(names: Names, *, add_first: bool = False) -> list[str]:
    """A table that may not be there is made first: deleting what is not there is an error before 6.3."""
    lines = []
    for family in ("bridge", "inet"):
        if add_first:
            lines.append(f"add table {family} {names.table}")
        lines.append(f"delete table {family} {names.table}")
    return lines


def plan_lease(names: Names, lease: Lease, *, verb: str = "add") -> list[str]:
    """The elements of one container, to `add` or to `delete`."""
    link, table = names.link(lease.address), names.table
    return [
        f"{verb} element bridge {table} ports {{ {link} }}",
        f"{verb} element bridge {table} senders {{ {link} . {mac_of(lease.address)} . {lease.address} }}",
        *plan_ports(names, lease, verb=verb),
    ]


def plan_ports(names: Names, lease: Lease, *, verb: str = "add") -> list[str]:
    """The published ports of one container."""
    lines = []
    for port in lease.ports:
        target = f" : {lease.address} . {port.container_port}" if verb == "add" else ""
        if port.host_ip:
            key = f"{port.host_ip} . {port.protocol} . {port.host_port}"
            lines.append(f"{verb} element inet {names.table} published_at {{ {key}{target} }}")
        else:
            key = f"{port.protocol} . {port.host_port}"
            lines.append(f"{verb} element inet {names.table} published {{ {key}{target} }}")
    return lines


def _senders() -> list[str]:
    return [
        "set ports { type ifname; }",
        "set senders { type ifname . ether_addr . ipv4_addr; }",
        "chain sent {",
        "\ttype filter hook prerouting priority -300; policy accept;",
        "\tiifname != @ports accept",
        "\tether type ip iifname . ether saddr . ip saddr @senders accept",
        "\tether type arp iifname . ether saddr . arp saddr ip @senders"
        " iifname . arp saddr ether . arp saddr ip @senders accept",
        "\tcounter drop",
        "}",
    ]


def _routed(bridge: str, pool: Network, opened: Sequence[str], api_ports: Sequence[int]) -> list[str]:
    destination = "ipv4_addr . inet_service"
    return [
        f"map published {{ type inet_proto . inet_service : {destination}; }}",
        f"map published_at {{ type ipv4_addr . inet_proto . inet_service : {destination}; }}",
        # route_localnet on the bridge lets the host reach published ports by 127.0.0.1; without this rule it
        # would let containers reach what listens there (CVE-2020-8558).
        "chain arrived {",
        "\ttype filter hook prerouting priority raw; policy accept;",
        f'\tiifname "{bridge}" ip daddr 127.0.0.0/8 drop',
        f'\tiifname "{bridge}" ip daddr {METADATA} drop',
        "}",
        "chain redirected {",
        "\tdnat ip to ip daddr . meta l4proto . th dport map @published_at",
        "\tdnat ip to meta l4proto . th dport map @published",
        "}",
        "chain from_outside {",
        "\ttype nat hook prerouting priority dstnat; policy accept;",
        "\tmeta nfproto ipv4 fib daddr type local jump redirected",
        "}",
        "chain from_host {",
        "\ttype nat hook output priority -100; policy accept;",
        "\tmeta nfproto ipv4 fib daddr type local jump redirected",
        "}",
        "chain to_host {",
        "\ttype filter hook input priority filter; policy accept;",
        *(f'\tiifname "{bridge}" tcp dport {port} drop' for port in api_ports),
        "}",
        "chain forwarded {",
        "\ttype filter hook forward priority filter; policy accept;",
        f'\tiifname "{bridge}" oifname "{bridge}" accept',
        f'\toifname "{bridge}" ct state established,related accept',
        f'\toifname "{bridge}" ct status dnat accept',
        f'\toifname "{bridge}" drop',
        f'\tiifname "{bridge}" ip saddr != {pool} drop',
        # Before us nothing was forwarded from these. What others redirect, or have asked for, may pass.
        *(
            f'\tiifname "{uplink}" oifname != "{BRIDGE_PREFIX}*" ct state new ct status & dnat == 0 drop'
            for uplink in opened
        ),
        "}",
        "chain left {",
        "\ttype nat hook postrouting priority srcnat; policy accept;",
        f'\tip saddr {pool} oifname != "{bridge}" masquerade',
        # The answer must come back through here: to a container that calls its neighbour by the host's
        # address, and to the host that calls by 127.0.0.1.
        f'\tip saddr {pool} oifname "{bridge}" ct status dnat masquerade',
        f'\tip saddr 127.0.0.0/8 oifname "{bridge}" masquerade',
        "}",
    ]


def _indented(lines: Iterable[str]) -> Iterable[str]:
    return (f"\t{line}" for line in lines)
