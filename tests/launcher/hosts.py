"""A host of a test's own for its networks: a namespace that the test's thread is in, with an outside world
beside it. What is made there is seen by nobody else, and nothing of it can stay.
"""

import contextlib
import os
import select
import socket
import subprocess
import threading
from collections.abc import Iterator

from launcher.network import netns
from launcher.network.nft import Nft

OUTSIDE_ADDRESS = "203.0.113.2"
HOST_ADDRESS = "203.0.113.1"
PATIENCE_SEC = 10.0
LOST_SEC = 0.4
"""How long to wait for what shall not come."""


SERVE = "nc -ll -p 80 -e cat"
"""A program that sends back what it gets by TCP."""


def published(port: int, host_port: int = 0, **more: object) -> list[dict[str, object]]:
    """A wish for one published port."""
    return [{"container_port": port, "host_port": host_port} | more]


class NetworkHost:
    """`eth9` is the uplink, with the only default route; the world at its other end routes nothing back."""

    def __init__(self) -> None:
        self._home = netns.current()
        self.namespace, self.outside = netns.make(), netns.make()
        netns.enter(self.namespace)
        netns.write_setting("ipv4/conf/default/forwarding", "0")
        self.run(
            "ip", "link", "add", "eth9", "type", "veth", "peer", "name", "eth0", "netns", self._of_outside()
        )
        self.run("ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", "eth9")
        self.run("ip", "link", "set", "eth9", "up")
        self.run("ip", "route", "add", "default", "via", OUTSIDE_ADDRESS)
        self.run_outside("ip", "addr", "add", f"{OUTSIDE_ADDRESS}/24", "dev", "eth0")
        self.run_outside("ip", "link", "set", "eth0", "up")

    def _of_outside(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.outside}"

    def run(self, *command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def run_outside(self, *command: str) -> str:
        with netns.inside(self.outside):
            return self.run(*command)

    def links(self) -> set[str]:
        """Every interface of ours."""
        with open("/proc/thread-self/net/dev") as file:
            names = {line.partition(":")[0].strip() for line in file.read().splitlines()[2:]}
        return {name for name in names if name.startswith("cgw")}

    def rules(self) -> str:
        return Nft().run("list ruleset")

    def flush(self) -> None:
        """What `nft flush ruleset` does."""
        Nft().run("flush ruleset")

    def forwards(self, device: str) -> bool:
        return netns.read_setting(f"ipv4/conf/{device}/forwarding") == "1"

    def remains(self) -> list[str]:
        """Whatever a daemon left in this host's network."""
        tables = [line for line in self.rules().splitlines() if line.startswith("table ")]
        return [*sorted(self.links()), *tables, *(["forwarding"] if self.forwards("eth9") else [])]

    def close(self) -> None:
        netns.enter(self._home)
        for fd in (self.outside, self.namespace, self._home):
            os.close(fd)


@contextlib.contextmanager
def namespace_of(pid: int | None) -> Iterator[int]:
    """A process's network namespace, held open."""
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def open_in(namespace: int, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
    """A socket of that namespace; it stays there."""
    with netns.inside(namespace):
        made = socket.socket(family, kind)
    made.settimeout(PATIENCE_SEC)
    return made


def is_silent(namespace: int, address: str, port: int) -> bool:
    """Does nobody answer there by TCP?"""
    return answer_of(namespace, address, port, LOST_SEC * 3) == ""


def answer_of(namespace: int, address: str, port: int, patience_sec: float = PATIENCE_SEC) -> str:
    """What comes back for "hello" by TCP; empty where nobody answers."""
    with open_in(namespace) as client:
        client.settimeout(patience_sec)
        try:
            client.connect((address, port))
            client.sendall(b"hello\n")
            return client.recv(100).decode().strip()
        except OSError:
            return ""


def echoed(namespace: int, address: str, port: int, patience_sec: float = PATIENCE_SEC) -> bool:
    """Does a datagram come back?"""
    with open_in(namespace, socket.SOCK_DGRAM) as client:
        client.settimeout(patience_sec)
        try:
            client.connect((address, port))
            client.send(b"hello")
            return client.recv(100) == b"hello"
        except OSError:
            return False


def arrives(receiver: socket.socket, patience_sec: float = PATIENCE_SEC) -> bool:
    """Does anything come before that time is over?"""
    return bool(select.select([receiver], [], [], patience_sec)[0])


@contextlib.contextmanager
def udp_echo(namespace: int, port: int) -> Iterator[None]:
    """Sends every datagram back, from inside that namespace."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                data, sender = server.recvfrom(2000)
                if data == b"stop":
                    return
                server.sendto(data, sender)

    with open_in(namespace, socket.SOCK_DGRAM) as server:
        server.bind(("", port))
        server.settimeout(None)
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        with open_in(namespace, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"stop", ("127.0.0.1", port))
        thread.join()
