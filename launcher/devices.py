"""Which devices a container may open: the rules that go into its cgroup before its first process exists, and
the nodes that its /dev gets.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any, Final

from cgroupfs import DeviceRule
from launcher import places
from launcher.capabilities import plan_capabilities
from launcher.defaults import DEVICE_NODES
from launcher.devfs import Node
from launcher.errors import BadSpec
from launcher.spec import ContainerSpec

# The nodes in /dev, /dev/ptmx's multiplexer and every pseudo terminal; all else is denied.
DEFAULT_DEVICE_RULES: Final = (
    *(DeviceRule(True, "c", node.major, node.minor, "rwm") for node in DEVICE_NODES),
    DeviceRule(True, "c", 5, 2, "rwm"),
    DeviceRule(True, "c", 136, None, "rwm"),
)
# With CAP_MKNOD a container may make device nodes, but still not open them.
MKNOD_DEVICE_RULES: Final = (DeviceRule(True, "c", None, None, "m"), DeviceRule(True, "b", None, None, "m"))


def device_rules(spec: ContainerSpec) -> tuple[DeviceRule, ...]:
    """What is allowed to this container; everything else is denied first."""
    may_make = "MKNOD" in plan_capabilities(spec.cap_add, spec.cap_drop)
    asked = tuple(_rule(f"devices/{index}/source", device) for index, device in enumerate(spec.devices))
    return DEFAULT_DEVICE_RULES + (MKNOD_DEVICE_RULES if may_make else ()) + asked


def _rule(field: str, device: Mapping[str, Any]) -> DeviceRule:
    found = _stat(field, device["source"])
    # `m` always: the first process makes the node when it is in the cgroup already.
    permissions = "".join(sorted({*device["permissions"], "m"}, key="rwm".index))
    kind = "b" if stat.S_ISBLK(found.st_mode) else "c"
    return DeviceRule(True, kind, os.major(found.st_rdev), os.minor(found.st_rdev), permissions)


def _stat(field: str, source: str) -> os.stat_result:
    try:
        found = os.stat(source)
    except OSError as e:
        raise BadSpec(field, f"{source}: {(e.strerror or str(e)).lower()}") from None
    if not stat.S_ISBLK(found.st_mode) and not stat.S_ISCHR(found.st_mode):
        raise BadSpec(field, f"{source} is not a device")
    return found


def check_devices(spec: ContainerSpec) -> None:
    """Refuse, by field, what cannot be given."""
    device_rules(spec)
    for index, device in enumerate(spec.devices):
        field = f"devices/{index}/target"
        target = os.path.normpath(device["target"] or device["source"])
        if not target.startswith("/dev/") or target.startswith("/dev/shm/") or places.is_kept(target):
            raise BadSpec(
                field, f"{target}: a device must appear below the container's /dev, and replace nothing there"
            )


def device_nodes(spec: ContainerSpec) -> tuple[Node, ...]:
    """What the container's /dev gets besides the usual."""
    nodes = []
    for index, device in enumerate(spec.devices):
        found = _stat(f"devices/{index}/source", device["source"])
        name = os.path.normpath(device["target"] or device["source"]).removeprefix("/dev/")
        nodes.append(Node(name, found.st_mode, found.st_rdev, found.st_uid, found.st_gid))
    return tuple(nodes)
