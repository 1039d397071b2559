"""Disk traffic, weight and throttles, per device: controller ``blkio``, called ``io`` in the unified tree.

Documentation/admin-guide/cgroup-v1/blkio-controller.rst and cgroup-v2.rst, "IO".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from cgroupfs.host import Host
from cgroupfs.io_limits import (
    THROTTLE_FILES,
    IoLimit,
    IoLimits,
    check_io_max,
    parse_io_max,
    parse_throttle,
    plan_io_max,
    plan_throttles,
)
from cgroupfs.io_settings import (
    BFQ_V1,
    BFQ_V2,
    COST,
    WeightKind,
    Weights,
    parse_latency,
    parse_weights,
    plan_latency,
    plan_weight,
)
from cgroupfs.io_traffic import (
    DeviceIo,
    IoStat,
    Operations,
    parse_cost_wait,
    parse_io_stat,
    parse_operations,
    parse_wait,
)
from cgroupfs.statistic import Dirs, Source
from cgroupfs.wishes import Wanted, check_offered
from cgroupfs.writes import Write

_NO_OPERATIONS: Final = (0, 0, None)


class IoDetails(NamedTuple):
    """What is looked at now and then; None: this kernel does not tell."""

    wait_usec: Mapping[str, int] | None = None  # device -> time that requests waited in the scheduler
    bfq_weight_by_device: Mapping[str, int] | None = None
    weight_by_device: Mapping[str, int] | None = None


class BlkioV1:
    """The blkio hierarchy."""

    limit_files: tuple[str, ...] = ("blkio.bfq.weight", *THROTTLE_FILES.values())
    # BFQ's needs a debug build; the other is CFQ's, which kernels up to 4.20 have.
    wait_files: tuple[str, ...] = ("blkio.bfq.io_wait_time_recursive", "blkio.io_wait_time_recursive")

    def __init__(self) -> None:
        files = ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive")
        self.sources = tuple(Source("blkio", file, parse_operations) for file in files)

    def build(self, values: Sequence[Any]) -> IoStat | None:
        moved: Operations | None
        served: Operations | None
        moved, served = values
        if moved is None or served is None:
            return None
        devices = []
        for device, (read, write, discard) in moved.items():
            reads, writes, _ = served.get(device, _NO_OPERATIONS)
            devices.append(DeviceIo(device, read, write, reads, writes, discard))
        return IoStat(tuple(devices))

    def read_limits(self, dirs: Dirs) -> IoLimits:
        weights = _read_weights(dirs, BFQ_V1)
        return IoLimits(bfq_weight=weights and weights.default, io_max=self._read_throttles(dirs))

    def _read_throttles(self, dirs: Dirs) -> dict[str, IoLimit] | None:
        """Throttled devices alone; None if throttles are not offered."""
        limits: dict[str, dict[str, int]] = {}
        for field, file in THROTTLE_FILES.items():
            text = _read(dirs, file)
            if text is None:
                return None
            for device, number in parse_throttle(text, file).items():
                limits.setdefault(device, {})[field] = number
        return {device: IoLimit(**fields) for device, fields in sorted(limits.items())}

    def plan_limits(self, dirs: Dirs, wanted: Wanted, host: Host) -> list[Write]:
        """Writes for ``blkio_weight`` and ``io_*`` in `wanted`; BadLimit, NotOffered."""
        return _plan(self.read_limits(dirs), dirs, wanted, host, v1=True)

    def read_details(self, dirs: Dirs) -> IoDetails:
        texts = (_read(dirs, file) for file in self.wait_files)
        waited = next((text for text in texts if text is not None), None)
        weights = _read_weights(dirs, BFQ_V1)
        return IoDetails(
            None if waited is None else parse_wait(waited.encode()), weights and weights.by_device, None
        )


class BlkioV2:
    """The io controller of the unified tree."""

    limit_files: tuple[str, ...] = ("io.bfq.weight", "io.max", "io.weight", "io.latency")
    wait_files: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.sources: tuple[Source, ...] = (Source("blkio", "io.stat", parse_io_stat),)

    def build(self, values: Sequence[Any]) -> IoStat | None:
        stat: IoStat | None = values[0]
        return stat

    def read_limits(self, dirs: Dirs) -> IoLimits:
        bfq, cost = _read_weights(dirs, BFQ_V2), _read_weights(dirs, COST)
        throttles, latency = _read(dirs, "io.max"), _read(dirs, "io.latency")
        return IoLimits(
            bfq_weight=bfq and bfq.default,
            io_max=None if throttles is None else parse_io_max(throttles),
            weight=cost and cost.default,
            latency_usec=None if latency is None else parse_latency(latency),
        )

    def plan_limits(self, dirs: Dirs, wanted: Wanted, host: Host) -> list[Write]:
        """Writes for ``blkio_weight`` and ``io_*`` in `wanted`; BadLimit, NotOffered."""
        return _plan(self.read_limits(dirs), dirs, wanted, host, v1=False)

    def read_details(self, dirs: Dirs) -> IoDetails:
        bfq, cost = _read_weights(dirs, BFQ_V2), _read_weights(dirs, COST)
        stat = _read(dirs, "io.stat")
        return IoDetails(
            None if stat is None else parse_cost_wait(stat.encode()),
            bfq and bfq.by_device,
            cost and cost.by_device,
        )


def _plan(now: IoLimits, dirs: Dirs, wanted: Wanted, host: Host, *, v1: bool) -> list[Write]:
    wish = check_io_max(wanted["io_max"], host) if "io_max" in wanted else {}
    bfq = BFQ_V1 if v1 else BFQ_V2
    offered = {
        "blkio_weight": (bfq.file, now.bfq_weight is not None),
        "io_max": (THROTTLE_FILES["read_bytes_per_sec"] if v1 else "io.max", now.io_max is not None),
        "io_weight": (COST.file, now.weight is not None),
        "io_latency_usec": ("io.latency", now.latency_usec is not None),
    }
    check_offered(dirs, "blkio", wanted, offered)
    writes: list[Write] = []
    for kind, weight in ((bfq, now.bfq_weight), (COST, now.weight)):
        if kind.field in wanted and weight is not None:
            writes += plan_weight(weight, wanted[kind.field], kind)
    if now.latency_usec is not None and "io_latency_usec" in wanted:
        writes += plan_latency(now.latency_usec, wanted["io_latency_usec"], host)
    return writes + (plan_throttles if v1 else plan_io_max)(now.io_max or {}, wish)


def _read(dirs: Dirs, file: str) -> str | None:
    return dirs["blkio"].read(file) if "blkio" in dirs else None


def _read_weights(dirs: Dirs, kind: WeightKind) -> Weights | None:
    text = _read(dirs, kind.file)
    return None if text is None else parse_weights(text, kind.file)
