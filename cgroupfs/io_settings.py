"""What besides throttles decides who gets the disk: weights, latency targets and the cost model's settings.

Pure. Documentation/admin-guide/cgroup-v2.rst, "IO"; Documentation/block/bfq-iosched.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from cgroupfs.errors import BadLimit, ParseError
from cgroupfs.host import Host
from cgroupfs.io_limits import check_device
from cgroupfs.values import parse_int
from cgroupfs.wishes import check_whole, is_lifted
from cgroupfs.writes import Write

MOST_LATENCY_USEC: Final = 1 << 40


class WeightKind(NamedTuple):
    """A share of disk time: the BFQ scheduler's, or that of the cost model."""

    field: str
    file: str
    low: int
    high: int
    default: int


BFQ_V1: Final = WeightKind("blkio_weight", "blkio.bfq.weight", 1, 1000, 100)
BFQ_V2: Final = WeightKind("blkio_weight", "io.bfq.weight", 1, 1000, 100)
COST: Final = WeightKind("io_weight", "io.weight", 1, 10_000, 100)


class Weights(NamedTuple):
    """The weight of all devices but those that have their own."""

    default: int
    by_device: Mapping[str, int]


def parse_weights(text: str, what: str) -> Weights:
    """``*.weight``: a number, which newer kernels precede with ``default`` and follow with devices."""
    default: int | None = None
    devices: dict[str, int] = {}
    for line in text.splitlines():
        name, space, number = line.rpartition(" ")
        if not space or name == "default":
            default = parse_int(number, what)
        else:
            devices[name] = parse_int(number, what)
    if default is None:
        raise ParseError(what, text)
    return Weights(default, devices)


def plan_weight(now: int, value: object, kind: WeightKind) -> list[Write]:
    """The write of the default weight, if it changes; lifted it is the kernel's own default."""
    weight = kind.default if is_lifted(value) else check_whole(kind.field, value, kind.low, kind.high)
    return [] if weight == now else [Write("blkio", kind.file, str(weight))]


def parse_latency(text: str) -> dict[str, int]:
    """v2 ``io.latency``: ``major:minor target=microseconds`` a line."""
    targets = {}
    for line in text.splitlines():
        device, _, target = line.partition(" target=")
        targets[device] = parse_int(target, "io.latency")
    return targets


def plan_latency(now: Mapping[str, int], value: object, host: Host) -> list[Write]:
    """One write per device whose target changes; 0 takes a target away."""
    field = "io_latency_usec"
    if is_lifted(value):
        value = dict.fromkeys(now)
    if not isinstance(value, Mapping):
        raise BadLimit(field, 'is a mapping such as {"8:0": 75000}')
    targets = {
        check_device(field, device, host): 0
        if is_lifted(target)
        else check_whole(field, target, 0, MOST_LATENCY_USEC)
        for device, target in value.items()
    }
    return [
        Write("blkio", "io.latency", f"{device} target={target}", key=device)
        for device, target in targets.items()
        if target != now.get(device, 0)
    ]


def parse_nested(text: str, what: str) -> dict[str, dict[str, str]]:
    """A nested keyed file: ``device key=value ...`` a line, as ``io.cost.qos`` and ``io.cost.model`` are."""
    devices = {}
    for line in text.splitlines():
        device, *pairs = line.split() or [""]
        fields = dict(pair.partition("=")[::2] for pair in pairs)
        if not device or not all(fields.values()):
            raise ParseError(what, line)
        devices[device] = fields
    return devices
