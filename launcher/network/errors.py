"""What a network cannot be, each as one clear sentence for the person who asked."""

from __future__ import annotations

from launcher.errors import LauncherError


class NetworkUnavailable(LauncherError):
    """This host has no bridge networks now: a library, a kernel part or a free address range is missing."""


class NetworkFailed(LauncherError):
    """The kernel refused a step; everything made so far was undone."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"the network could not be made: {step}: {why}")
        self.step = step


class NoAddressFree(LauncherError):
    def __init__(self, pool: str) -> None:
        super().__init__(f"all addresses of {pool} are in use: remove a container, or enlarge network.pool")
        self.pool = pool


class AddressTaken(LauncherError):
    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"ip: {address} {why}")
        self.field = "ip"


class PortTaken(LauncherError):
    """`holder` says who has it: a container, or a process of the host."""

    def __init__(self, host_ip: str, port: int, protocol: str, holder: str) -> None:
        super().__init__(f"port {host_ip or '0.0.0.0'}:{port}/{protocol} is in use by {holder}")
        self.field = "publish"
        self.holder = holder
