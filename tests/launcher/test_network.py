"""Containers on the bridge: whom they reach and who reaches them, on a host of the test's own."""

import contextlib
import os
import socket
from collections.abc import Callable

import pytest

from cgroupfs import InterfaceCounters, read_net
from cgroupfs.net_links import LinkDump
from cgroupfs.net_messages import mirror
from launcher import Container, Launcher
from launcher.network import (
    AddressTaken,
    NetworkConfig,
    PortTaken,
)
from tests.launcher.conftest import Bridged, NetPlace, eventually
from tests.launcher.hosts import (
    HOST_ADDRESS,
    LOST_SEC,
    OUTSIDE_ADDRESS,
    SERVE,
    NetworkHost,
    answer_of,
    echoed,
    is_silent,
    namespace_of,
    open_in,
    published,
    udp_echo,
)

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]


@pytest.fixture
def place(net_place: NetPlace) -> NetPlace:
    return net_place


@pytest.fixture
def host(net_host: NetworkHost) -> NetworkHost:
    return net_host


def test_two_containers_talk_to_each_other(bridged: Bridged) -> None:
    first, there = bridged(SERVE, name="first")
    second, here = bridged(SERVE, name="second")

    with namespace_of(first.pid) as one, namespace_of(second.pid) as other:
        assert eventually(lambda: answer_of(other, there["address"], 80) == "hello")
        assert eventually(lambda: answer_of(one, here["address"], 80) == "hello")


def test_what_is_told_is_what_is_inside(bridged: Bridged, launcher: Launcher, host: NetworkHost) -> None:
    _, told = bridged("ip addr show eth0; ip route; sleep 60")

    assert eventually(lambda: any(b"default" in line.data for line in launcher.read_log("t")))
    inside = " ".join(line.data.decode() for line in launcher.read_log("t"))
    assert f"inet {told['address']}/{told['prefix']}" in inside
    assert told["mac"] in inside
    assert f"default via {told['gateway']}" in inside
    assert "alias t\n" in host.run("ip", "link", "show", told["link"])


def test_the_world_outside_is_reached_in_the_hosts_name(bridged: Bridged, host: NetworkHost) -> None:
    container, _ = bridged()

    with namespace_of(container.pid) as inside, open_in(host.outside) as server:
        server.bind((OUTSIDE_ADDRESS, 7000))
        server.listen()
        with open_in(inside) as client:
            client.connect((OUTSIDE_ADDRESS, 7000))
            connection, (peer, _) = server.accept()
            connection.close()

    assert peer == HOST_ADDRESS


def test_a_published_port_leads_in_from_everywhere(bridged: Bridged, host: NetworkHost) -> None:
    bridged(SERVE, name="server", publish=published(80, 8080))
    neighbour, _ = bridged(name="neighbour")

    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8080) == "hello")
    assert answer_of(host.namespace, "127.0.0.1", 8080) == "hello"
    assert answer_of(host.namespace, HOST_ADDRESS, 8080) == "hello"
    with namespace_of(neighbour.pid) as inside:
        assert answer_of(inside, HOST_ADDRESS, 8080) == "hello"


def test_a_published_udp_port_leads_in(bridged: Bridged, host: NetworkHost) -> None:
    container, told = bridged(publish=published(53, protocol="udp"))

    port = told["ports"][0]["host_port"]
    with namespace_of(container.pid) as inside, udp_echo(inside, 53):
        assert echoed(host.outside, HOST_ADDRESS, port)
        assert echoed(host.namespace, "127.0.0.1", port)
        assert not echoed(host.outside, HOST_ADDRESS, port + 1, LOST_SEC)


def test_a_port_of_one_address_is_open_there_alone(bridged: Bridged, host: NetworkHost) -> None:
    _, told = bridged(SERVE, publish=published(80, host_ip="127.0.0.1"))

    port = told["ports"][0]["host_port"]
    assert eventually(lambda: answer_of(host.namespace, "127.0.0.1", port) == "hello")
    assert is_silent(host.outside, HOST_ADDRESS, port)


def test_a_port_is_published_once_and_the_holder_is_named(bridged: Bridged, launcher: Launcher) -> None:
    bridged(name="first", publish=published(80, 8080))

    with pytest.raises(PortTaken, match="container 'first'"):
        bridged(name="second", publish=published(81, 8080))

    assert [container.name for container in launcher.containers()] == ["first"]
    launcher.remove("first", force=True)
    bridged(name="second", publish=published(81, 8080))


