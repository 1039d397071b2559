"""Disk traffic, weight and throttles, per device: controller ``blkio``, called ``io`` in the unified tree.

v1 counts what passes the throttle layer, without background writeback.
Documentation/admin-guide/cgroup-v1/blkio-controller.rst and cgroup-v2.rst, "IO".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from cgroupfs.errors import NotOffered, ParseError
from cgroupfs.host import Host
from cgroupfs.io_limits import THROTTLE_FILES, IoLimit, check_io_max, plan_io_max
from cgroupfs.statistic import Dirs, Source
from cgroupfs.values import parse_int
from cgroupfs.wishes import Wanted, check_whole, is_lifted
from cgroupfs.writes import Write

WEIGHTS: Final = (1, 1000)
DEFAULT_WEIGHT: Final = 100


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
    """v2 ``io.stat``: ``major:minor key=number ...`` a line, a device that did nothing having no keys."""
    devices = []
    for line in raw.splitlines():
        try:
            device, *pairs = line.split()
            field = {key: int(number) for key, _, number in (pair.partition(b"=") for pair in pairs)}
            read, write, reads, writes = (
                field.get(key, 0) for key in (b"rbytes", b"wbytes", b"rios", b"wios")
            )
            if field:
                name = device.decode("ascii")
                devices.append(DeviceIo(name, read, write, reads, writes, field.get(b"dbytes")))
        except ValueError as e:
            raise ParseError("io.stat", repr(line[:80])) from e
    return IoStat(tuple(devices))


def parse_throttle(text: str, what: str) -> dict[str, int]:
    """v1 ``blkio.throttle.*_device``: one ``major:minor number`` a line."""
    limits = {}
    for line in text.splitlines():
        device, _, number = line.partition(" ")
        limits[device] = parse_int(number, what)
    return limits


def parse_weight(text: str, what: str) -> int:
    """``blkio.bfq.weight``: a number, which newer kernels precede with ``default``."""
    return parse_int(text.strip().removeprefix("default "), what)


class BlkioV1:
    """The blkio hierarchy."""

    limit_files = ("blkio.bfq.weight", *THROTTLE_FILES.values())

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

    def read_weight(self, dirs: Dirs) -> int | None:
        text = dirs["blkio"].read("blkio.bfq.weight") if "blkio" in dirs else None
        return None if text is None else parse_weight(text, "blkio.bfq.weight")

    def read_io_max(self, dirs: Dirs) -> dict[str, IoLimit] | None:
        """Throttled devices alone; None if throttles are not offered."""
        if "blkio" not in dirs:
            return None
        limits: dict[str, dict[str, int]] = {}
        for field, file in THROTTLE_FILES.items():
            text = dirs["blkio"].read(file)
            if text is None:
                return None
            for device, number in parse_throttle(text, file).items():
                limits.setdefault(device, {})[field] = number
        return {device: IoLimit(**fields) for device, fields in sorted(limits.items())}

    def plan_limits(self, dirs: Dirs, wanted: Wanted, host: Host) -> list[Write]:
        """Writes for ``blkio_weight`` and ``io_max`` in `wanted`; BadLimit, NotOffered."""
        writes = []
        if "blkio_weight" in wanted:
            writes += self._plan_weight(dirs, wanted["blkio_weight"])
        if "io_max" in wanted:
            wish = check_io_max(wanted["io_max"], host)
            now = self.read_io_max(dirs)
            if now is None:
                raise NotOffered(_path(dirs), "blkio.throttle.read_bps_device")
            writes += plan_io_max(now, wish)
        return writes

    def _plan_weight(self, dirs: Dirs, value: object) -> list[Write]:
        weight = DEFAULT_WEIGHT if is_lifted(value) else check_whole("blkio_weight", value, *WEIGHTS)
        now = self.read_weight(dirs)
        if now is None:
            raise NotOffered(_path(dirs), "blkio.bfq.weight")
        return [] if weight == now else [Write("blkio", "blkio.bfq.weight", str(weight))]


class BlkioV2:
    """The io controller of the unified tree."""

    limit_files = ("io.bfq.weight", "io.max")

    def __init__(self) -> None:
        self.sources = (Source("blkio", "io.stat", parse_io_stat),)

    def build(self, values: Sequence[Any]) -> IoStat | None:
        stat: IoStat | None = values[0]
        return stat


def _path(dirs: Dirs) -> str:
    return dirs["blkio"].path if "blkio" in dirs else "blkio"
