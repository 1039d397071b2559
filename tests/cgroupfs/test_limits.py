"""Wishes to writes: what is planned, in which order, and what is refused before anything is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import LIMIT_FIELDS, UNLIMITED, BadLimit, Cgroup, DeviceRule, IoLimit, NotOffered, Write
from cgroupfs.cpu_limits import CpuLimits, plan_bandwidth, plan_weight
from cgroupfs.host import Host
from cgroupfs.io_limits import plan_throttles
from cgroupfs.limits import to_wire
from cgroupfs.memory_limits import MemoryLimits, plan_memory

MIB = 1 << 20


def files(writes: list[Write]) -> list[tuple[str, str]]:
    return [(write.file, write.value) for write in writes]


MEMORY, BOTH = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"


@pytest.mark.parametrize(
    ("now", "wanted", "expected"),
    [
        # (memory, swap alone) now; what is wanted; writes: memory plus swap is never below memory in between
        ((64, 0), {"memory_max_bytes": 128}, [(BOTH, 128), (MEMORY, 128)]),
        ((128, 0), {"memory_max_bytes": 64}, [(MEMORY, 64), (BOTH, 64)]),
        ((64, 64), {"memory_max_bytes": 128, "memory_swap_max_bytes": 0}, [(MEMORY, 128)]),
        ((64, 64), {"memory_max_bytes": 96, "memory_swap_max_bytes": 0}, [(BOTH, 96), (MEMORY, 96)]),
        ((64, 0), {"memory_max_bytes": 32, "memory_swap_max_bytes": 64}, [(MEMORY, 32), (BOTH, 96)]),
        ((64, 16), {"memory_swap_max_bytes": 32}, [(BOTH, 96)]),
        ((64, 16), {"memory_max_bytes": "max"}, [(BOTH, None), (MEMORY, None)]),
        ((64, 16), {"memory_max_bytes": None}, [(BOTH, None), (MEMORY, None)]),
        ((64, 16), {"memory_swap_max_bytes": UNLIMITED}, [(BOTH, None)]),
        ((UNLIMITED, UNLIMITED), {"memory_max_bytes": 64}, [(MEMORY, 64)]),
        (
            (UNLIMITED, UNLIMITED),
            {"memory_max_bytes": 64, "memory_swap_max_bytes": 0},
            [(MEMORY, 64), (BOTH, 64)],
        ),
        ((64, None), {"memory_max_bytes": 128}, [(MEMORY, 128)]),
        ((64, 0), {"memory_max_bytes": 64}, []),
        ((64, 0), {"pids_max": 3}, []),
    ],
)
def test_memory_and_swap_are_written_in_the_order_of_the_direction(
    now: tuple[int, int], wanted: Mapping[str, object], expected: list[tuple[str, int | None]]
) -> None:
    def scaled(value: object) -> object:
        return value * MIB if isinstance(value, int) else value

    limits = MemoryLimits(scaled(now[0]), scaled(now[1]))  # type: ignore[arg-type]

    writes = plan_memory(limits, {field: scaled(value) for field, value in wanted.items()})

    assert files(writes) == [(file, "-1" if value is None else str(value * MIB)) for file, value in expected]


def test_swap_alone_cannot_be_limited_while_memory_is_not() -> None:
    with pytest.raises(BadLimit, match="together with memory_max_bytes"):
        plan_memory(MemoryLimits(UNLIMITED, UNLIMITED), {"memory_swap_max_bytes": 0})


def test_a_limit_that_differs_by_less_than_a_page_is_no_change() -> None:
    assert plan_memory(MemoryLimits(64 * MIB, None), {"memory_max_bytes": 64 * MIB + 5}) == []


QUOTA, PERIOD, BURST = "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"cpu_max_cores": 1}, [(QUOTA, "100000")]),
        ({"cpu_max_cores": 0.5}, []),
        ({"cpu_max_cores": "max"}, [(QUOTA, "-1")]),
        ({"cpu_period_usec": 200_000}, [(QUOTA, "-1"), (PERIOD, "200000"), (QUOTA, "100000")]),
        ({"cpu_period_usec": 50_000}, [(QUOTA, "-1"), (PERIOD, "50000"), (QUOTA, "25000")]),
        ({"cpu_max_cores": 1, "cpu_period_usec": 50_000}, [(PERIOD, "50000")]),
        ({"cpu_max_cores": 2, "cpu_period_usec": 80_000}, [(QUOTA, "160000"), (PERIOD, "80000")]),
        ({"cpu_max_cores": 1, "cpu_period_usec": 80_000}, [(QUOTA, "80000"), (PERIOD, "80000")]),
        ({"cpu_max_cores": 0.2, "cpu_period_usec": 120_000}, [(QUOTA, "24000"), (PERIOD, "120000")]),
        (
            {"cpu_max_cores": 1, "cpu_period_usec": 40_000},
            [(QUOTA, "-1"), (PERIOD, "40000"), (QUOTA, "40000")],
        ),
        ({"cpu_max_cores": "max", "cpu_period_usec": 200_000}, [(QUOTA, "-1"), (PERIOD, "200000")]),
        ({"cpu_burst_usec": 20_000}, [(BURST, "20000")]),
        ({"cpu_max_cores": 0.1, "cpu_burst_usec": 5_000}, [(BURST, "5000"), (QUOTA, "10000")]),
        ({"cpu_max_cores": 1, "cpu_burst_usec": 90_000}, [(QUOTA, "100000"), (BURST, "90000")]),
        ({"cpu_burst_usec": "max"}, [(BURST, "0")]),
    ],
)
def test_quota_period_and_burst_go_in_an_order_the_kernel_takes(
    wanted: Mapping[str, object], expected: list[tuple[str, str]]
) -> None:
    now = CpuLimits(max_cores=0.5, period_usec=100_000, burst_usec=10_000, shares=1024, idle=False)

    assert files(plan_bandwidth(now, wanted, 2)) == expected


def test_a_quota_below_the_burst_is_refused_in_words() -> None:
    now = CpuLimits(max_cores=0.5, period_usec=100_000, burst_usec=20_000)

    with pytest.raises(BadLimit, match="20000 is above the quota of 10000 us"):
        plan_bandwidth(now, {"cpu_max_cores": 0.1}, 2)


@pytest.mark.parametrize(
    ("idle", "wanted", "expected"),
    [
        (False, {"cpu_shares": 512}, [("cpu.shares", "512")]),
        (False, {"cpu_shares": 700}, []),
        (False, {"cpu_shares": None}, [("cpu.shares", "1024")]),
        (False, {"cpu_idle": True}, [("cpu.shares", "700"), ("cpu.idle", "1")]),
        (True, {"cpu_idle": None}, [("cpu.idle", "0")]),
        (True, {"cpu_idle": False, "cpu_shares": 512}, [("cpu.idle", "0"), ("cpu.shares", "512")]),
        (True, {"cpu_idle": True}, []),
    ],
)
def test_shares_are_written_around_idle_which_resets_them(
    idle: bool, wanted: Mapping[str, object], expected: list[tuple[str, str]]
) -> None:
    assert files(plan_weight(CpuLimits(shares=700, idle=idle), wanted)) == expected


def test_shares_of_an_idle_group_are_refused_in_words() -> None:
    with pytest.raises(BadLimit, match="set cpu_idle to false too"):
        plan_weight(CpuLimits(shares=3, idle=True), {"cpu_shares": 512})


def test_io_throttles_change_per_device_and_zero_takes_one_away() -> None:
    now = {"8:0": IoLimit(read_bytes_per_sec=100, writes_per_sec=5), "8:16": IoLimit(reads_per_sec=1)}

    writes = plan_throttles(
        now, {"8:0": {"read_bytes_per_sec": UNLIMITED, "writes_per_sec": 5, "reads_per_sec": 9}}
    )

    assert writes == [
        Write("blkio", "blkio.throttle.read_bps_device", "8:0 0", "8:0"),
        Write("blkio", "blkio.throttle.read_iops_device", "8:0 9", "8:0"),
    ]


def test_lifting_io_max_takes_every_throttle_away() -> None:
    writes = plan_throttles({"8:0": IoLimit(read_bytes_per_sec=100)}, None)

    assert files(writes) == [("blkio.throttle.read_bps_device", "8:0 0")]


@pytest.fixture
def disks(tmp_path: Path, web: Cgroup) -> Cgroup:
    """The captured container on a host with disk 8:0 and its partition 8:1."""
    disk = tmp_path / "sys/block/sda"
    (disk / "sda1").mkdir(parents=True)
    (disk / "dev").write_text("8:0\n")
    (disk / "sda1/partition").write_text("1\n")
    links = tmp_path / "sys/dev/block"
    links.mkdir(parents=True)
    (links / "8:0").symlink_to(disk)
    (links / "8:1").symlink_to(disk / "sda1")
    return web


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("memory_max_bytes", -1, "outside 0 to"),
        ("memory_max_bytes", 1.5, "not a whole number"),
        ("memory_max_bytes", True, "not a whole number"),
        ("memory_max_bytes", "64M", "not a whole number"),
        ("memory_max_bytes", 1 << 62, "outside 0 to"),
        pytest.param("memory_max_bytes", 10**5000, "outside 0 to", id="memory-5000-digits"),
        ("memory_soft_limit_bytes", -1, "outside 0 to"),
        ("memory_high_bytes", -1, "outside 0 to"),
        ("memory_swap_max_bytes", -1, "outside 0 to"),
        ("cpu_max_cores", math.nan, "not a finite number"),
        ("cpu_max_cores", math.inf, "not a finite number"),
        ("cpu_max_cores", -0.5, "outside 0 to 2"),
        ("cpu_max_cores", 2.5, "outside 0 to 2"),
        ("cpu_max_cores", 0, "0.01, the least"),
        ("cpu_max_cores", 0.001, "0.01, the least"),
        ("cpu_max_cores", True, "not a number"),
        ("cpu_max_cores", "1", "not a number"),
        pytest.param("cpu_max_cores", 10**400, "outside 0 to 2", id="cpus-400-digits"),
        ("cpu_period_usec", 999, "outside 1000 to 1000000"),
        ("cpu_period_usec", 1_000_001, "outside 1000 to 1000000"),
        ("cpu_burst_usec", -1, "outside 0 to"),
        pytest.param("cpu_shares", 1, "outside 2 to 262144", marks=pytest.mark.needs("cpu", "v1")),
        pytest.param("cpu_weight", 0, "outside 1 to 10000", marks=pytest.mark.needs("cpu", "v2")),
        ("cpu_idle", 1, "neither true nor false"),
        pytest.param("cpuset_cpus", "", "at least one CPU", marks=pytest.mark.needs("cpuset", "v1")),
        ("cpuset_cpus", "7", "names a CPU that is not here; there are 0-1"),
        ("cpuset_cpus", "0-4000000000", "not a list"),
        ("cpuset_cpus", "0," * 5000, "not a list"),
        ("cpuset_cpus", 0, "not a list"),
        ("cpuset_mems", "2", "names a memory node that is not here; there are 0"),
        ("pids_max", 0, "outside 1 to 4194304"),
        ("pids_max", 4_194_305, "outside 1 to 4194304"),
        ("blkio_weight", 0, "outside 1 to 1000"),
        ("io_max", 5, "is a mapping"),
        ("io_max", {"8": {}}, "not a device"),
        ("io_max", {"../8:0": {}}, "not a device"),
        ("io_max", {"9:99": {}}, "no block device 9:99"),
        ("io_max", {"8:1": {}}, "8:1 is a partition; throttles work on its disk 8:0"),
        ("io_max", {"8:0": 5}, "a device takes"),
        ("io_max", {"8:0": {"rbps": 5}}, "there is no throttle 'rbps'"),
        ("io_max", {"8:0": {"reads_per_sec": 0}}, "outside 1 to 4294967294"),
        ("io_max", {"8:0": {"reads_per_sec": 5_000_000_000}}, "outside 1 to 4294967294"),
        ("memory_max", 5, "there is no such limit; there are memory_max_bytes"),
        ("cpuset_cpus_effective", "0", "set that"),
    ],
)
def test_a_wish_that_no_kernel_could_take_names_its_field_and_the_reason(
    disks: Cgroup, field: str, value: object, why: str
) -> None:
    with pytest.raises(BadLimit, match=why) as caught:
        disks.plan_limits({field: value})

    assert caught.value.field == field
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@given(
    field=st.sampled_from([*LIMIT_FIELDS, "x"]),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.just("max")
    | st.lists(st.integers())
    | st.dictionaries(
        st.text() | st.just("8:0"), st.none() | st.integers() | st.dictionaries(st.text(), st.integers())
    ),
)
def test_any_wish_at_all_is_planned_or_refused_in_one_line(
    planned_on: Cgroup, field: str, value: object
) -> None:
    try:
        planned_on.plan_limits({field: value})
    except (BadLimit, NotOffered) as e:
        assert "\n" not in str(e)


@pytest.fixture(scope="module")
def planned_on(tmp_path_factory: pytest.TempPathFactory) -> Cgroup:
    from cgroupfs import Hierarchies
    from tests import trees

    root = tmp_path_factory.mktemp("tree")
    trees.unpack("hybrid-6.18", root)
    return Hierarchies.read(str(root)).cgroup("/cgwarden/web")


@pytest.mark.needs("memory", "v1")
def test_a_limit_that_this_kernel_lacks_is_not_offered(web: Cgroup) -> None:
    with pytest.raises(NotOffered, match=r"memory\.high"):
        web.plan_limits({"memory_high_bytes": 5 * MIB})


@pytest.mark.needs("memory", "v1")
def test_limits_of_a_captured_container(web: Cgroup) -> None:
    limits = web.read_limits()

    assert limits.memory_max_bytes == 256 * MIB
    assert limits.memory_swap_max_bytes is UNLIMITED
    assert limits.memory_high_bytes is None
    assert limits.cpu_max_cores == 0.5
    assert limits.pids_max == 50
    assert limits.io_max == {}
    assert limits.to_wire()["memory_swap_max_bytes"] == "max"


def test_what_is_so_already_needs_no_write(web: Cgroup) -> None:
    assert web.plan_limits({"memory_max_bytes": 256 * MIB, "cpu_max_cores": 0.5, "pids_max": 50}) == []


@pytest.mark.needs("memory", "v1")
def test_lifting_everything_gives_the_kernels_defaults(web: Cgroup) -> None:
    offered = {field for field in LIMIT_FIELDS if getattr(web.read_limits(), field) is not None}
    lifted = dict.fromkeys(offered, "max")

    assert files(web.plan_limits(lifted)) == [
        ("cpu.cfs_quota_us", "-1"),
        ("pids.max", "max"),
        ("memory.limit_in_bytes", "-1"),
    ]


@pytest.mark.needs("memory", "v2")
def test_lifting_everything_gives_the_kernels_defaults_in_the_unified_tree(web: Cgroup) -> None:
    lifted = dict.fromkeys(("memory_max_bytes", "memory_low_bytes", "cpu_max_cores", "pids_max"))

    assert files(web.plan_limits(lifted)) == [
        ("cpu.max", "max 100000"),
        ("pids.max", "max"),
        ("memory.max", "max"),
    ]


@pytest.mark.needs("memory", "v1")
def test_devices_are_denied_and_then_allowed_one_per_write(web: Cgroup) -> None:
    rules = [DeviceRule(True, "c", 1, 3, "rwm"), DeviceRule(True, "b", None, None, "m")]

    assert files(web.plan_devices(rules)) == [
        ("devices.deny", "a"),
        ("devices.allow", "c 1:3 rwm"),
        ("devices.allow", "b *:* m"),
    ]


@pytest.mark.needs("devices", "v1")
@pytest.mark.parametrize(
    "rule",
    [
        DeviceRule(True, "x", 1, 3, "rwm"),
        DeviceRule(True, "c", 1, 3, ""),
        DeviceRule(True, "c", 1, 3, "rx"),
        DeviceRule(True, "c", -1, 3, "r"),
        DeviceRule(True, "a", 1, 3, "rwm"),
    ],
)
def test_a_device_rule_that_the_kernel_would_misread_is_refused(web: Cgroup, rule: DeviceRule) -> None:
    with pytest.raises(BadLimit):
        web.plan_devices([rule])


def test_absent_unlimited_and_zero_stay_apart_on_the_wire() -> None:
    limit = IoLimit(read_bytes_per_sec=7)

    assert [to_wire(value) for value in (None, UNLIMITED, 0)] == [None, "max", 0]
    assert to_wire({"8:0": limit}) == {
        "8:0": {
            "read_bytes_per_sec": 7,
            "write_bytes_per_sec": "max",
            "reads_per_sec": "max",
            "writes_per_sec": "max",
        }
    }


def test_a_host_without_numa_has_node_0(tmp_path: Path) -> None:
    assert Host(str(tmp_path)).read_nodes() == ((0, 0),)