def test_a_port_of_a_program_is_not_taken_from_it(bridged: Bridged) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(PortTaken, match=rf"process {os.getpid()} \("):
            bridged(publish=published(80, port))


def test_an_address_of_another_host_cannot_publish(bridged: Bridged) -> None:
    with pytest.raises(AddressTaken, match=r"192\.0\.2\.77 is no address of this host"):
        bridged(publish=published(80, host_ip="192.0.2.77"))


def test_what_is_not_published_is_closed_to_the_world(bridged: Bridged, host: NetworkHost) -> None:
    _, told = bridged(SERVE)
    host.run_outside("ip", "route", "add", told["address"], "via", HOST_ADDRESS)

    assert eventually(lambda: answer_of(host.namespace, told["address"], 80) == "hello")
    assert is_silent(host.outside, told["address"], 80)


def test_the_daemons_own_port_is_closed_to_containers(place: NetPlace, host: NetworkHost) -> None:
    with (
        socket.create_server(("0.0.0.0", 0)) as api,
        socket.create_server(("0.0.0.0", 0)) as other,
    ):
        place.network = NetworkConfig(prepared=0, api_ports=(api.getsockname()[1],))
        launcher = place.launcher()
        container = launcher.run(place.spec("t"))
        told = launcher.network_of(container)
        assert told is not None

        with namespace_of(container.pid) as inside:
            assert _connects(inside, told["gateway"], other.getsockname()[1])
            assert not _connects(inside, told["gateway"], api.getsockname()[1])


def test_where_clouds_keep_their_secrets_is_closed(bridged: Bridged, host: NetworkHost) -> None:
    host.run_outside("ip", "addr", "add", "169.254.169.254/32", "dev", "lo")
    container, _ = bridged()

    with open_in(host.outside) as server, namespace_of(container.pid) as inside:
        server.bind(("", 80))
        server.listen()
        assert _connects(inside, OUTSIDE_ADDRESS, 80)
        assert not _connects(inside, "169.254.169.254", 80)


def test_another_containers_network_is_shared(bridged: Bridged, run: Run, launcher: Launcher) -> None:
    bridged(SERVE, name="first")

    run(["sh", "-c", "ip addr show eth0; cat /etc/hosts"], name="second", network="container:first")

    launcher.wait("second", 20)
    lines = " ".join(line.data.decode() for line in launcher.read_log("second"))
    told = launcher.network_of(launcher.get("first"))
    assert told is not None
    assert told["address"] in lines
    assert f"{told['address']}\tfirst" in lines
    assert launcher.network_of(launcher.get("second")) is None


def test_an_exec_is_in_the_same_network(bridged: Bridged, launcher: Launcher) -> None:
    _, told = bridged()

    session = launcher.exec("t", ["ip", "addr", "show", "eth0"])

    assert told["address"] in b"".join(data for _, data in session).decode()


def test_root_inside_that_is_nobody_outside_has_a_network_too(
    bridged: Bridged, launcher: Launcher, host: NetworkHost
) -> None:
    container, told = bridged(SERVE, userns="auto", publish=published(80, 8080))

    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8080) == "hello")
    inside = b"".join(data for _, data in launcher.exec("t", ["ls", "/sys/class/net"])).split()
    assert set(inside) == {b"lo", b"eth0"}
    assert container.spec.userns == "auto"
    assert told["mac"] in b"".join(data for _, data in launcher.exec("t", ["ip", "addr"])).decode()


def test_what_it_sends_and_gets_is_counted(bridged: Bridged, host: NetworkHost) -> None:
    container, told = bridged(SERVE)
    assert eventually(lambda: answer_of(host.namespace, told["address"], 80) == "hello")

    def counted() -> tuple[InterfaceCounters, InterfaceCounters]:
        inside = {counters.name: counters for counters in read_net(container.pid or 0) or ()}["eth0"]
        with contextlib.closing(LinkDump()) as dump:
            links = {link.counters.name: link.counters for link in dump.read_links().values()}
        return inside, mirror(links[told["link"]], "eth0")

    def agree() -> bool:
        """Between the two looks the last packet of the answer may come."""
        inside, outside = counted()
        return (inside.rx_bytes, inside.tx_bytes) == (outside.rx_bytes, outside.tx_bytes)

    assert eventually(agree)
    assert counted()[0].tx_bytes > 0


def _connects(namespace: int, address: str, port: int) -> bool:
    with open_in(namespace) as client:
        client.settimeout(1)
        try:
            client.connect((address, port))
        except OSError:
            return False
    return True
