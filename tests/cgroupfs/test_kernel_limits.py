"""Limits on the real kernel: what it takes, and that a refused plan leaves nothing."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from cgroupfs import (
    UNLIMITED,
    Cgroup,
    CgroupGone,
    DeviceRule,
    Hierarchies,
    NotOffered,
    Refused,
    Write,
)
from tests.cgroupfs.conftest import Start

pytestmark = pytest.mark.kernel

MIB = 1 << 20
V1, V2 = "v1", "v2"
needs = pytest.mark.needs
HOLD_20_MIB = "x = bytearray(20 << 20); print('ready', flush=True); input()"


def whole_disk() -> str:
    disks = (Path("/sys/dev/block") / name for name in Path("/sys/dev/block").iterdir())
    return next(disk.name for disk in sorted(disks) if not (disk / "partition").exists())


def test_all_limits_are_in_force_as_wished(real: Cgroup) -> None:
    disk = whole_disk()
    offered = real.read_limits()
    wanted = {
        "memory_max_bytes": 64 * MIB,
        "memory_swap_max_bytes": 0,
        "memory_soft_limit_bytes": 32 * MIB,
        "memory_high_bytes": 48 * MIB,
        "memory_low_bytes": 8 * MIB,
        "memory_min_bytes": 4 * MIB,
        "memory_oom_group": True,
        "cpu_max_cores": 0.5,
        "cpu_period_usec": 50_000,
        "cpu_burst_usec": 10_000,
        "cpu_shares": 512,
        "cpu_weight": 300,
        "cpuset_cpus": "0",
        "cpuset_mems": "0",
        "pids_max": 50,
        "blkio_weight": 200,
        "io_max": {disk: {"read_bytes_per_sec": MIB, "writes_per_sec": 100}},
    }

    wanted = {field: value for field, value in wanted.items() if getattr(offered, field) is not None}
    written = real.apply(real.plan_limits(wanted))

    limits = real.read_limits().to_wire()
    io_max = limits.pop("io_max")
    assert {field: limits[field] for field in wanted if field != "io_max"} == {
        field: value for field, value in wanted.items() if field != "io_max"
    }
    assert io_max == {
        disk: {
            "read_bytes_per_sec": MIB,
            "write_bytes_per_sec": "max",
            "reads_per_sec": "max",
            "writes_per_sec": 100,
        }
    }
    assert ("cpu_shares" in wanted) != ("cpu_weight" in wanted)
    assert all(set(each.value.split()) <= set(each.read_back.split()) for each in written)
    assert real.plan_limits(wanted) == []


@pytest.mark.parametrize("steps", [(64, 128, 32), (128, 16, 256)])
@pytest.mark.parametrize("swap", [0, 8])
def test_memory_goes_up_and_down_with_swap_beside_it(real: Cgroup, steps: tuple[int, ...], swap: int) -> None:
    for mib in steps:
        wanted = {"memory_max_bytes": mib * MIB, "memory_swap_max_bytes": swap * MIB}
        real.apply(real.plan_limits(wanted))

        limits = real.read_limits()
        assert (limits.memory_max_bytes, limits.memory_swap_max_bytes) == (mib * MIB, swap * MIB)
    real.apply(real.plan_limits({"memory_max_bytes": UNLIMITED}))
    assert real.read_limits().memory_max_bytes is UNLIMITED


@pytest.mark.parametrize(
    "steps",
    [
        [(0.5, 100_000, 0), (2, 10_000, 20_000), (0.1, 1_000_000, 100_000), ("max", 100_000, 5_000)],
        [(1, 100_000, 100_000), (0.1, 100_000, 10_000), (0.2, 100_000, 20_000)],
    ],
)
def test_quota_period_and_burst_move_in_any_direction(
    real: Cgroup, steps: list[tuple[object, int, int]]
) -> None:
    for cores, period, burst in steps:
        wanted = {"cpu_max_cores": cores, "cpu_period_usec": period, "cpu_burst_usec": burst}
        real.apply(real.plan_limits(wanted))

        limits = real.read_limits().to_wire()
        assert {field: limits[field] for field in wanted} == wanted


@pytest.mark.parametrize(
    ("field", "refused"),
    [
        pytest.param("cpu_shares", Write("cpu", "cpu.cfs_quota_us", "1"), marks=needs("cpu", V1)),
        pytest.param("cpu_weight", Write("cpu", "cpu.max", "1 100000"), marks=needs("cpu", V2)),
    ],
)
def test_the_weight_survives_an_undone_idle(real: Cgroup, field: str, refused: Write) -> None:
    real.apply(real.plan_limits({field: 700}))
    plan = [*real.plan_limits({"cpu_idle": True}), refused]

    with pytest.raises(Refused):
        real.apply(plan)

    limits = real.read_limits()
    assert (limits.cpu_idle, getattr(limits, field)) == (False, 700)


# With swap, memory could always go there.
NO_SWAP = {"memory_max_bytes": 128 * MIB, "memory_swap_max_bytes": 0}


def test_a_limit_below_usage_is_refused_with_the_usage(real: Cgroup, start: Start) -> None:
    real.apply(real.plan_limits(NO_SWAP))
    process = start(real, HOLD_20_MIB)

    with pytest.raises(Refused, match=r"\d+ bytes are in use and cannot be reclaimed") as caught:
        real.apply(real.plan_limits({"memory_max_bytes": 4 * MIB}))

    assert (caught.value.errno, caught.value.value) == (errno.EBUSY, str(4 * MIB))
    assert caught.value.file in ("memory.limit_in_bytes", "memory.max")
    assert real.read_limits().memory_max_bytes == NO_SWAP["memory_max_bytes"]
    assert process.poll() is None


def test_a_half_applied_plan_is_rolled_back(real: Cgroup, start: Start) -> None:
    real.apply(real.plan_limits(NO_SWAP))
    start(real, HOLD_20_MIB)
    before = real.read_limits()
    wanted = {
        "cpu_max_cores": 0.5,
        "pids_max": 7,
        "cpuset_cpus": "0",
        "io_max": {whole_disk(): {"reads_per_sec": 9}},
    }

    with pytest.raises(Refused):
        real.apply(real.plan_limits(wanted | {"memory_max_bytes": 4 * MIB}))

    after = real.read_limits()
    assert replace(after, cpuset_cpus="") == replace(before, cpuset_cpus="")
    # With a process inside the unified tree takes no empty list; what is above is the same to the process.
    assert after.cpuset_cpus == (before.cpuset_cpus or before.cpuset_cpus_effective)


def test_a_removed_cgroup_is_gone_for_every_write(hierarchies: Hierarchies, real: Cgroup) -> None:
    plan = real.plan_limits({"pids_max": 5})
    hierarchies.remove(real.path)
    namesake = hierarchies.create(real.path)

    with pytest.raises(CgroupGone):
        real.apply(plan)
    with pytest.raises(CgroupGone):
        real.read_limits()
    with pytest.raises(CgroupGone):
        real.procs()

    assert not real.alive()
    assert namesake.alive()
    assert namesake.inode != real.inode
    assert namesake.read_limits().pids_max is UNLIMITED


def test_a_let_go_cgroup_still_knows_its_namesake(hierarchies: Hierarchies, real: Cgroup) -> None:
    real.close()
    assert real.alive()
    hierarchies.remove(real.path)
    hierarchies.create(real.path)

    with pytest.raises(CgroupGone):
        real.apply([Write("pids", "pids.max", "5")])


@pytest.mark.parametrize(
    ("field", "file"),
    [
        pytest.param("memory_high_bytes", "memory.high", marks=needs("memory", V1)),
        pytest.param("memory_swappiness", "memory.soft_limit_in_bytes", marks=needs("memory", V2)),
    ],
)
def test_what_this_kernel_lacks_is_not_offered(real: Cgroup, field: str, file: str) -> None:
    with pytest.raises(NotOffered):
        real.plan_limits({field: MIB})
    with pytest.raises(NotOffered):
        real.apply([Write("memory", file, "5")])


@needs("memory", V2)
def test_a_soft_limit_is_protection_where_the_kernel_has_that_alone(real: Cgroup) -> None:
    plan = real.plan_limits({"memory_soft_limit_bytes": MIB})

    assert plan == [Write("memory", "memory.low", str(MIB))]
    real.apply(plan)
    assert real.read_limits().memory_low_bytes == MIB


def test_a_device_is_denied_and_allowed(real: Cgroup, start: Start) -> None:
    real.apply(real.plan_devices([DeviceRule(True, "c", 1, 3, "rwm"), DeviceRule(True, "c", 1, 5, "r")]))
    code = (
        "def can(path, mode):\n"
        "    try: open(path, mode).close()\n"
        "    except PermissionError: return False\n"
        "    return True\n"
        "print('ready', flush=True)\n"
        "asked = (('null', 'r+b'), ('zero', 'rb'), ('zero', 'r+b'), ('random', 'rb'))\n"
        "print(*(can('/dev/' + name, mode) for name, mode in asked))\n"
    )

    process = start(real, code)

    assert process.stdout is not None
    assert process.stdout.readline() == b"True True False False\n"
    assert real.read_all()["devices"] == {"allowed": ["c 1:3 rwm", "c 1:5 r"]}


@needs("devices", V1)
def test_a_device_plan_that_fails_leaves_the_old_rules(hierarchies: Hierarchies, real: Cgroup) -> None:
    real.apply(real.plan_devices([DeviceRule(True, "c", 1, 3, "rwm")]))
    child = hierarchies.create(f"{real.path}/child")

    with pytest.raises(Refused, match="the parent group does not allow that device") as caught:
        child.apply(child.plan_devices([DeviceRule(True, "c", 1, 3, "r"), DeviceRule(True, "c", 1, 5, "r")]))

    assert caught.value.errno == errno.EPERM
    assert child.read_all()["devices"] == {"allowed": ["c 1:3 rwm"]}


def test_devices_can_be_denied_right_after_a_child_group_went(hierarchies: Hierarchies, real: Cgroup) -> None:
    hierarchies.create(f"{real.path}/child")
    hierarchies.remove(f"{real.path}/child")

    real.apply(real.plan_devices([DeviceRule(True, "c", 1, 3, "rwm")]))

    assert real.read_all()["devices"] == {"allowed": ["c 1:3 rwm"]}
