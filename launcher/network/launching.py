"""The part of a launch that is about networks: the namespace it joins, and what stands in its /etc."""

from __future__ import annotations

import contextlib

from launcher.failpoints import reach
from launcher.lives.joins import Joins
from launcher.network.etc_texts import write_etc
from launcher.network.network import BRIDGE
from launcher.scene.namespaces import joined_container
from launcher.site import Site
from launcher.spec import ContainerSpec


def connect(site: Site, spec: ContainerSpec, joins: Joins, undo: contextlib.ExitStack) -> None:
    """A bridge's network comes with the namespaces to be joined; the others need nothing from us."""
    address = ""
    if spec.network == BRIDGE:
        undo.callback(site.networks.detach, spec.name)
        wired = site.networks.attach(spec)
        joins.add("net", wired.namespace)
        address = str(wired.lease.address)
        reach("launch.network")
    joined = joined_container(spec.network)
    write_etc(site.state_of(spec.name), spec, address, site.state_of(joined) if joined else None)


def describe(spec: ContainerSpec) -> list[str]:
    """For people, in a dry run."""
    if spec.network != BRIDGE:
        return []
    lines = [f"lease {spec.ip or 'an address'}; a network namespace with eth0, plugged into the bridge"]
    for port in spec.publish:
        where = f"{port['host_ip'] or '*'}:{port['host_port'] or 'a free port'}"
        lines.append(f"publish {where} as port {port['container_port']}/{port['protocol']}")
    for direction, rate in (("from", spec.net_egress_bits_per_sec), ("to", spec.net_ingress_bits_per_sec)):
        if rate is not None:
            lines.append(f"shape what goes {direction} the container to {rate} bit/s")
    return lines
