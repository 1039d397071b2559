"""Wishes to writes in the unified tree, on plain files: which, in which order, and what is refused before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import UNLIMITED, BadLimit, ControlDir, IoLimit, NotOffered, Write
from cgroupfs.blkio import BlkioV2
from cgroupfs.cpu import CpuV2
from cgroupfs.cpu_limits import WEIGHT, CpuLimits, plan_bandwidth, plan_cpu_max, plan_weight
from cgroupfs.host import Host
from cgroupfs.io_limits import check_io_max, plan_io_max, plan_throttles
from cgroupfs.io_settings import plan_latency
from cgroupfs.memory import MemoryV2
from cgroupfs.memory_events import directory
from cgroupfs.memory_limits import (
    MemoryLimits,
    is_above,
    plan_memory,
    plan_soft_limit,
    plan_swappiness,
    plan_unified_memory,
    swap_alone,
)
from cgroupfs.numa import CpusetLimits, NumaV1, NumaV2, plan_migrate, plan_partition
from tests.cgroupfs.conftest import Tree

MIB = 1 << 20
Wanted = Mapping[str, object]
Values = list[tuple[str, str]]


def values(writes: Sequence[Write]) -> Values:
    return [(write.file, write.value) for write in writes]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Four CPUs, two memory nodes and the disk 8:0."""
    files = {
        "devices/system/cpu/online": "0-3\n",
        "devices/system/cpu/possible": "0-3\n",
        "devices/system/node/online": "0-1\n",
        "dev/block/8:0/dev": "8:0\n",
    }
    for name, text in files.items():
        file = tmp_path / "host/sys" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Host(str(tmp_path / "host"))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"cpu_max_cores": 1}, [("cpu.max", "100000 100000")]),
        ({"cpu_max_cores": None}, [("cpu.max", "max 100000")]),
        ({"cpu_max_cores": 1, "cpu_period_usec": 50_000}, [("cpu.max", "50000 50000")]),
        ({"cpu_max_cores": 0.5}, []),
        ({"cpu_burst_usec": 20_000}, [("cpu.max.burst", "20000")]),
        ({"cpu_max_cores": 0.1, "cpu_burst_usec": 0}, [("cpu.max.burst", "0"), ("cpu.max", "10000 100000")]),
        ({"cpu_weight": 200}, [("cpu.weight", "200")]),
        ({"cpu_weight": "max"}, []),
        ({"cpu_idle": True}, [("cpu.weight", "100"), ("cpu.idle", "1")]),
        ({"pids_max": 3}, []),
    ],
)
def test_cpu_limits_are_one_write_of_quota_and_period(tree: Tree, wanted: Wanted, expected: Values) -> None:
    files = {"cpu.max": "50000 100000\n", "cpu.max.burst": "1000\n", "cpu.weight": "100\n", "cpu.idle": "0\n"}

    assert values(CpuV2().plan_limits(tree.make({"cpu": files}), wanted, 4)) == expected


def test_a_kernel_without_burst_and_idle_takes_the_others(tree: Tree) -> None:
    dirs = tree.make({"cpu": {"cpu.max": "max 100000\n", "cpu.weight": "100\n"}})

    assert values(CpuV2().plan_limits(dirs, {"cpu_max_cores": 2}, 4)) == [("cpu.max", "200000 100000")]
    for field in ("cpu_burst_usec", "cpu_idle", "cpu_shares"):
        with pytest.raises(NotOffered):
            CpuV2().plan_limits(dirs, {field: 1}, 4)


@pytest.mark.parametrize(
    ("now", "wanted", "expected"),
    [
        # (cores, period) now and as wanted; the share of CPU time never leaves what lies between the two
        ((0.5, 100_000), (1, 50_000), [("period", 50_000)]),
        ((0.5, 100_000), (1.2, 50_000), [("quota", 60_000), ("period", 50_000)]),
        ((0.5, 100_000), (0.1, 200_000), [("quota", 20_000), ("period", 200_000)]),
        ((0.5, 100_000), (1, 200_000), [("quota", -1), ("period", 200_000), ("quota", 200_000)]),
        ((0.5, 100_000), (0.4, 50_000), [("quota", -1), ("period", 50_000), ("quota", 20_000)]),
        ((0.5, 100_000), (None, 50_000), [("quota", -1), ("period", 50_000)]),
        ((UNLIMITED, 100_000), (1, 50_000), [("period", 50_000), ("quota", 50_000)]),
    ],
)
def test_a_quota_and_its_period_change_without_a_share_outside(
    now: tuple[float, int], wanted: tuple[float | None, int], expected: list[tuple[str, int]]
) -> None:
    wish = dict(zip(("cpu_max_cores", "cpu_period_usec"), wanted, strict=True))

    writes = plan_bandwidth(CpuLimits(*now), wish, 4)

    assert values(writes) == [(f"cpu.cfs_{kind}_us", str(number)) for kind, number in expected]


