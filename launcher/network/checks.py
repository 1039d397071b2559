"""Whether this host can have bridge networks, found by making one: in a namespace that nobody else sees."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from launcher.errors import LauncherError
from launcher.network import netns, rules
from launcher.network.addresses import AUTO_PREFIX, AUTO_RANGE, Names, gateway_of, lowest_free
from launcher.network.nft import Nft, RulesRefused


class Finding(NamedTuple):
    """`state` is ok, degraded or missing, as `doctor` has it."""

    state: str
    detail: str
    advice: str = ""


def examine() -> Finding:
    """Rules, links and token buckets, tried; and whether somebody else's rules stand in the way."""
    try:
        namespace = netns.make()
    except OSError as e:
        return Finding("degraded", f"no bridge networks: no network namespace: {e.strerror}", "needs root")
    try:
        with netns.inside(namespace):
            _try_out(namespace)
    except RulesRefused as e:
        return Finding("degraded", f"no bridge networks: the kernel refuses our rules: {e}")
    except (LauncherError, OSError) as e:
        return Finding("degraded", f"no bridge networks: {e}")
    finally:
        os.close(namespace)
    return _look_at_others()


def _try_out(namespace: int) -> None:
    """All that one container needs; it goes with the namespace."""
    from launcher.network import links

    names, pool = Names("00000000"), next(AUTO_RANGE.subnets(new_prefix=AUTO_PREFIX))
    nft, host = Nft(), links.Links()
    try:
        nft.run(rules.plan_tables(names, pool, [], opened=(), api_ports=()))
        address = lowest_free(pool, {gateway_of(pool)})
        host.make_bridge(names.bridge, pool, links.DEFAULT_MTU)
        inside = netns.make()
        try:
            host.make_pair(names.link(address), inside, address)
            host.plug(names.link(address), names.bridge, links.DEFAULT_MTU)
            host.shape(names.link(address), 10**7)
        finally:
            os.close(inside)
    finally:
        host.close()
        nft.close()


def _look_at_others() -> Finding:
    """A verdict of drop in any table is final, whatever ours says."""
    nft = Nft()
    try:
        blocking = find_forward_drops(nft.run("list ruleset"))
    finally:
        nft.close()
    everywhere = netns.read_setting("ipv4/ip_forward") == "1"
    detail = "bridge networks: rules, links and token buckets work; " + (
        "the host forwards everywhere" if everywhere else "the bridge and the uplinks alone will forward"
    )
    if blocking:
        advice = "let its rules accept what comes from and goes to the bridge cgwbr-*"
        return Finding("degraded", f"{detail}; but {blocking} drops what is forwarded", advice)
    return Finding("ok", detail)


def find_forward_drops(ruleset: str) -> str:
    """The first table of others whose forward chain drops by default, as docker's does; empty if none."""
    table = ""
    for line in ruleset.splitlines():
        if found := re.fullmatch(r"table (\S+ \S+) \{", line):
            table = found[1]
        elif re.search(r"hook forward .*policy drop", line) and " cgwarden" not in table:
            return f"table {table}"
    return ""
