"""Refusals of the real kernel, each by the right errno and in words that say what would work."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from cgroupfs import Cgroup, Hierarchies, Refused, Write
from tests.cgroupfs.conftest import Start

pytestmark = pytest.mark.kernel

MIB = 1 << 20
V1, V2 = "v1", "v2"
needs = pytest.mark.needs


@needs("memory", V1)
def test_wrong_order_of_memory_is_refused_and_explained(real: Cgroup) -> None:
    real.apply(real.plan_limits({"memory_max_bytes": 64 * MIB, "memory_swap_max_bytes": 0}))

    with pytest.raises(Refused, match="raise that first") as caught:
        real.apply([Write("memory", "memory.limit_in_bytes", str(128 * MIB))])

    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("write", "code", "why"),
    [
        pytest.param(
            Write("cpu", "cpu.cfs_quota_us", "1"), errno.EINVAL, "1000 us or more", marks=needs("cpu", V1)
        ),
        pytest.param(
            Write("cpu", "cpu.max", "1 100000"), errno.EINVAL, "1000 us or more", marks=needs("cpu", V2)
        ),
        pytest.param(
            Write("memory", "memory.soft_limit_in_bytes", "much"),
            errno.EINVAL,
            "-1 for no limit",
            marks=needs("memory", V1),
        ),
        pytest.param(
            Write("memory", "memory.swappiness", "201"), errno.EINVAL, "0 to 200", marks=needs("memory", V1)
        ),
        pytest.param(
            Write("memory", "memory.oom_control", "2"), errno.EINVAL, "0 or 1", marks=needs("memory", V1)
        ),
        pytest.param(
            Write("memory", "memory.oom.group", "2"), errno.EINVAL, "0 or 1", marks=needs("memory", V2)
        ),
        (Write("pids", "pids.max", "5000000"), errno.EINVAL, "0 to 4194304"),
        (Write("cpuset", "cpuset.mems", "9"), errno.EINVAL, "no such CPU or memory node"),
        pytest.param(
            Write("blkio", "blkio.throttle.read_bps_device", "9:99 5", "9:99"),
            errno.ENODEV,
            "no such disk",
            marks=needs("blkio", V1),
        ),
        pytest.param(
            Write("blkio", "io.max", "9:99 rbps=5", "9:99"),
            errno.ENODEV,
            "no such disk",
            marks=needs("blkio", V2),
        ),
        pytest.param(
            Write("freezer", "freezer.state", "COLD"),
            errno.EINVAL,
            "THAWED or FROZEN",
            marks=needs("freezer", V1),
        ),
        (Write("unified", "cgroup.procs", "1x"), errno.EINVAL, "cannot be moved"),
    ],
)
def test_a_refusal_names_file_value_and_reason(real: Cgroup, write: Write, code: int, why: str) -> None:
    if write.value.startswith("9:99") and Path("/sys/dev/block/9:99").exists():
        pytest.fail("this host really has a disk 9:99")

    with pytest.raises(Refused, match=why) as caught:
        real.dirs[write.controller].write(write.file, write.value)

    assert caught.value.errno == code
    assert write.file in str(caught.value)
    assert repr(write.value) in str(caught.value)


@needs("cpu", V1)
def test_a_share_of_cpu_time_outside_of_parent_and_child_is_refused_with_what_would_work(
    hierarchies: Hierarchies, real: Cgroup
) -> None:
    real.apply(real.plan_limits({"cpu_max_cores": 0.5}))
    child = hierarchies.create(f"{real.path}/child")
    child.apply(child.plan_limits({"cpu_max_cores": 0.4}))

    for group, cores in ((child, 0.6), (real, 0.3)):
        with pytest.raises(
            Refused, match=r"raise the parent first, lower the children first, or .*plan_nested"
        ):
            group.apply(group.plan_limits({"cpu_max_cores": cores}))


@needs("cpu", V1)
def test_a_quota_below_the_burst_is_refused_with_what_would_work(real: Cgroup) -> None:
    real.apply(real.plan_limits({"cpu_max_cores": 0.5, "cpu_burst_usec": 40_000}))

    with pytest.raises(Refused, match="at least the burst"):
        real.dirs["cpu"].write("cpu.cfs_quota_us", "20000")


@pytest.mark.parametrize(
    ("file", "value"),
    [
        pytest.param("blkio.throttle.read_bps_device", "9:99 5", marks=needs("blkio", V1)),
        pytest.param("io.max", "9:99 rbps=5", marks=needs("blkio", V2)),
    ],
)
def test_an_unknown_disk_does_not_look_like_a_removed_cgroup(real: Cgroup, file: str, value: str) -> None:
    with pytest.raises(Refused):
        real.dirs["blkio"].write(file, value)

    assert real.alive()


@needs("cpuset", V1)
def test_entering_an_empty_cpuset_is_refused_in_words(real: Cgroup, start: Start) -> None:
    process = start(real)
    real.dirs["cpuset"].make_child("empty")
    empty = real.dirs["cpuset"].open_child("empty")

    with pytest.raises(Refused, match="set cpuset_cpus and cpuset_mems first") as caught:
        empty.write("cgroup.procs", str(process.pid))

    assert caught.value.errno == errno.ENOSPC
    empty.close()


@needs("cpuset", V1)
def test_a_cpuset_with_processes_is_never_emptied(real: Cgroup, start: Start) -> None:
    start(real)

    with pytest.raises(Refused, match="never be empty") as caught:
        real.dirs["cpuset"].write("cpuset.cpus", "")

    assert caught.value.errno == errno.ENOSPC


@needs("cpuset", V1)
def test_a_cpuset_outside_its_parents_is_refused_in_words(hierarchies: Hierarchies, real: Cgroup) -> None:
    real.apply(real.plan_limits({"cpuset_cpus": "0"}))
    child = hierarchies.create(f"{real.path}/child")
    assert child.read_limits().cpuset_cpus == "0"

    with pytest.raises(Refused, match="widen the parent first") as caught:
        child.apply([Write("cpuset", "cpuset.cpus", "0-1")])

    assert caught.value.errno == errno.EACCES


@needs("cpu", V1)
def test_a_quota_above_the_parents_is_refused_in_words(hierarchies: Hierarchies, real: Cgroup) -> None:
    real.apply(real.plan_limits({"cpu_max_cores": 0.5}))
    child = hierarchies.create(f"{real.path}/child")

    with pytest.raises(Refused, match="at most its parent's"):
        child.apply(child.plan_limits({"cpu_max_cores": 1}))