@given(numbers=st.tuples(*[st.integers(1_000, 1_000_000)] * 4))
def test_no_step_leaves_what_lies_between(numbers: tuple[int, int, int, int]) -> None:
    quota, period, new_quota, new_period = numbers
    wish = {"cpu_max_cores": new_quota / new_period, "cpu_period_usec": new_period}
    shares = [quota / period, new_quota / new_period]

    for write in plan_bandwidth(CpuLimits(quota / period, period), wish, 1000):
        quota, period = (int(write.value), period) if "quota" in write.file else (quota, int(write.value))
        inside = min(shares) * 0.999 <= quota / period <= max(shares) * 1.001
        assert quota == -1 or inside
    assert abs(quota - new_quota) <= 1
    assert period == new_period


def test_what_is_not_offered_is_planned_as_nothing() -> None:
    assert plan_bandwidth(CpuLimits(), {"cpu_max_cores": 1}, 4) == []
    assert plan_cpu_max(CpuLimits(), {"cpu_max_cores": 1}, 4) == []
    assert plan_bandwidth(CpuLimits(1.0, 100_000), {"cpu_burst_usec": 5}, 4) == []
    assert plan_weight(CpuLimits(weight=5, idle=False), {}, WEIGHT) == []


MAX, HIGH, SWAP = "memory.max", "memory.high", "memory.swap.max"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"memory_max_bytes": 128, "memory_high_bytes": 96}, [(MAX, 128), (HIGH, 96)]),
        ({"memory_max_bytes": 32, "memory_high_bytes": 16}, [(HIGH, 16), (MAX, 32)]),
        ({"memory_max_bytes": 32, "memory_swap_max_bytes": 64}, [(SWAP, 64), (MAX, 32)]),
        ({"memory_max_bytes": 32, "memory_swap_max_bytes": 0}, [(MAX, 32), (SWAP, 0)]),
        ({"memory_max_bytes": None}, [(MAX, None)]),
        ({"memory_max_bytes": 64}, []),
        ({"memory_low_bytes": 8, "memory_min_bytes": 4}, [("memory.min", 4), ("memory.low", 8)]),
        ({"memory_low_bytes": "max"}, [("memory.low", None)]),
        ({"memory_low_bytes": None, "memory_min_bytes": None}, [("memory.min", 0)]),
        ({"pids_max": 3}, []),
    ],
)
def test_memory_gives_room_before_it_takes_room(
    wanted: Wanted, expected: list[tuple[str, int | None]]
) -> None:
    now = MemoryLimits(64 * MIB, 32 * MIB, 48 * MIB, low_bytes=0, min_bytes=2 * MIB, oom_group=False)
    scaled = {field: value * MIB if isinstance(value, int) else value for field, value in wanted.items()}

    writes = plan_unified_memory(now, scaled)

    assert values(writes) == [(f, "max" if value is None else str(value * MIB)) for f, value in expected]


def test_a_group_is_killed_as_a_whole_if_so_wished(tree: Tree) -> None:
    dirs = tree.make({"memory": {"memory.max": "max\n", "memory.oom.group": "0\n"}})

    plan = MemoryV2().plan_limits
    assert values(plan(dirs, {"memory_oom_group": True})) == [("memory.oom.group", "1")]
    assert plan(dirs, {"memory_oom_group": None}) == []
    with pytest.raises(NotOffered):
        plan(dirs, {"memory_soft_limit_bytes": 5})
    with pytest.raises(BadLimit, match="neither true nor false"):
        plan(dirs, {"memory_oom_group": 1})


def test_swappiness_lifted_is_the_kernels_own() -> None:
    assert plan_swappiness(MemoryLimits(swappiness=10), {}) == []
    assert plan_swappiness(MemoryLimits(swappiness=60), {"memory_swappiness": None}) == []
    assert values(plan_swappiness(MemoryLimits(swappiness=60), {"memory_swappiness": 0})) == [
        ("memory.swappiness", "0")
    ]


def test_swap_alone_is_told_where_both_limits_are() -> None:
    assert [swap_alone(*each) for each in ((None, 5), (UNLIMITED, 5), (5, 8), (8, 5))] == [
        None,
        UNLIMITED,
        3,
        0,
    ]
    assert [is_above(*each) for each in ((UNLIMITED, 5), (UNLIMITED, UNLIMITED), (5, UNLIMITED), (6, 5))] == [
        True,
        False,
        False,
        True,
    ]


def test_memory_without_swap_accounting_is_one_write() -> None:
    assert values(plan_memory(MemoryLimits(UNLIMITED), {"memory_max_bytes": MIB})) == [
        ("memory.limit_in_bytes", str(MIB))
    ]
    now = MemoryLimits(soft_limit_bytes=MIB)
    assert plan_soft_limit(now, {"memory_soft_limit_bytes": MIB + 5}) == []
    assert values(plan_soft_limit(now, {"memory_soft_limit_bytes": None})) == [
        ("memory.soft_limit_in_bytes", "-1")
    ]


def test_a_memory_controller_that_is_not_there_is_not_offered(tree: Tree) -> None:
    dirs = tree.make({"memory": {}})

    assert directory(dirs) is dirs["memory"]
    with pytest.raises(NotOffered):
        directory({})


