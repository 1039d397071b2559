"""The daemon is killed with -9 at every step of making and unmaking a network: the next one takes over what
runs, and when that has closed the host is as it was.
"""

from typing import Final

import pytest

from launcher.failpoints import STEPS
from tests.launcher.conftest import NetPlace, eventually
from tests.launcher.dying import killed_at, order_for
from tests.launcher.hosts import HOST_ADDRESS, SERVE, NetworkHost, answer_of, is_silent, published

pytestmark = pytest.mark.kernel

LIFE: Final = (("run", "t"), ("run", "u"), ("remove", "u"), ("remove", "t"), ("close", ""))
"""Every step is passed in one of these: the second container gets the network that was made ahead."""


def live_until(place: NetPlace, step: str, *verbs: tuple[str, str]) -> str:
    """The last verb that was begun before the daemon died, or after which it was killed; a number when it
    came to the end.
    """
    specs = {
        "t": place.spec("t", SERVE, publish=published(80, 8080)).to_wire(),
        "u": place.spec("u").to_wire(),
    }
    done = [(verb, specs[name] if verb == "run" else name) for verb, name in verbs or LIFE]
    return killed_at(step, order_for(place, done, network={"prepared": 1}))


@pytest.mark.parametrize("step", [step for step in STEPS if "network" in step])
def test_a_daemon_killed_at_this_step_leaves_no_network_that_the_next_one_does_not_know(
    net_place: NetPlace, net_host: NetworkHost, step: str
) -> None:
    reached_in = live_until(net_place, step)

    launcher = net_place.launcher()

    assert not reached_in.isdigit(), f"{step} is passed by nobody"
    running = [container for container in launcher.containers() if container.state == "running"]
    links = [told["link"] for one in running if (told := launcher.network_of(one))]
    assert len(links) == len(running)
    if "t" in [container.name for container in running]:
        assert eventually(lambda: answer_of(net_host.outside, HOST_ADDRESS, 8080) == "hello")
    fresh = launcher.network_of(launcher.run(net_place.spec("fresh")))
    assert fresh is not None and fresh["link"] not in links


def test_a_network_survives_the_daemon(net_place: NetPlace, net_host: NetworkHost) -> None:
    live_until(net_place, "none", ("run", "t"))
    assert eventually(lambda: answer_of(net_host.outside, HOST_ADDRESS, 8080) == "hello")

    launcher = net_place.launcher()

    told = launcher.network_of(launcher.get("t"))
    assert told is not None
    assert [port["host_port"] for port in told["ports"]] == [8080]
    assert answer_of(net_host.outside, HOST_ADDRESS, 8080) == "hello"
    assert answer_of(net_host.namespace, "127.0.0.1", 8080) == "hello"
    fresh = launcher.network_of(launcher.run(net_place.spec("fresh")))
    assert fresh is not None and fresh["address"] != told["address"]


def test_rules_that_somebody_flushed_are_back_with_the_next_daemon(
    net_place: NetPlace, net_host: NetworkHost
) -> None:
    live_until(net_place, "none", ("run", "t"))
    assert eventually(lambda: answer_of(net_host.outside, HOST_ADDRESS, 8080) == "hello")
    net_host.flush()
    assert is_silent(net_host.outside, HOST_ADDRESS, 8080)

    net_place.launcher()

    assert answer_of(net_host.outside, HOST_ADDRESS, 8080) == "hello"
