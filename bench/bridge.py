"""The other side of `python -m bench launch --network bridge`: runc, and the `ip` commands that build the
same network, in as few processes as they can be had in.

All of it, the daemon too, is in a network namespace that ends with the bench.
"""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Final

from bench.launch import Runc

BRIDGE: Final = "bench0"
NETWORK: Final = "10.77.0"


class RuncOnBridge(Runc):
    """`runc run -d`, then a pair of links into its namespace, a port of the bridge, address, route."""

    label = "runc run -d and ip"

    def __init__(self, where: Path, root: Path) -> None:
        super().__init__(where, root)
        self._pid_files = where
        self._numbers = itertools.count(2)
        batch(
            f"link add {BRIDGE} type bridge",
            f"addr add {NETWORK}.1/24 dev {BRIDGE}",
            f"link set {BRIDGE} up",
        )

    def start(self, name: str) -> None:
        number = next(self._numbers) % 250 + 2
        pid_file = self._pid_files / f"{name}.pid"
        self.run(name, "--pid-file", str(pid_file))
        pid = pid_file.read_text()
        batch(
            f"link add bench{number} type veth peer name eth0 netns {pid}",
            f"link set bench{number} master {BRIDGE} up alias {name}",
        )
        batch(
            "link set lo up",
            f"addr add {NETWORK}.{number}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {NETWORK}.1",
            inside=pid,
        )


def batch(*lines: str, inside: str | None = None) -> None:
    """Several `ip` commands in one process, which is the quickest way to have them."""
    enter = [] if inside is None else ["nsenter", f"--net=/proc/{inside}/ns/net"]
    text = "".join(f"{line}\n" for line in lines)
    subprocess.run([*enter, "ip", "-batch", "-"], input=text, text=True, check=True, capture_output=True)
