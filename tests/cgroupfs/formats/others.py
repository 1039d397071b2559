"""Everything else, as kernels print it."""

from __future__ import annotations

from typing import Final

from cgroupfs import DeviceRule, InterfaceCounters, Psi
from cgroupfs.mounts import KnownController, Mount
from cgroupfs.values import UNLIMITED
from tests.cgroupfs.formats.form import Format, lines


def _psi(some_usec: int, full_usec: int | None) -> Psi:
    full = 0.0 if full_usec is not None else None
    return Psi(0.0, 0.0, 0.0, some_usec, full, full, full, full_usec)


OTHERS: Final = (
    Format("4.9", "freezer.parse_events", "no freezer", "populated 1\n", {"populated": 1}),
    Format("5.2", "freezer.parse_events", "frozen", "populated 1\nfrozen 0\n", {"populated": 1, "frozen": 0}),
    Format(
        "4.20",
        "pressure.parse_pressure",
        "cpu.pressure has no full line",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\n",
        _psi(12, None),
    ),
    Format(
        "5.13",
        "pressure.parse_pressure",
        "cpu.pressure has both",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n",
        _psi(12, 3),
    ),
    Format(
        "3.10",
        "mounts.parse_mountinfo",
        "no unified tree; cpu and cpuacct share a mount",
        "25 18 0:20 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpuacct,cpu\n",
        (Mount("v1", "/sys/fs/cgroup/cpu,cpuacct", "/", frozenset({"cpu", "cpuacct"})),),
    ),
    Format(
        "6.1",
        "mounts.parse_mountinfo",
        "only the unified tree, with options of its own",
        "27 22 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
        (Mount("v2", "/sys/fs/cgroup", "/", frozenset()),),
    ),
    Format(
        "3.10",
        "mounts.parse_proc_cgroups",
        "net_cls and net_prio as modules come later",
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t4\t1\t1\nmemory\t9\t60\t0\n",
        (KnownController("cpuset", 4, True), KnownController("memory", 9, False)),
    ),
    Format(
        "3.10",
        "namespace.parse_proc_cgroup",
        "v1 alone",
        "10:cpuacct,cpu:/web\n1:name=systemd:/web\n",
        {"cpuacct": "/web", "cpu": "/web", "name=systemd": "/web"},
    ),
    Format(
        "6.1",
        "namespace.parse_proc_cgroup",
        "the unified tree; a name may hold what Python calls an end of line",
        "0::/a\x0cb\u2028c\n",
        {"unified": "/a\x0cb\u2028c"},
    ),
    Format(
        "3.10",
        "devices.parse_devices_list",
        "the same form ever since",
        lines("c 1:3 rwm", "b 8:* r"),
        (DeviceRule(True, "c", 1, 3, "rwm"), DeviceRule(True, "b", 8, None, "r")),
    ),
    Format(
        "3.10", "net_marks.parse_ifpriomap", "an interface a line", "lo 0\neth0 5\n", {"lo": 0, "eth0": 5}
    ),
    Format(
        "6.18",
        "device_rules.parse_rules",
        "rules of a program, in our own words",
        "deny a; allow c 1:3 rwm; deny b 8:* w",
        (DeviceRule(True, "c", 1, 3, "rwm"), DeviceRule(False, "b", 8, None, "w")),
    ),
    Format(
        "3.10",
        "numa_nodes.parse_meminfo",
        "some numbers have no unit",
        "Node 0 MemTotal:       1024 kB\nNode 0 MemFree:        512 kB\nNode 0 HugePages_Total:     0\n",
        {"MemTotal": 1 << 20, "MemFree": 1 << 19},
    ),
    Format("3.10", "numa_nodes.parse_distances", "two nodes", "10 20\n", (10, 20)),
    Format(
        "3.10",
        "net.parse_net_dev",
        "no blank behind a name whose counter is wide",
        "Inter-|   Receive  |  Transmit\n face |bytes |bytes\n"
        "  eth0:1234567890 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n",
        (InterfaceCounters("eth0", 1234567890, 2, 3, 4, 5, 6, 7, 8),),
    ),
    Format(
        "5.13",
        "misc.parse_limits",
        "the first misc controller",
        "sev max\nsev_es 10\n",
        {"sev": UNLIMITED, "sev_es": 10},
    ),
    Format(
        "4.11",
        "misc.parse_rdma",
        "the first rdma controller",
        "mlx4_0 hca_handle=2 hca_object=max\n",
        {"mlx4_0": {"hca_handle": 2, "hca_object": UNLIMITED}},
    ),
    Format("3.10", "values.parse_v1_limit", "no limit as 2^63-1 whole", "9223372036854775807\n", UNLIMITED),
    Format(
        "4.9", "values.parse_v1_limit", "no limit, rounded down to a page", "9223372036854771712\n", UNLIMITED
    ),
    Format("6.18", "values.parse_v1_limit", "with pages of 64 KiB", "9223372036854710272\n", UNLIMITED),
)
