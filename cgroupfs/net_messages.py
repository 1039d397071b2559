"""Netlink messages about network interfaces to values: pure. rtnetlink(7); include/uapi/linux/if_link.h."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from cgroupfs.errors import ParseError
from cgroupfs.net import InterfaceCounters

STATS_LINK_64: Final = 1
_IFNAME, _LINK, _STATS64, _NETNSID = 3, 5, 23, 37
_NSID: Final = 1
HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
# So rtnl_link_stats64 starts: packets, bytes, errors and drops, each received and then sent.
_COUNTERS: Final = struct.Struct("=8Q")
_TYPE_MASK: Final = 0x3FFF


class Link(NamedTuple):
    """One interface; `peer` is the other end of a pair, in namespace `peer_namespace` if that is another."""

    ifindex: int
    counters: InterfaceCounters
    peer: int | None
    peer_namespace: int | None


def mirror(counters: InterfaceCounters, name: str) -> InterfaceCounters:
    """The counters of a pair's other end, called `name` there."""
    _, rx_bytes, rx_packets, rx_errors, rx_drops, tx_bytes, tx_packets, tx_errors, tx_drops = counters
    return InterfaceCounters(
        name, tx_bytes, tx_packets, tx_errors, tx_drops, rx_bytes, rx_packets, rx_errors, rx_drops
    )


def split_messages(raw: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The messages of one datagram: kind, sequence number, body."""
    at = 0
    while at + HEADER.size <= len(raw):
        length, kind, _, sequence, _ = HEADER.unpack_from(raw, at)
        if not HEADER.size <= length <= len(raw) - at:
            raise ParseError("netlink", repr(raw[at : at + 16]))
        yield kind, sequence, raw[at + HEADER.size : at + length]
        at += length + 3 & ~3


def _split_attributes(body: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """(kind, start, end) of each attribute behind position `at`."""
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if not _ATTRIBUTE.size <= length <= len(body) - at:
            raise ParseError("netlink attribute", repr(body[at : at + 16]))
        yield kind & _TYPE_MASK, at + _ATTRIBUTE.size, at + length
        at += length + 3 & ~3


def parse_link(body: bytes) -> Link:
    """An RTM_NEWLINK message: struct ifinfomsg and attributes."""
    try:
        (ifindex,) = struct.unpack_from("=4xi", body)
        at = {kind: (start, end) for kind, start, end in _split_attributes(body, 16)}
        start, end = at[_IFNAME]
        name = os.fsdecode(body[start:end].rstrip(b"\0"))
        counters = _parse_counters(body, at[_STATS64][0], name)
        peer, namespace = (_parse_optional(body, at, kind) for kind in (_LINK, _NETNSID))
    except (KeyError, struct.error) as e:
        raise ParseError("netlink link", repr(body[:80])) from e
    return Link(ifindex, counters, peer, namespace)


def parse_stats(body: bytes, names: Mapping[int, str]) -> tuple[int, InterfaceCounters | None]:
    """An RTM_NEWSTATS message: struct if_stats_msg and the counters; None for one not in `names`."""
    try:
        (ifindex,) = struct.unpack_from("=4xI", body)
        name = names.get(ifindex)
        if name is None:
            return ifindex, None
        for kind, start, _ in _split_attributes(body, 12):
            if kind == STATS_LINK_64:
                return ifindex, _parse_counters(body, start, name)
    except struct.error as e:
        raise ParseError("netlink stats", repr(body[:80])) from e
    raise ParseError("netlink stats", repr(body[:80]))


def _parse_optional(body: bytes, at: Mapping[int, tuple[int, int]], kind: int) -> int | None:
    return struct.unpack_from("=i", body, at[kind][0])[0] if kind in at else None


def _parse_counters(body: bytes, start: int, name: str) -> InterfaceCounters:
    numbers = _COUNTERS.unpack_from(body, start)
    rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_drops, tx_drops = numbers
    return InterfaceCounters(
        name, rx_bytes, rx_packets, rx_errors, rx_drops, tx_bytes, tx_packets, tx_errors, tx_drops
    )


def parse_namespace_id(body: bytes) -> int | None:
    """An RTM_NEWNSID message: the number by which our namespace calls another; None if it has none for it."""
    for kind, start, end in _split_attributes(body, 4):
        if kind == _NSID and end - start == 4:
            number: int = struct.unpack_from("=i", body, start)[0]
            return None if number < 0 else number
    raise ParseError("netlink namespace", repr(body[:80]))
