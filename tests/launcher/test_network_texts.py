"""What networks read and write as text: routes, sockets, leases, rules, names; none of it needs a kernel."""

import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.network.addresses import Names, choose_pool, mac_of, parse_pool
from launcher.network.checks import find_forward_drops
from launcher.network.errors import AddressTaken, NetworkUnavailable, NoAddressFree
from launcher.network.leases import LeaseBook, Port
from launcher.network.ports import parse_sockets
from launcher.network.uplinks import parse_uplinks

POOL = ipaddress.IPv4Network("10.88.0.0/20")
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
wlan0\t00000000\t010300C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
*\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:24A4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1
"""


def test_the_devices_of_default_routes_are_the_uplinks() -> None:
    assert parse_uplinks(ROUTES) == {"eth0", "wlan0"}


def test_the_socket_that_has_a_port_is_found() -> None:
    assert parse_sockets(SOCKETS, 8080) == {"4712"}
    assert parse_sockets(SOCKETS, 80) == set()


@given(st.text())
def test_damaged_tables_are_read_as_far_as_they_go(text: str) -> None:
    assert isinstance(parse_uplinks(text), set)
    assert isinstance(parse_sockets(text, 80), set)
    assert isinstance(find_forward_drops(text), str)


def test_a_link_is_ours_by_its_name_and_its_address() -> None:
    names = Names.of("/var/lib/cgwarden")
    link = names.link(ipaddress.IPv4Address("10.88.0.2"))

    assert (len(link), link[:3]) == (14, "cgw")
    assert len(names.bridge) <= 15
    assert names.is_link(link, POOL)
    assert not names.is_link(link, ipaddress.IPv4Network("10.99.0.0/20"))
    assert not names.is_link("eth0", POOL)


@pytest.mark.parametrize("text", ["10.88.0.1/16", "10.88.0.0/31", "10.0.0.0/7", "::/64", "here", ""])
def test_what_is_no_pool_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no network|must have a prefix"):
        parse_pool(text)


def test_the_first_pool_that_nobody_routes_is_chosen() -> None:
    used = [
        (ipaddress.IPv4Network("10.88.0.0/19"), "cgwbr-1"),
        (ipaddress.IPv4Network("10.88.32.7/32"), "eth0"),
    ]

    assert str(choose_pool(None, used)) == "10.88.48.0/20"
    assert choose_pool(POOL, []) == POOL
    with pytest.raises(NetworkUnavailable, match="this host routes to cgwbr-1"):
        choose_pool(POOL, used)
    with pytest.raises(NetworkUnavailable, match="routes all of"):
        choose_pool(None, [(ipaddress.IPv4Network("10.0.0.0/8"), "eth0")])


def test_the_lowest_free_address_is_leased_and_its_mac_follows(tmp_path: Path) -> None:
    book = LeaseBook(str(tmp_path / "leases"), "boot")
    small = ipaddress.IPv4Network("10.88.0.0/29")

    leases = [book.take(small) for _ in range(3)]
    book.release(leases[1])

    assert [str(lease.address) for lease in leases] == ["10.88.0.2", "10.88.0.3", "10.88.0.4"]
    assert book.take(small).address == leases[1].address
    assert mac_of(leases[1].address) == "02:63:0a:58:00:03"
    with pytest.raises(AddressTaken):
        book.take(small, leases[0].address)
    for _ in range(2):
        book.take(small)
    with pytest.raises(NoAddressFree):
        book.take(small)


def test_a_lease_is_found_again_by_the_next_daemon_and_not_after_a_boot(tmp_path: Path) -> None:
    directory = str(tmp_path / "leases")
    first = LeaseBook(directory, "boot")
    port = Port(8080, 80)
    given = first.give(first.take(POOL), "web", [port])

    assert LeaseBook(directory, "boot").of("web") == given
    assert LeaseBook(directory, "another boot").all() == []
    assert list((tmp_path / "leases").iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"boot_id": "boot"}', '{"boot_id": "boot", "ports": 3}']
)
def test_half_a_lease_leases_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "10.88.0.2").write_text(text)
    (tmp_path / "nonsense").write_text(json.dumps({"boot_id": "boot", "container": None, "ports": []}))

    assert LeaseBook(str(tmp_path), "boot").all() == []


def test_a_network_that_was_given_back_is_not_found_by_its_container(tmp_path: Path) -> None:
    book = LeaseBook(str(tmp_path), "boot")
    old = book.give(book.take(POOL), "web", [])
    book.disown(old)
    new = book.give(book.take(POOL), "web", [])

    book.release(old)

    assert book.of("web") == new
    assert book.all() == [new]


def test_ports_overlap_where_an_address_is_shared() -> None:
    everywhere, here, there = Port(80, 1), Port(80, 1, host_ip="192.0.2.1"), Port(80, 1, host_ip="192.0.2.2")

    assert everywhere.overlaps(here)
    assert here.overlaps(everywhere)
    assert not here.overlaps(there)
    assert not everywhere.overlaps(Port(80, 1, "udp"))


def test_another_table_that_drops_forwarded_packets_is_named() -> None:
    chain = "\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n"

    assert find_forward_drops(f"table ip filter {{\n{chain}") == "table ip filter"
    assert find_forward_drops(f"table inet cgwarden_00000000 {{\n{chain}") == ""
    assert find_forward_drops("table ip filter {\n\tchain INPUT {\n\t}\n}\n") == ""
