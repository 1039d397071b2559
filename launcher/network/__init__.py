"""Networks of containers: one bridge for each daemon, a pair of links for each container, rules in nftables.

`ContainerNetworks` is the door. Nothing here is imported by the spawner; pyroute2 and libnftables are loaded
for the first container that needs a bridge.
"""

from launcher.network.errors import (
    AddressTaken,
    NetworkFailed,
    NetworkUnavailable,
    NoAddressFree,
    PortTaken,
)
from launcher.network.ground import NetworkConfig
from launcher.network.network import ContainerNetworks

__all__ = [
    "AddressTaken",
    "ContainerNetworks",
    "NetworkConfig",
    "NetworkFailed",
    "NetworkUnavailable",
    "NoAddressFree",
    "PortTaken",
]
