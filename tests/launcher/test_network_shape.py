"""Rates of a container on the bridge, told by the ratio to the other way: the machine may be slow."""

import socket
import threading
import time
from collections.abc import Callable

import pytest

from launcher import Container, Launcher
from launcher.network.links import burst_of
from tests.launcher.conftest import NetPlace
from tests.launcher.hosts import OUTSIDE_ADDRESS, PATIENCE_SEC, NetworkHost, namespace_of, open_in

Run = Callable[..., Container]
RATE = 16_000_000
BYTES = 2 << 20
"""A second at that rate, less what the bucket holds; unshaped some milliseconds."""


@pytest.fixture
def place(net_place: NetPlace) -> NetPlace:
    return net_place


def seconds_for(sender: int, receiver: int, address: str) -> float:
    """How long it takes until `BYTES` sent from one namespace have arrived in the other, by TCP."""
    with open_in(receiver) as server, open_in(sender) as client:
        server.bind((address, 7001))
        server.listen()
        client.connect((address, 7001))
        connection, _ = server.accept()
        thread = threading.Thread(target=_send_all, args=(client,))
        began = time.monotonic()
        thread.start()
        left = BYTES
        while left and (data := connection.recv(1 << 16)):
            left -= len(data)
        taken = time.monotonic() - began
        thread.join()
        connection.close()
    assert not left
    return taken


def _send_all(client: socket.socket) -> None:
    client.settimeout(PATIENCE_SEC * 3)
    client.sendall(bytes(BYTES))


@pytest.mark.kernel
@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_a_rate_holds_in_its_direction_and_no_other(
    run: Run, launcher: Launcher, net_host: NetworkHost, direction: str
) -> None:
    container = run("sleep 60", network="bridge", **{f"net_{direction}_bits_per_sec": RATE})
    told = launcher.network_of(container)
    assert told is not None

    with namespace_of(container.pid) as inside:
        # The world outside has no way to the container's address but the one that it is given here.
        net_host.run_outside("ip", "route", "add", told["address"], "via", "203.0.113.1")
        out = seconds_for(inside, net_host.outside, OUTSIDE_ADDRESS)
        into = seconds_for(net_host.namespace, inside, told["address"])

    shaped, free = (out, into) if direction == "egress" else (into, out)
    assert shaped > 5 * free
    at_the_rate = (BYTES - burst_of(RATE // 8)) * 8 / RATE
    assert shaped > 0.8 * at_the_rate


def test_the_bucket_fits_its_rate() -> None:
    assert burst_of(10**7 // 8) == 256 << 10
    assert burst_of(10**10 // 8) == 12_500_000
    assert burst_of(8000 // 8) == 16 << 10
