"""Which devices a container may open: the rules that go into its cgroup before its first process exists, and
the nodes that its /dev gets.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from cgroupfs import DeviceRule
from launcher.defaults import DEVICE_NODES
from launcher.errors import BadSpec
from launcher.scene import places
from launcher.scene.capabilities import plan_capabilities
from launcher.scene.devfs import Node
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
    asked = tuple(
        _rule(node, device["permissions"])
        for index, device in enumerate(spec.devices)
        for node in _nodes_of(f"devices/{index}/source", device)
    )
    return DEFAULT_DEVICE_RULES + (MKNOD_DEVICE_RULES if may_make else ()) + asked


def _rule(node: Node, permissions: str) -> DeviceRule:
    # `m` always: the first process makes the node when it is in the cgroup already.
    allowed = "".join(sorted({*permissions, "m"}, key="rwm".index))
    kind = "b" if stat.S_ISBLK(node.mode) else "c"
    return DeviceRule(True, kind, os.major(node.number), os.minor(node.number), allowed)


def check_devices(spec: ContainerSpec) -> None:
    """Refuse, by field, what cannot be given."""
    device_rules(spec)
    for index, device in enumerate(spec.devices):
        target = _target_of(device)
        if not target.startswith("/dev/") or target.startswith("/dev/shm/") or places.is_kept(target):
            why = "a device must appear below the container's /dev, and replace nothing there"
            raise BadSpec(f"devices/{index}/target", f"{target}: {why}")
    _check_places(spec)


def _check_places(spec: ContainerSpec) -> None:
    """The same once more is given once; two that want one place cannot both have it."""
    taken: dict[str, tuple[Node, str]] = {}
    for index, device in enumerate(spec.devices):
        for node in _nodes_of(f"devices/{index}/source", device):
            given = (node, device["permissions"])
            if taken.setdefault(node.name, given) != given:
                raise BadSpec(f"devices/{index}/target", f"/dev/{node.name} is given twice, and not alike")
    for above in sorted(taken.keys() & {str(part) for name in taken for part in PurePath(name).parents}):
        raise BadSpec("devices", f"/dev/{above} cannot be a device and have others below it")


def device_nodes(spec: ContainerSpec) -> tuple[Node, ...]:
    """What the container's /dev gets besides the usual."""
    nodes = (
        node
        for index, device in enumerate(spec.devices)
        for node in _nodes_of(f"devices/{index}/source", device)
    )
    return tuple({node.name: node for node in nodes}.values())


def _nodes_of(field: str, device: Mapping[str, Any]) -> list[Node]:
    """The device, or all that are in the directory, at their places below the container's /dev."""
    source, below = device["source"], _target_of(device).removeprefix("/dev/")
    try:
        found = os.stat(source)
    except OSError as e:
        raise BadSpec(field, f"{source}: {(e.strerror or str(e)).lower()}") from None
    if _is_device(found):
        return [_node(below, found)]
    nodes = list(_in_directory(source, below)) if stat.S_ISDIR(found.st_mode) else []
    if not nodes:
        raise BadSpec(field, f"{source} is not a device, nor a directory of devices")
    return nodes


def _in_directory(source: str, below: str) -> Iterator[Node]:
    """Links are passed over: what they lead to has a name of its own."""
    for above, _directories, names in os.walk(source):
        for name in sorted(names):
            path = f"{above}/{name}"
            with contextlib.suppress(FileNotFoundError):
                if _is_device(found := os.lstat(path)):
                    yield _node(f"{below}{path.removeprefix(source.rstrip('/'))}", found)


def _is_device(found: os.stat_result) -> bool:
    return stat.S_ISBLK(found.st_mode) or stat.S_ISCHR(found.st_mode)


def _node(name: str, found: os.stat_result) -> Node:
    return Node(name, found.st_mode, found.st_rdev, found.st_uid, found.st_gid)


def _target_of(device: Mapping[str, Any]) -> str:
    target: str = device["target"] or device["source"]
    return os.path.normpath(target)
