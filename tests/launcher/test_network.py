"""Containers on the bridge: whom they reach and who reaches them, on a host of the test's own."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cgroupfs import read_net
from cgroupfs.net_links import LinkDump
from cgroupfs.net_messages import mirror
from launcher import BadSpec, Container, Launcher, LauncherError, failpoints
from launcher.network import (
    AddressTaken,
    NetworkConfig,
    NetworkFailed,
    NetworkUnavailable,
    NoAddressFree,
    PortTaken,
    netns,
)
from tests.launcher.conftest import NetPlace, eventually
from tests.launcher.hosts import (
    HOST_ADDRESS,
    OUTSIDE_ADDRESS,
    NetworkHost,
    answer_of,
    echoed,
    namespace_of,
    open_in,
    udp_echo,
)

pytestmark = pytest.mark.kernel

SERVE = "nc -ll -p 80 -e cat"
Run = Callable[..., Container]


@pytest.fixture
def place(net_place: NetPlace) -> NetPlace:
    return net_place


@pytest.fixture
def host(net_host: NetworkHost) -> NetworkHost:
    return net_host


@pytest.fixture
def bridged(run: Run, launcher: Launcher) -> Callable[..., tuple[Container, dict[str, Any]]]:
    """Start a container on the bridge; what is told of its network comes with it."""

    def start(script: str = "sleep 60", **fields: object) -> tuple[Container, dict[str, Any]]:
        container = run(script, **({"network": "bridge"} | fields))
        told = launcher.network_of(container)
        assert told is not None
        return container, told

    return start


Bridged = Callable[..., tuple[Container, dict[str, Any]]]


def published(port: int, host_port: int = 0, **more: object) -> list[dict[str, object]]:
    return [{"container_port": port, "host_port": host_port} | more]


def test_two_containers_talk_to_each_other(bridged: Bridged) -> None:
    first, there = bridged(SERVE, name="first")
    second, here = bridged(SERVE, name="second")

    with namespace_of(first.pid) as one, namespace_of(second.pid) as other:
        assert eventually(lambda: answer_of(other, there["address"], 80) == "hello")
        assert answer_of(one, here["address"], 80) == "hello"


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
        assert not echoed(host.outside, HOST_ADDRESS, port + 1)


def test_a_port_of_one_address_is_open_there_alone(bridged: Bridged, host: NetworkHost) -> None:
    _, told = bridged(SERVE, publish=published(80, host_ip="127.0.0.1"))

    port = told["ports"][0]["host_port"]
    assert eventually(lambda: answer_of(host.namespace, "127.0.0.1", port) == "hello")
    assert answer_of(host.outside, HOST_ADDRESS, port) == ""


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
    assert answer_of(host.outside, told["address"], 80) == ""


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


def test_the_address_asked_for_is_given_once(bridged: Bridged) -> None:
    _, told = bridged(name="first")
    wanted = told["gateway"].removesuffix(".1") + ".77"

    _, second = bridged(name="second", ip=wanted)

    assert second["address"] == wanted
    with pytest.raises(AddressTaken, match="is the address of container 'second'"):
        bridged(name="third", ip=wanted)
    with pytest.raises(BadSpec, match="is no address for a container"):
        bridged(name="third", ip="192.0.2.1")


def test_an_address_that_was_prepared_can_be_asked_for(bridged: Bridged, host: NetworkHost) -> None:
    _, told = bridged(name="first")
    assert eventually(lambda: len(host.links()) == 3)  # the bridge, the first's, the one made ahead
    network, _, last = told["address"].rpartition(".")
    prepared = f"{network}.{5 - int(last)}"  # of .2 and .3 the other one

    assert bridged(name="second", ip=prepared)[1]["address"] == prepared


def test_when_all_addresses_are_in_use_nothing_is_left_of_one_more(
    place: NetPlace, host: NetworkHost
) -> None:
    place.network = NetworkConfig(pool="10.99.0.0/30", prepared=1)
    launcher = place.launcher()
    launcher.run(place.spec("first"))
    links = host.links()

    with pytest.raises(NoAddressFree, match=r"all addresses of 10\.99\.0\.0/30 are in use"):
        launcher.run(place.spec("second"))

    assert place.remains("second") == []
    assert host.links() == links
    launcher.remove("first", force=True)
    assert launcher.network_of(launcher.run(place.spec("second"))) is not None


def test_a_pool_that_the_host_uses_is_refused_in_one_line(place: NetPlace) -> None:
    place.network = NetworkConfig(pool="203.0.112.0/23")

    with pytest.raises(
        NetworkUnavailable, match=r"overlaps 203\.0\.113\.0/24, which this host routes to eth9"
    ):
        place.launcher().run(place.spec("t"))

    assert place.remains("t") == []


def test_without_a_wish_a_pool_is_chosen_that_nobody_uses(bridged: Bridged, host: NetworkHost) -> None:
    host.run("ip", "route", "add", "10.88.0.0/19", "dev", "eth9")

    assert bridged()[1]["gateway"] == "10.88.32.1"


def test_daemons_live_side_by_side(net_places: Callable[[], NetPlace], host: NetworkHost) -> None:
    one, other = net_places(), net_places()
    first, second = one.launcher(), other.launcher()

    here = first.network_of(first.run(one.spec("one", SERVE, publish=published(80, 8081))))
    there = second.network_of(second.run(other.spec("two", SERVE, publish=published(80, 8082))))

    assert here is not None and there is not None
    assert here["bridge"] != there["bridge"]
    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8081) == "hello")
    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8082) == "hello")
    second.remove("two", force=True)
    other.launchers.remove(second)
    second.close()
    assert answer_of(host.outside, HOST_ADDRESS, 8081) == "hello"
    assert there["bridge"] not in host.links()


def test_many_at_once_get_an_address_each(place: NetPlace, host: NetworkHost) -> None:
    launcher = place.launcher()
    failures: list[BaseException] = []

    def start(number: int) -> None:
        try:
            launcher.run(place.spec(f"many{number}"))
        except LauncherError as e:
            failures.append(e)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    told = [launcher.network_of(container) for container in launcher.containers()]
    assert len({one["address"] for one in told if one}) == 12


def test_the_end_of_a_container_is_the_end_of_its_network(
    bridged: Bridged, launcher: Launcher, host: NetworkHost
) -> None:
    container, told = bridged(publish=published(80, 8080))
    assert told["link"] in host.links()

    launcher.stop("t", 0)

    assert launcher.network_of(container) is None
    assert eventually(lambda: told["link"] not in host.links())
    assert eventually(lambda: told["address"] not in host.rules())
    assert told["link"] not in host.rules()
    socket.create_server(("0.0.0.0", 8080)).close()


def test_a_container_gets_a_network_again_when_it_is_started_again(
    bridged: Bridged, launcher: Launcher, host: NetworkHost
) -> None:
    bridged(SERVE, publish=published(80, 8080))
    launcher.stop("t", 0)

    launcher.start("t")

    assert launcher.network_of(launcher.get("t")) is not None
    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8080) == "hello")


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

    inside = {counters.name: counters for counters in read_net(container.pid or 0) or ()}["eth0"]

    with contextlib.closing(LinkDump()) as dump:
        links = {link.counters.name: link.counters for link in dump.read_links().values()}
    outside = mirror(links[told["link"]], "eth0")
    assert inside.tx_bytes > 0
    assert (inside.rx_bytes, inside.tx_bytes) == (outside.rx_bytes, outside.tx_bytes)


def test_rules_that_somebody_flushed_are_back_with_the_next_launch(
    bridged: Bridged, launcher: Launcher, host: NetworkHost
) -> None:
    bridged(SERVE, name="first", publish=published(80, 8080))
    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8080) == "hello")
    host.flush()
    assert answer_of(host.outside, HOST_ADDRESS, 8080) == ""

    bridged(SERVE, name="second", publish=published(80, 8081))

    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8081) == "hello")
    assert answer_of(host.outside, HOST_ADDRESS, 8080) == "hello"


def test_a_container_ends_in_peace_where_the_rules_are_gone(
    bridged: Bridged, launcher: Launcher, host: NetworkHost
) -> None:
    bridged(publish=published(80, 8080))
    host.flush()

    launcher.remove("t", force=True)

    assert bridged(name="next", publish=published(80, 8080))


def test_a_bridge_that_somebody_deleted_is_made_again(
    bridged: Bridged, launcher: Launcher, host: NetworkHost
) -> None:
    _, told = bridged(SERVE, name="first", publish=published(80, 8080))
    host.run("ip", "link", "del", told["bridge"])

    bridged(name="second")

    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8080) == "hello")


def test_a_host_that_forwards_for_others_is_left_to_them(bridged: Bridged, host: NetworkHost) -> None:
    bridged(SERVE, publish=published(80, 8080))
    assert '"eth9" oifname != "cgwbr-*"' in host.rules()

    netns.write_setting("ipv4/ip_forward", "1")
    bridged(name="second")

    assert eventually(lambda: '"eth9" oifname != "cgwbr-*"' not in host.rules())
    netns.write_setting("ipv4/ip_forward", "0")


def test_what_needs_a_bridge_is_refused_without_one(run: Run) -> None:
    for field, value in {
        "publish": published(80),
        "ip": "10.88.0.5",
        "net_egress_bits_per_sec": 10**6,
    }.items():
        with pytest.raises(BadSpec, match=f"{field}: needs a network of its own"):
            run("true", **{field: value})


def test_a_step_that_fails_is_rolled_back(
    place: NetPlace, host: NetworkHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F34: the link is made and not yet plugged."""
    place.network = NetworkConfig(prepared=0)
    launcher = place.launcher()
    launcher.run(place.spec("first"))
    links = host.links()
    monkeypatch.setitem(failpoints._ARMED, "network.linked", "error")

    with pytest.raises(NetworkFailed, match="the network could not be made"):
        launcher.run(place.spec("second"))

    assert place.remains("second") == []
    assert host.links() == links
    monkeypatch.delitem(failpoints._ARMED, "network.linked")
    told = launcher.network_of(launcher.run(place.spec("third")))
    assert told is not None
    assert told["address"].endswith(".0.3")  # the second's was given back


def _connects(namespace: int, address: str, port: int) -> bool:
    with open_in(namespace) as client:
        client.settimeout(1)
        try:
            client.connect((address, port))
        except OSError:
            return False
    return True
