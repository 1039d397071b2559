"""Disk traffic and its limits, as kernels print them."""

from __future__ import annotations

from typing import Final

from cgroupfs import DeviceIo, IoStat
from cgroupfs.io_limits import IoLimit
from cgroupfs.io_settings import Weights
from tests.cgroupfs.formats.form import Format, lines

_SDA_V1: Final = ("8:0 Read 4096", "8:0 Write 8192", "8:0 Sync 4096", "8:0 Async 8192")
_SDA: Final = "8:0 rbytes=4096 wbytes=0 rios=1 wios=2"

DISKS: Final = (
    Format("3.10", "io_traffic.parse_operations", "nothing was read or written", "Total 0\n", {}),
    Format(
        "4.19",
        "io_traffic.parse_operations",
        "no discards",
        lines(*_SDA_V1, "8:0 Total 12288", "Total 12288"),
        {"8:0": (4096, 8192, None)},
    ),
    Format(
        "6.18",
        "io_traffic.parse_operations",
        "discards (since 4.20)",
        lines(*_SDA_V1, "8:0 Discard 512", "8:0 Total 12800", "Total 12800"),
        {"8:0": (4096, 8192, 512)},
    ),
    Format(
        "6.8",
        "io_traffic.parse_operations",
        "a path of an NVMe disk has no number (containerd/cgroups#393)",
        lines("(unknown) Read 1", "(unknown) Write 2", *_SDA_V1, "8:0 Total 12288", "Total 12291"),
        {"8:0": (4096, 8192, None)},
    ),
    Format(
        "6.18",
        "io_traffic.parse_operations",
        "as many lines as for two disks, in another order",
        lines(
            *(*_SDA_V1[1:], "8:0 Read 4096", "8:0 Discard 512", "8:0 Total 12800", "(unknown) Read 1"),
            *("(unknown) Write 2", "(unknown) Sync 1", "(unknown) Async 2", "(unknown) Discard 0"),
            *("(unknown) Total 3", "Total 12803"),
        ),
        {"8:0": (4096, 8192, 512)},
    ),
    Format(
        "6.8",
        "io_traffic.parse_operations",
        "a whole disk without a number",
        lines(
            *("(unknown) Read 1", "(unknown) Write 2", "(unknown) Sync 1", "(unknown) Async 2"),
            *("(unknown) Discard 0", "(unknown) Total 3", "Total 3"),
        ),
        {},
    ),
    Format(
        "4.9",
        "io_traffic.parse_io_stat",
        "no discards",
        lines(_SDA),
        IoStat((DeviceIo("8:0", 4096, 0, 1, 2, None),)),
    ),
    Format(
        "5.15",
        "io_traffic.parse_io_stat",
        "lines of idle devices are not ended (canonical/lxd#10052)",
        lines(f"7:7 7:6 {_SDA} dbytes=0 dios=0", "7:5 "),
        IoStat((DeviceIo("8:0", 4096, 0, 1, 2, 0),)),
    ),
    Format(
        "6.1",
        "io_traffic.parse_io_stat",
        "a latency target and the cost model add keys",
        lines(
            f"{_SDA} dbytes=0 dios=0 depth=max avg_lat=12 win=100",
            "8:16 rbytes=0 wbytes=1 rios=0 wios=1 dbytes=0 dios=0 cost.vrate=100.00 cost.usage=7 cost.wait=3",
            "8:32 cost.vrate=100.00",
        ),
        IoStat((DeviceIo("8:0", 4096, 0, 1, 2, 0), DeviceIo("8:16", 0, 1, 0, 1, 0))),
    ),
    Format(
        "6.8",
        "io_traffic.parse_io_stat",
        "datasets of ZFS have no number (openzfs/zfs#13662), and a device that is being set up no counters",
        f"(unknown) rbytes=0 wbytes=0 rios=6 wios=0 dbytes=0 dios=0\n{_SDA}\n252:0 ",
        IoStat((DeviceIo("8:0", 4096, 0, 1, 2, None),)),
    ),
    Format(
        "none",
        "io_traffic.parse_io_stat",
        "the order of keys is no promise",
        lines("8:0 wbytes=0 rbytes=4096 wios=2 rios=1 dbytes=0", "8:16 rios=1 wios=2 rbytes=4096 wbytes=0"),
        IoStat((DeviceIo("8:0", 4096, 0, 1, 2, 0), DeviceIo("8:16", 4096, 0, 1, 2, None))),
    ),
    Format(
        "6.1",
        "io_traffic.parse_cost_wait",
        "the time that requests waited, where the cost model tells it",
        lines(f"7:7 {_SDA}", f"8:16 {_SDA[4:]} cost.wait=30", "(unknown) cost.wait=1"),
        {"8:16": 30},
    ),
    Format("6.1", "io_traffic.parse_cost_wait", "no cost model", lines(_SDA), None),
    Format(
        "3.10",
        "io_traffic.parse_wait",
        "nanoseconds, of which the sum counts",
        lines("8:0 Read 1000", "8:0 Write 4000", "8:0 Total 5000", "(unknown) Total 7", "Total 5000"),
        {"8:0": 5},
    ),
    Format("3.10", "io_limits.parse_throttle", "a disk a line", "8:0 1048576\n", {"8:0": 1048576}),
    Format(
        "4.19", "io_settings.parse_latency", "the first latency target", "8:0 target=75000\n", {"8:0": 75000}
    ),
    Format(
        "5.4",
        "io_settings.parse_nested",
        "the cost model's settings",
        "8:0 enable=1 ctrl=auto rpct=0.00 min=1.00\n",
        {"8:0": {"enable": "1", "ctrl": "auto", "rpct": "0.00", "min": "1.00"}},
    ),
    Format("4.20", "io_settings.parse_weights", "v1 shows a bare number", "100\n", Weights(100, {})),
    Format(
        "5.4",
        "io_settings.parse_weights",
        "devices may have a weight of their own",
        lines("default 100", "8:0 200"),
        Weights(100, {"8:0": 200}),
    ),
    Format(
        "4.9",
        "io_limits.parse_io_max",
        "limited devices alone",
        "8:16 rbps=2097152 wbps=max riops=max wiops=120\n",
        {"8:16": IoLimit(read_bytes_per_sec=2097152, writes_per_sec=120)},
    ),
)
