"""Started again where a run is more than processes: on the bridge, in a user namespace, on another driver."""

from collections.abc import Callable

import pytest

from launcher import Container, Launcher
from tests.launcher.conftest import Bridged, NetPlace, eventually
from tests.launcher.hosts import SERVE, answer_of, namespace_of, published

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]


@pytest.fixture
def place(net_place: NetPlace) -> NetPlace:
    return net_place


def test_on_the_bridge_it_is_reached_again(bridged: Bridged, launcher: Launcher) -> None:
    bridged(SERVE, publish=published(80))

    launcher.stop("t", 0)
    launcher.start("t")

    told = launcher.network_of(launcher.get("t"))
    assert told is not None
    other, _ = bridged(name="u")
    with namespace_of(other.pid) as inside:
        assert eventually(lambda: answer_of(inside, told["address"], 80) == "hello")


def test_in_a_user_namespace_its_files_are_still_its_own(launcher: Launcher, run: Run) -> None:
    run("echo $(id -u) >> /root/who; sleep 60", userns="auto")
    assert eventually(lambda: launcher.exec("t", ["test", "-s", "/root/who"]).wait() == 0)

    launcher.restart("t", 0)

    def lines() -> bytes:
        return b"".join(data for _, data in launcher.exec("t", ["cat", "/root/who"]))

    assert eventually(lambda: lines() == b"0\n0\n")


def test_with_the_vfs_driver_its_copy_is_not_made_anew(launcher: Launcher, run: Run) -> None:
    run("echo x >> /root/kept; sleep 60", driver="vfs")
    assert eventually(lambda: launcher.exec("t", ["test", "-s", "/root/kept"]).wait() == 0)

    launcher.restart("t", 0)

    assert eventually(
        lambda: b"".join(data for _, data in launcher.exec("t", ["cat", "/root/kept"])) == b"x\nx\n"
    )
