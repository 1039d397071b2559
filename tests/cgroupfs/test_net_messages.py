"""Netlink messages as the kernel lays them out, made by hand."""

from __future__ import annotations

import struct

import pytest

from cgroupfs import InterfaceCounters, ParseError
from cgroupfs.net_messages import (
    Link,
    mirror,
    parse_link,
    parse_namespace_id,
    parse_stats,
    split_messages,
)

IFNAME, LINK, STATS64, NETNSID = 3, 5, 23, 37
STATS = struct.pack("=24Q", *range(1, 25))
COUNTERS = InterfaceCounters("eth0", 3, 1, 5, 7, 4, 2, 6, 8)


def attribute(kind: int, value: bytes) -> bytes:
    whole = struct.pack("=HH", 4 + len(value), kind) + value
    return whole + b"\0" * (-len(whole) % 4)


def link(*attributes: bytes) -> bytes:
    return struct.pack("=BxHiII", 0, 1, 2, 0, 0) + b"".join(attributes)


def message(kind: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body


def test_a_link_has_counters_and_perhaps_another_end() -> None:
    plain = link(attribute(IFNAME, b"eth0\0"), attribute(STATS64, STATS))
    pair = plain + attribute(LINK, struct.pack("=i", 7)) + attribute(NETNSID, struct.pack("=i", 3))

    assert parse_link(plain) == Link(2, COUNTERS, None, None)
    assert parse_link(pair) == Link(2, COUNTERS, 7, 3)


def test_the_other_end_received_what_this_one_sent() -> None:
    assert mirror(COUNTERS, "veth1") == InterfaceCounters("veth1", 4, 2, 6, 8, 3, 1, 5, 7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        link(),
        link(attribute(IFNAME, b"eth0\0")),
        link(attribute(IFNAME, b"eth0\0"), attribute(STATS64, STATS[:8])),
        link(struct.pack("=HH", 3, IFNAME)),
        link(struct.pack("=HH", 300, IFNAME)),
    ],
)
def test_a_link_without_a_name_or_counters_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_link(body)


def test_counters_are_taken_of_the_interfaces_asked_for() -> None:
    body = struct.pack("=BxxxII", 0, 2, 1) + attribute(9, b"") + attribute(1, STATS)

    assert parse_stats(body, {2: "eth0"}) == (2, COUNTERS)
    assert parse_stats(body, {}) == (2, None)
    for broken in (b"", body[:12], body[:-150]):
        with pytest.raises(ParseError):
            parse_stats(broken, {2: "eth0"})


def test_a_namespace_has_a_number_here_or_none() -> None:
    def body(number: int) -> bytes:
        return struct.pack("=B3x", 0) + attribute(2, b"") + attribute(1, struct.pack("=i", number))

    assert parse_namespace_id(body(4)) == 4
    assert parse_namespace_id(body(-1)) is None
    with pytest.raises(ParseError):
        parse_namespace_id(b"")


def test_a_datagram_holds_several_messages() -> None:
    raw = message(16, 5, b"abcd") + message(3, 5, b"")

    assert list(split_messages(raw)) == [(16, 5, b"abcd"), (3, 5, b"")]
    with pytest.raises(ParseError):
        list(split_messages(raw[:18]))
