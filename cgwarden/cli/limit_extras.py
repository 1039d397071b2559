"""The rarer limit flags: all else that cgroups can hold a container to, and docker's that no kernel has."""

from __future__ import annotations

from cgwarden.cli.options import Args, Option, UsageError
from cgwarden.units import BadQuantity, parse_count, parse_limit_count, parse_limit_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_GROUP = "More limits"
_MOST = 2**63 - 1
PARTITIONS = ("member", "root", "isolated")


def _number(low: int, high: int) -> Callable[[str], object]:
    return lambda text: parse_count(text, low, high)


def _swappiness(text: str) -> object:
    """docker's -1 is what the cgroup above has: nothing to set."""
    return None if text.strip() == "-1" else parse_count(text, 0, 200)


def _pair(what: str, read: Callable[[str], object]) -> Callable[[str], tuple[str, object]]:
    """KEY:VALUE, the last colon parting them: device numbers have one of their own."""

    def parse(text: str) -> tuple[str, object]:
        key, colon, value = text.rpartition(":")
        if not colon or not key:
            raise BadQuantity(f"{text!r} is not {what}")
        return key, read(value)

    return parse


def _partition(text: str) -> str:
    if text not in PARTITIONS:
        raise BadQuantity(f"{text!r} is not one of {', '.join(PARTITIONS)}")
    return text


def _disk(what: str, read: Callable[[str], object]) -> Callable[[str], tuple[str, object]]:
    def parse(text: str) -> tuple[str, object]:
        from cgwarden.cli.limit_flags import read_device

        path, value = _pair(what, read)(text)
        return read_device(path), value

    return parse


def _count(text: str) -> object:
    return parse_limit_count(text, 0, _MOST)


def _rdma(text: str) -> tuple[str, dict[str, object]]:
    device, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",")]
    if not device or not all(key in ("hca_handle", "hca_object") and value for key, _, value in pairs):
        raise BadQuantity(f"{text!r} is not DEVICE:hca_handle=N,hca_object=N")
    return device, {key: _count(value) for key, _, value in pairs}


def _option(
    *names: str, help: str, value: str = "", read: Callable[[str], object] = str, many: bool = False
) -> Option:
    return Option(*names, value=value, read=read, help=help, many=many, group=_GROUP)


MORE_LIMIT_OPTIONS = (
    _option("--memory-low", value="SIZE", read=parse_limit_size, help="protected as far as it goes (v2)"),
    _option("--memory-min", value="SIZE", read=parse_limit_size, help="protected at any price (v2)"),
    _option("--memory-swappiness", value="N", read=_swappiness, help="0 to 200: how eagerly to swap (v1)"),
    _option("--memory-oom-group", help="out of memory, all of it is killed together (v2)"),
    _option("--cpu-weight", value="N", read=_number(1, 10_000), help="--cpu-shares in the kernel's scale"),
    _option("--cpu-idle", help="runs when nobody else wants to (v2)"),
    _option("--cpu-burst", value="USEC", read=_number(0, 1 << 43), help="saved quota to be used at once"),
    _option("--cpuset-partition", value="KIND", read=_partition, help="member, root or isolated (v2)"),
    _option("--cpuset-migrate", help="pages follow a change of --cpuset-mems (v1)"),
    _option("--io-weight", value="N", read=_number(1, 10_000), help="--blkio-weight in the kernel's scale"),
    _option(
        "--device-latency",
        value="DEV:USEC",
        read=_disk("DEV:USEC, such as /dev/sda:75000", _number(0, 1 << 40)),
        many=True,
        help="latency that a disk shall keep (v2)",
    ),
    _option(
        "--hugetlb",
        value="PAGE:SIZE",
        read=_pair("PAGE:SIZE, such as 2MB:64M", parse_limit_size),
        many=True,
        help="huge pages: 2MB:64M",
    ),
    _option(
        "--misc",
        value="NAME:N",
        read=_pair("NAME:N", _count),
        many=True,
        help="scarce things, such as encryption keys (v2)",
    ),
    _option(
        "--rdma", value="DEV:hca_handle=N,…", read=_rdma, many=True, help="remote memory access, per device"
    ),
    _option("--net-classid", value="N", read=_number(0, 2**32 - 1), help="mark of its packets for tc (v1)"),
    _option(
        "--net-prio",
        value="IF:N",
        read=_pair("IF:N, such as eth0:5", _number(0, 2**31 - 1)),
        many=True,
        help="priority of its packets, per interface (v1)",
    ),
)
_FIELDS = {
    "memory_low": "memory_low_bytes",
    "memory_min": "memory_min_bytes",
    "memory_swappiness": "memory_swappiness",
    "memory_oom_group": "memory_oom_group",
    "cpu_weight": "cpu_weight",
    "cpu_idle": "cpu_idle",
    "cpu_burst": "cpu_burst_usec",
    "cpuset_partition": "cpuset_partition",
    "cpuset_migrate": "cpuset_memory_migrate",
    "io_weight": "io_weight",
    "net_classid": "net_classid",
}
_KEYED = {
    "device_latency": "io_latency_usec",
    "hugetlb": "hugetlb_max_bytes",
    "misc": "misc_max",
    "rdma": "rdma_max",
    "net_prio": "net_prio",
}
REFUSED = {
    "kernel_memory": "kernels since 5.16 have no such limit; --memory counts the kernel's memory too",
    "oom_kill_disable": "a container at its limit would hang for ever; --memory-high slows it down instead",
    "cpu_rt_runtime": "real-time groups are compiled into few kernels; use --cpus",
    "cpu_rt_period": "real-time groups are compiled into few kernels; use --cpus",
    "device_cgroup_rule": "rules follow the devices that are given; use --device DEV[:PATH[:rwm]]",
    "blkio_weight_device": "weights are for all disks here; use --blkio-weight, or --device-read-bps for one",
}
REFUSED_OPTIONS = (
    *(
        Option(f"--{name.replace('_', '-')}", value="X", help="")
        for name in REFUSED
        if name != "oom_kill_disable"
    ),
    Option("--oom-kill-disable", help=""),
)
"""Docker's that are understood and not shown: the answer is one clear line."""


def read_more(args: Args) -> dict[str, Any]:
    """The API's fields for these flags; UsageError for one that no kernel of today can keep."""
    for name, why in REFUSED.items():
        if args.get(name) not in (None, False):
            raise UsageError(f"{args.given[name]}: {why}")
    fields = {field: args.get(flag) for flag, field in _FIELDS.items() if args.get(flag) is not None}
    for flag, field in _KEYED.items():
        if args.get(flag):
            fields[field] = dict(args.get(flag))
    return fields


def flag_of_more(field: str) -> str | None:
    """The flag that becomes this field of the API."""
    flags = {known: flag for flag, known in (*_FIELDS.items(), *_KEYED.items())}
    flag = flags.get(field.partition("/")[0])
    return None if flag is None else f"--{flag.replace('_', '-')}"
