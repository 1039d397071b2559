"""Which devices a container may open: the rules that go into its cgroup before its first process exists."""

from __future__ import annotations

from typing import Final

from cgroupfs import DeviceRule
from launcher.capabilities import plan_capabilities
from launcher.defaults import DEVICE_NODES
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
    return DEFAULT_DEVICE_RULES + (MKNOD_DEVICE_RULES if may_make else ())
