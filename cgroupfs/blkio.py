"""Disk traffic, weight and throttles, per device: controller ``blkio``, called ``io`` in the unified tree.

v1 counts what passes the throttle layer, without background writeback.
Documentation/admin-guide/cgroup-v1/blkio-controller.rst and cgroup-v2.rst, "IO".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from cgroupfs.errors import ParseError
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
    parse_nested,
    parse_weights,
    plan_latency,
    plan_weight,
)
from cgroupfs.statistic import Dirs, Source
from cgroupfs.values import NSEC_PER_USEC, parse_int
from cgroupfs.wishes import Wanted, check_offered
from cgroupfs.writes import Write


class DeviceIo(NamedTuple):
    """Traffic of one device, named ``major:minor``."""

    device: str
    read_bytes: int
    write_bytes: int
    reads: int
    writes: int
    discard_bytes: int | None


class IoStat(NamedTuple):
    """Traffic per device; the properties are sums over the devices."""

    devices: tuple[DeviceIo, ...]

    @property
    def read_bytes(self) -> int:
        return sum([device.read_bytes for device in self.devices])

    @property
    def write_bytes(self) -> int:
        return sum([device.write_bytes for device in self.devices])

    @property
    def reads(self) -> int:
        return sum([device.reads for device in self.devices])

    @property
    def writes(self) -> int:
        return sum([device.writes for device in self.devices])


Operations = dict[str, tuple[int, int, int | None]]
_NO_OPERATIONS: Final = (0, 0, None)
_WORDS_PER_DEVICE: Final = 18


def parse_operations(raw: bytes) -> Operations:
    """v1 ``blkio.throttle.io_*_recursive``: device -> (Read, Write, Discard).

    Six lines a device since Linux 4.20, five before (no Discard), and a bare ``Total N`` at the end.
    """
    words = raw.split()
    operations: Operations = {}
    try:
        for at in range(0, len(words) - 2, _WORDS_PER_DEVICE):
            device = words[at]
            if words[at + 1] != b"Read" or words[at + 4] != b"Write" or words[at + 13] != b"Discard":
                return _parse_operations_by_line(raw)
            operations[device.decode("ascii")] = (int(words[at + 2]), int(words[at + 5]), int(words[at + 14]))
    except (IndexError, ValueError):
        return _parse_operations_by_line(raw)
    return operations if len(words) % _WORDS_PER_DEVICE == 2 else _parse_operations_by_line(raw)


def _parse_operations_by_line(raw: bytes) -> Operations:
    """The same for any order and any set of operations, slower."""
    by_device: dict[bytes, dict[bytes, bytes]] = {}
    for line in raw.splitlines():
        words = line.split()
        if len(words) == 3:
            by_device.setdefault(words[0], {})[words[1]] = words[2]
        elif len(words) != 2 or words[0] != b"Total":
            raise ParseError("blkio.throttle", repr(line[:80]))
    try:
        return {device.decode("ascii"): _pick_operations(fields) for device, fields in by_device.items()}
    except (KeyError, ValueError) as e:
        raise ParseError("blkio.throttle", repr(raw[:80])) from e


def _pick_operations(fields: Mapping[bytes, bytes]) -> tuple[int, int, int | None]:
    discard = fields.get(b"Discard")
    return int(fields[b"Read"]), int(fields[b"Write"]), None if discard is None else int(discard)


def parse_io_stat(raw: bytes) -> IoStat:
    """v2 ``io.stat``: ``major:minor key=number ...`` a line, a device that did nothing having no keys.

    Latency targets and the cost model add keys of other forms (``depth=max``, ``cost.vrate=100.00``).
    """
    devices = []
    for line in raw.splitlines():
        try:
            device, *pairs = line.split()
            field = dict([pair.partition(b"=")[::2] for pair in pairs])
            if not all(field.values()):
                raise ParseError("io.stat", repr(line[:80]))
            name = device.decode("ascii")
            if b"rbytes" in field:
                read, write, reads, writes = (
                    int(field[key]) for key in (b"rbytes", b"wbytes", b"rios", b"wios")
                )
                discard = field.get(b"dbytes")
                devices.append(
                    DeviceIo(name, read, write, reads, writes, None if discard is None else int(discard))
                )
        except (KeyError, ValueError) as e:
            raise ParseError("io.stat", repr(line[:80])) from e
    return IoStat(tuple(devices))


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
        return IoDetails(None if waited is None else parse_wait(waited), weights and weights.by_device, None)


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
            None if stat is None else parse_cost_wait(stat), bfq and bfq.by_device, cost and cost.by_device
        )


def parse_wait(text: str) -> dict[str, int]:
    """v1 ``*.io_wait_time_recursive``: nanoseconds a device, of which the ``Total`` line counts."""
    waited = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == "Total":
            waited[words[0]] = parse_int(words[2], "io_wait_time") // NSEC_PER_USEC
        elif not 2 <= len(words) <= 3:
            raise ParseError("io_wait_time", line)
    return waited


def parse_cost_wait(text: str) -> dict[str, int] | None:
    """v2 ``io.stat`` with the cost model's own statistics: ``cost.wait`` in microseconds; None without."""
    devices = parse_nested(text, "io.stat")
    waited = {
        device: parse_int(fields["cost.wait"], "io.stat")
        for device, fields in devices.items()
        if "cost.wait" in fields
    }
    return waited or None


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
