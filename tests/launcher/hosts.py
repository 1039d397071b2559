"""A host of a test's own for its networks: a namespace that the test's thread is in, with an outside world
beside it. What is made there is seen by nobody else, and nothing of it can stay.
"""

import ctypes
import os
import subprocess

from launcher.network import netns
from launcher.network.nft import Nft
from launcher.syscalls import CLONE_NEWNET

OUTSIDE_ADDRESS = "203.0.113.2"
HOST_ADDRESS = "203.0.113.1"


class NetworkHost:
    """`eth9` is the uplink, with the only default route; the world at its other end routes nothing back."""

    def __init__(self) -> None:
        self._home = netns.current()
        self._enter_a_new_one()
        netns.write_setting("ipv4/conf/default/forwarding", "0")
        self.namespace = netns.current()
        self.outside = netns.make()
        self.run("ip", "link", "add", "eth9", "type", "veth", "peer", "name", "eth0")
        # `ip link set … netns` takes a pid: one that sleeps in the world outside.
        with self.started_outside("sleep", "60") as sleeper:
            self.run("ip", "link", "set", "eth0", "netns", str(sleeper.pid))
            sleeper.kill()
        self.run("ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", "eth9")
        self.run("ip", "link", "set", "eth9", "up")
        self.run("ip", "route", "add", "default", "via", OUTSIDE_ADDRESS)
        self.run_outside("ip", "addr", "add", f"{OUTSIDE_ADDRESS}/24", "dev", "eth0")
        self.run_outside("ip", "link", "set", "eth0", "up")

    def _enter_a_new_one(self) -> None:
        netns._call("unshare", ctypes.c_int(CLONE_NEWNET))
        netns.prepare()

    def run(self, *command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def run_outside(self, *command: str) -> str:
        with netns.inside(self.outside):
            return self.run(*command)

    def started_outside(self, *command: str) -> subprocess.Popen[str]:
        """The caller ends it."""
        with netns.inside(self.outside):
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def links(self) -> set[str]:
        """Every interface of ours."""
        with open("/proc/thread-self/net/dev") as file:
            names = {line.partition(":")[0].strip() for line in file.read().splitlines()[2:]}
        return {name for name in names if name.startswith("cgw")}

    def tables(self) -> str:
        return Nft().run("list tables")

    def forwards(self, device: str) -> bool:
        return netns.read_setting(f"ipv4/conf/{device}/forwarding") == "1"

    def remains(self) -> list[str]:
        """Whatever a daemon left in this host's network."""
        left = sorted(self.links())
        if tables := self.tables().split("\n"):
            left += [table for table in tables if table]
        return left + [device for device in ("eth9",) if self.forwards(device)]

    def close(self) -> None:
        with open(f"/proc/self/fd/{self._home}"):
            netns._call("setns", ctypes.c_int(self._home), ctypes.c_int(CLONE_NEWNET))
        for fd in (self.outside, self.namespace, self._home):
            os.close(fd)
