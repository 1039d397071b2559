"""Limit flags with docker's names, and how they become the API's fields; `run` and `limit` share them."""

from __future__ import annotations

import os

from cgwarden.cli.limit_extras import MORE_LIMIT_OPTIONS, flag_of_more, read_more
from cgwarden.cli.options import Args, Option, UsageError
from cgwarden.units import (
    UNLIMITED,
    BadQuantity,
    parse_count,
    parse_cpus,
    parse_device_size,
    parse_limit_count,
    parse_limit_size,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_GROUP = "Limits"
MAX_PIDS = 4_194_304
"""PID_MAX_LIMIT of a 64-bit kernel."""


def _memory_swap(text: str) -> int | str:
    return UNLIMITED if text.strip() == "-1" else parse_limit_size(text)


def _pids(text: str) -> int | str:
    return UNLIMITED if text.strip() in ("-1", "0") else parse_limit_count(text, 1, MAX_PIDS)


def _quota(text: str) -> int | str | None:
    if text.strip() == "0":
        return None
    return UNLIMITED if text.strip() == "-1" else parse_limit_count(text, 1000, 10**12)


def _or_default(low: int, high: int) -> Callable[[str], int | None]:
    """docker's 0 is the kernel's own default: nothing to set."""
    return lambda text: None if text.strip() == "0" else parse_count(text, low, high)


def _cpu_list(text: str) -> str:
    """A kernel list such as 0-3,6; checked here so that a slip names the flag."""
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not (last.isdigit() and int(last) >= int(first))):
            raise BadQuantity(f"{text!r} is not a list such as 0-3,6")
    return text


def _device_rate(text: str) -> tuple[str, int | str]:
    path, colon, amount = text.rpartition(":")
    if not colon:
        raise BadQuantity(f"{text!r} has no rate; write /dev/sda:10mb, or /dev/sda:max to lift the limit")
    return read_device(path), UNLIMITED if amount.lower() == UNLIMITED else parse_device_size(amount)


def _device_operations(text: str) -> tuple[str, int | str]:
    path, colon, amount = text.rpartition(":")
    if not colon:
        raise BadQuantity(f"{text!r} has no rate; write /dev/sda:1000, or /dev/sda:max to lift the limit")
    return read_device(path), parse_limit_count(amount, 1, 2**32 - 1)


def read_device(path: str) -> str:
    """`major:minor` of a whole disk given by its path; the kernel takes no partitions here."""
    if path.replace(":", "", 1).isdigit() and path.count(":") == 1:
        return path
    try:
        number = os.stat(path).st_rdev
    except (OSError, ValueError):
        raise BadQuantity(f"there is no device {path!r}; `lsblk -d` lists the disks") from None
    device = f"{os.major(number)}:{os.minor(number)}"
    if not os.path.exists(f"/sys/dev/block/{device}"):
        raise BadQuantity(f"{path!r} is not a disk; `lsblk -d` lists the disks")
    if os.path.exists(f"/sys/dev/block/{device}/partition"):
        disk = os.path.basename(os.path.dirname(os.path.realpath(f"/sys/dev/block/{device}")))
        raise BadQuantity(f"{path!r} is a partition; limits hold for whole disks: use /dev/{disk}")
    return device


def _option(*names: str, value: str, read: object, help: str, many: bool = False) -> Option:
    return Option(*names, value=value, read=read, help=help, many=many, group=_GROUP)  # type: ignore[arg-type]


