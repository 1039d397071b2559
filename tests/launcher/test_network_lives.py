"""Networks come and go: addresses are leased, pools chosen, what fails or was taken away is put right."""

import socket
import threading
from collections.abc import Callable

import pytest

from launcher import BadSpec, Container, Launcher, LauncherError, failpoints
from launcher.network import (
    AddressTaken,
    NetworkConfig,
    NetworkFailed,
    NetworkUnavailable,
    NoAddressFree,
    netns,
)
from tests.launcher.conftest import Bridged, NetPlace, eventually
from tests.launcher.hosts import (
    HOST_ADDRESS,
    SERVE,
    NetworkHost,
    answer_of,
    is_silent,
    published,
)

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]


@pytest.fixture
def place(net_place: NetPlace) -> NetPlace:
    return net_place


@pytest.fixture
def host(net_host: NetworkHost) -> NetworkHost:
    return net_host


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


def test_rules_that_somebody_flushed_are_back_with_the_next_launch(
    bridged: Bridged, launcher: Launcher, host: NetworkHost
) -> None:
    bridged(SERVE, name="first", publish=published(80, 8080))
    assert eventually(lambda: answer_of(host.outside, HOST_ADDRESS, 8080) == "hello")
    host.flush()
    assert is_silent(host.outside, HOST_ADDRESS, 8080)

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