NOW = {"8:0": IoLimit(read_bytes_per_sec=100)}


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"8:0": {"write_bytes_per_sec": 7, "reads_per_sec": 3}}, ["8:0 wbps=7 riops=3"]),
        ({"8:0": {"read_bytes_per_sec": 100}}, []),
        ({"8:0": None}, ["8:0 rbps=max"]),
        ({"8:0": IoLimit(writes_per_sec=4)}, ["8:0 rbps=max wiops=4"]),
        ({}, []),
        (None, ["8:0 rbps=max"]),
    ],
)
def test_throttles_of_a_disk_are_one_write(host: Host, wish: object, expected: list[str]) -> None:
    assert [write.value for write in plan_io_max(NOW, check_io_max(wish, host))] == expected
    assert len(plan_throttles(NOW, check_io_max(wish, host))) == sum(value.count("=") for value in expected)


def test_a_disk_has_weights_and_a_latency_target(tree: Tree, host: Host) -> None:
    files = {"io.bfq.weight": "default 100\n", "io.weight": "default 100\n8:0 50\n", "io.latency": ""}
    dirs = tree.make({"blkio": files | {"io.max": ""}})
    wanted = {"blkio_weight": 200, "io_weight": 10, "io_latency_usec": {"8:0": 500}}

    assert values(BlkioV2().plan_limits(dirs, wanted, host)) == [
        ("io.bfq.weight", "200"),
        ("io.weight", "10"),
        ("io.latency", "8:0 target=500"),
    ]


def test_a_latency_target_is_taken_away_by_0(host: Host) -> None:
    now = {"8:0": 500}

    assert [write.value for write in plan_latency(now, None, host)] == ["8:0 target=0"]
    assert [write.value for write in plan_latency(now, {"8:0": "max"}, host)] == ["8:0 target=0"]
    assert plan_latency(now, {"8:0": 500}, host) == []
    with pytest.raises(BadLimit, match="is a mapping"):
        plan_latency(now, 500, host)


def lists(tree: Tree, *, populated: int = 0) -> dict[str, ControlDir]:
    """A cpuset below another one."""
    tree.make({"top": {"cpuset.cpus.effective": "0-2\n", "cpuset.mems.effective": "0-1\n"}})
    files = {
        "cpuset.cpus": "0-1\n",
        "cpuset.mems": "0\n",
        "cpuset.cpus.effective": "0-1\n",
        "cpuset.mems.effective": "0\n",
        "cpuset.cpus.partition": "member\n",
        "cgroup.events": f"populated {populated}\nfrozen 0\n",
    }
    return {"cpuset": tree.make({"top/web": files})["top/web"]}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"cpuset_cpus": "2-3"}, [("cpuset.cpus", "2-3")]),
        ({"cpuset_cpus": "1,0"}, []),
        ({"cpuset_cpus": ""}, [("cpuset.cpus", "")]),
        ({"cpuset_mems": None}, [("cpuset.mems", "")]),
        (
            {"cpuset_partition": "root", "cpuset_cpus": "2"},
            [("cpuset.cpus", "2"), ("cpuset.cpus.partition", "root")],
        ),
        ({"cpuset_partition": None}, []),
    ],
)
def test_lists_of_an_empty_group_can_be_empty(
    tree: Tree, host: Host, wanted: Wanted, expected: Values
) -> None:
    assert values(NumaV2().plan_limits(lists(tree), wanted, host)) == expected


def test_a_list_of_a_group_with_tasks_is_lifted_to_all_that_is_above(tree: Tree, host: Host) -> None:
    writes = NumaV2().plan_limits(lists(tree, populated=1), {"cpuset_cpus": None}, host)

    assert values(writes) == [("cpuset.cpus", "0-2")]


def test_a_partition_is_given_up_before_its_list_changes(tree: Tree, host: Host) -> None:
    dirs = lists(tree)
    (tree.root / "top/web/cpuset.cpus.partition").write_text("root\n")

    writes = NumaV2().plan_limits(dirs, {"cpuset_cpus": "3", "cpuset_partition": "member"}, host)

    assert values(writes) == [("cpuset.cpus.partition", "member"), ("cpuset.cpus", "3")]
    with pytest.raises(BadLimit, match="none of member"):
        plan_partition(CpusetLimits(partition="root"), {"cpuset_partition": "all"})


def test_whether_pages_move_is_settled_before_the_nodes_change(tree: Tree, host: Host) -> None:
    files = {"cpuset.cpus": "0\n", "cpuset.mems": "0\n", "cpuset.memory_migrate": "0\n"}
    dirs = tree.make({"cpuset": files})

    writes = NumaV1().plan_limits(dirs, {"cpuset_mems": "1", "cpuset_memory_migrate": True}, host)

    assert values(writes) == [("cpuset.memory_migrate", "1"), ("cpuset.mems", "1")]
    assert plan_migrate(CpusetLimits(memory_migrate=True), {"cpuset_memory_migrate": True}) == []
    assert values(plan_migrate(CpusetLimits(memory_migrate=True), {"cpuset_memory_migrate": None})) == [
        ("cpuset.memory_migrate", "0")
    ]
