"""Networks and names, beside the rows of the talk; details are tested elsewhere."""

from collections.abc import Callable

import pytest

from launcher import Launcher
from launcher.network import netns
from tests.launcher.conftest import NetPlace, eventually
from tests.launcher.hosts import (
    HOST_ADDRESS,
    OUTSIDE_ADDRESS,
    NetworkHost,
    answer_of,
    namespace_of,
    open_in,
)

pytestmark = pytest.mark.kernel

Output = Callable[..., list[str]]


def lines_of(launcher: Launcher, name: str, *command: str) -> list[str]:
    """What a program says that is started inside by `exec`."""
    return b"".join(data for _stream, data in launcher.exec(name, command)).decode().splitlines()


def test_networks_none_host_bridge_masquerade_port_publishing_and_rates(
    net_place: NetPlace, net_host: NetworkHost
) -> None:
    launcher = net_place.launcher()
    rates = {"net_egress_bits_per_sec": 10**7, "net_ingress_bits_per_sec": 2 * 10**7}
    ports = [{"container_port": 80, "host_port": 8080}]
    bridge = launcher.run(net_place.spec("bridge", "nc -ll -p 80 -e cat", publish=ports, **rates))
    launcher.run(net_place.spec("none", network="none"))
    launcher.run(net_place.spec("host", network="host"))

    devices = {name: lines_of(launcher, name, "ls", "/sys/class/net") for name in ("none", "bridge", "host")}
    assert devices["none"] == ["lo"]
    assert sorted(devices["bridge"]) == ["eth0", "lo"]
    assert "eth9" in devices["host"]
    assert lines_of(launcher, "none", "cat", "/sys/class/net/lo/flags") == ["0x9"]  # up, loopback
    assert eventually(lambda: answer_of(net_host.outside, HOST_ADDRESS, 8080) == "hello")
    assert answer_of(net_host.namespace, "127.0.0.1", 8080) == "hello"
    with namespace_of(bridge.pid) as inside, open_in(net_host.outside) as server:
        server.bind((OUTSIDE_ADDRESS, 7000))
        server.listen()
        with open_in(inside) as client:
            client.connect((OUTSIDE_ADDRESS, 7000))  # masqueraded: nobody out there knows the way back
        with netns.inside(inside):
            shaped_inside = net_host.run("tc", "qdisc", "show", "dev", "eth0")
    told = launcher.network_of(bridge)
    assert told is not None
    assert "tbf" in shaped_inside and "rate 10Mbit" in shaped_inside
    assert "tbf" in net_host.run("tc", "qdisc", "show", "dev", told["link"])


def test_etc_hosts_resolv_conf_and_hostname_of_its_own(output: Output) -> None:
    wishes = {"hostname": "box", "extra_hosts": {"db": "192.0.2.7"}, "dns": ["192.0.2.53"]}

    lines = output("cat /etc/hostname /etc/resolv.conf /etc/hosts; hostname", **wishes)

    assert [lines[0], lines[-1]] == ["box", "box"]
    assert lines[1] == "nameserver 192.0.2.53"
    assert "192.0.2.7\tdb" in lines