LIMIT_OPTIONS = (
    _option("-m", "--memory", value="SIZE", read=parse_limit_size, help="hard memory limit: 512M, 2G, max"),
    _option(
        "--memory-swap",
        value="SIZE",
        read=_memory_swap,
        help="memory and swap together, as docker; -1 or max",
    ),
    _option(
        "--memory-reservation",
        value="SIZE",
        read=parse_limit_size,
        help="soft limit, used when the host is short",
    ),
    _option("--memory-high", value="SIZE", read=parse_limit_size, help="slow down and reclaim from here on"),
    _option("--cpus", value="N", read=parse_cpus, help="CPU time: 1.5, 150%, 500m, max"),
    _option(
        "-c",
        "--cpu-shares",
        value="N",
        read=_or_default(2, 262144),
        help="weight among neighbours, 2 to 262144",
    ),
    _option(
        "--cpu-quota",
        value="USEC",
        read=_quota,
        help="CPU time per period, -1: no limit; --cpus says it simpler",
    ),
    _option(
        "--cpu-period",
        value="USEC",
        read=_or_default(1000, 1_000_000),
        help="length of a period, 1000 to 1000000",
    ),
    _option("--cpuset-cpus", value="LIST", read=_cpu_list, help="only these CPUs: 0-3,6"),
    _option("--cpuset-mems", value="LIST", read=_cpu_list, help="only these memory nodes: 0,1"),
    _option("--pids-limit", value="N", read=_pids, help="processes and threads; max or -1: no limit"),
    _option(
        "--blkio-weight", value="N", read=_or_default(1, 1000), help="disk weight among neighbours, 1 to 1000"
    ),
    _option(
        "--device-read-bps",
        value="DEV:RATE",
        read=_device_rate,
        help="bytes per second: /dev/sda:10mb",
        many=True,
    ),
    _option(
        "--device-write-bps", value="DEV:RATE", read=_device_rate, help="the same for writing", many=True
    ),
    _option(
        "--device-read-iops",
        value="DEV:N",
        read=_device_operations,
        help="reads per second: /dev/sda:1000",
        many=True,
    ),
    _option(
        "--device-write-iops", value="DEV:N", read=_device_operations, help="the same for writing", many=True
    ),
    *MORE_LIMIT_OPTIONS,
)

_PLAIN = {
    "memory": "memory_max_bytes",
    "memory_reservation": "memory_soft_limit_bytes",
    "memory_high": "memory_high_bytes",
    "cpus": "cpu_max_cores",
    "cpu_shares": "cpu_shares",
    "cpu_period": "cpu_period_usec",
    "cpuset_cpus": "cpuset_cpus",
    "cpuset_mems": "cpuset_mems",
    "pids_limit": "pids_max",
    "blkio_weight": "blkio_weight",
}
_IO = {
    "device_read_bps": "read_bytes_per_sec",
    "device_write_bps": "write_bytes_per_sec",
    "device_read_iops": "reads_per_sec",
    "device_write_iops": "writes_per_sec",
}
DEFAULT_PERIOD_USEC = 100_000


def flag_of(field: str) -> str | None:
    """The flag that becomes this field of the API."""
    flags = {known: flag for flag, known in _PLAIN.items()}
    flags |= {"memory_swap_max_bytes": "memory_swap", "lease_sec": "for"}
    flag = flags.get(field)
    if flag is None:
        return flag_of_more(field)
    return f"--{flag.replace('_', '-')}"


def read_limits(args: Args) -> dict[str, object]:
    """The API's fields for the limit flags that were given."""
    fields = {field: args.get(flag) for flag, field in _PLAIN.items() if args.get(flag) is not None}
    if args.get("memory_swap") is not None:
        fields["memory_swap_max_bytes"] = _swap_alone(args.get("memory"), args.get("memory_swap"))
    if args.get("cpu_quota") is not None:
        if args.get("cpus") is not None:
            raise UsageError("--cpus and --cpu-quota say the same thing; give one of them")
        fields["cpu_max_cores"] = _cores(args.get("cpu_quota"), args.get("cpu_period") or DEFAULT_PERIOD_USEC)
    io_max: dict[str, dict[str, object]] = {}
    for flag, field in _IO.items():
        for device, amount in args.get(flag, []):
            io_max.setdefault(device, {})[field] = amount
    if io_max:
        fields["io_max"] = io_max
    return fields | read_more(args)


def _cores(quota: int | str, period_usec: int) -> float | str:
    return quota / period_usec if isinstance(quota, int) else quota


def _swap_alone(memory: int | str | None, both: int | str) -> int | str:
    """docker's --memory-swap is memory and swap together; the API's field is swap alone."""
    if both == UNLIMITED:
        return UNLIMITED
    if not isinstance(memory, int):
        raise UsageError("--memory-swap is memory and swap together, so it needs --memory SIZE beside it")
    if int(both) < memory:
        raise UsageError("--memory-swap is memory and swap together, so it cannot be less than --memory")
    return int(both) - memory
