"""What was read from and written to disks, per device, as the kernel's two forms tell it. Pure.

v1 counts what passes the throttle layer, without background writeback.
Documentation/admin-guide/cgroup-v1/blkio-controller.rst and cgroup-v2.rst, "IO".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from cgroupfs.errors import ParseError
from cgroupfs.values import NSEC_PER_USEC, parse_word


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
_WORDS_PER_DEVICE: Final = 18
# The usual line of io.stat, matched as a whole: the slow way takes four times as long.
_LINE: Final = re.compile(
    rb"(?:\d+:\d+ )*(\d+:\d+) rbytes=(\d{1,20}) wbytes=(\d{1,20}) rios=(\d{1,20}) wios=(\d{1,20})"
    rb"(?: dbytes=(\d{1,20}))?(?: [^\s=]+=\S+)*"
)
# Disks of ZFS and NVMe multipath, maybe several: nobody can tell which (containerd/cgroups#393).
UNNAMED: Final = b"(unknown)"


def parse_operations(raw: bytes) -> Operations:
    """v1 ``blkio.throttle.io_*_recursive``: device -> (Read, Write, Discard).

    Six lines a device since Linux 4.20, five before (no Discard), and a bare ``Total N`` at the end.
    """
    words = raw.split()
    if len(words) % _WORDS_PER_DEVICE != 2 or words[-2] != b"Total":
        return _parse_operations_by_line(raw)
    operations: Operations = {}
    for at in range(0, len(words) - 2, _WORDS_PER_DEVICE):
        if words[at + 1] != b"Read" or words[at + 4] != b"Write" or words[at + 13] != b"Discard":
            return _parse_operations_by_line(raw)
        numbers = _number(words[at + 2]), _number(words[at + 5]), _number(words[at + 14])
        if words[at] != UNNAMED:
            operations[_name(words[at])] = numbers
    return operations


def _number(word: bytes) -> int:
    return parse_word(word, "blkio.throttle")


def _name(word: bytes) -> str:
    return word.decode("ascii", "backslashreplace")


def _parse_operations_by_line(raw: bytes) -> Operations:
    """The same for any order and any set of operations, slower."""
    by_device: dict[bytes, dict[bytes, bytes]] = {}
    for line in raw.splitlines():
        words = line.split()
        if len(words) == 3:
            by_device.setdefault(words[0], {})[words[1]] = words[2]
        elif len(words) != 2 or words[0] != b"Total":
            raise ParseError("blkio.throttle", line[:81])
    return {
        _name(device): _pick_operations(fields, raw)
        for device, fields in by_device.items()
        if device != UNNAMED
    }


def _pick_operations(fields: Mapping[bytes, bytes], raw: bytes) -> tuple[int, int, int | None]:
    if b"Read" not in fields or b"Write" not in fields:
        raise ParseError("blkio.throttle", raw[:81])
    discard = fields.get(b"Discard")
    return _number(fields[b"Read"]), _number(fields[b"Write"]), None if discard is None else _number(discard)


def parse_io_stat(raw: bytes) -> IoStat:
    """v2 ``io.stat``: ``major:minor key=number ...`` a line, a device that did nothing having no keys.

    Latency targets and the cost model add keys of other forms (``depth=max``, ``cost.vrate=100.00``).
    """
    devices = []
    for line in raw.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None:
            name, read, write, reads, writes, discard = match.groups()
            discarded = None if discard is None else int(discard)
            devices.append(DeviceIo(name.decode(), int(read), int(write), int(reads), int(writes), discarded))
            continue
        name, field = _split_line(line)
        if b"rbytes" in field and name != UNNAMED:
            devices.append(_build_device(_name(name), field, line))
    return IoStat(tuple(devices))


def _split_line(line: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """The device and its keys. Linux 5.15 to 5.18 do not end the line of an idle one: the last counts."""
    words = line.split()
    names = [word for word in words if b"=" not in word]
    if not names or not all(b":" in name or name == UNNAMED for name in names):
        raise ParseError("io.stat", line[:81])
    return names[-1], dict([word.partition(b"=")[::2] for word in words if b"=" in word])


def _build_device(device: str, field: Mapping[bytes, bytes], line: bytes) -> DeviceIo:
    try:
        read, write, reads, writes = [
            parse_word(field[key], "io.stat") for key in (b"rbytes", b"wbytes", b"rios", b"wios")
        ]
    except KeyError as e:
        raise ParseError("io.stat", line[:81]) from e
    discard = field.get(b"dbytes")
    return DeviceIo(
        device, read, write, reads, writes, None if discard is None else parse_word(discard, "io.stat")
    )


def parse_cost_wait(raw: bytes) -> dict[str, int] | None:
    """v2 ``io.stat`` with the cost model's own statistics: ``cost.wait`` in microseconds; None without."""
    lines = [_split_line(line) for line in raw.splitlines()]
    waited = {
        _name(name): parse_word(field[b"cost.wait"], "io.stat")
        for name, field in lines
        if b"cost.wait" in field and name != UNNAMED
    }
    return waited or None


def parse_wait(raw: bytes) -> dict[str, int]:
    """v1 ``*.io_wait_time_recursive``: nanoseconds a device, of which the ``Total`` line counts."""
    waited = {}
    for line in raw.splitlines():
        words = line.split()
        if not 2 <= len(words) <= 3:
            raise ParseError("io_wait_time", line[:81])
        if len(words) == 3 and words[1] == b"Total" and words[0] != UNNAMED:
            waited[_name(words[0])] = parse_word(words[2], "io_wait_time") // NSEC_PER_USEC
    return waited
