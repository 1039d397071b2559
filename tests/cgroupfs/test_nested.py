"""Groups changed together: what grows from the outside in, what shrinks from the inside out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cgroupfs import BadLimit, Cgroup, Hierarchies
from cgroupfs.nested import Change, apply_nested, plan_nested
from tests import trees

CPUS, QUOTA, PIDS = "cpuset.cpus", "cpu.cfs_quota_us", "pids.max"


@pytest.fixture
def nest(tmp_path: Path) -> tuple[Cgroup, Cgroup]:
    """Two groups with the same limits, one in the other, on a host with eight CPUs."""
    trees.unpack("hybrid-6.18", tmp_path)
    for outer in tmp_path.glob("sys/fs/cgroup/*/cgwarden"):
        for file in (outer / "web").iterdir():
            shutil.copy(file, outer / file.name)
    for name in ("online", "possible"):
        (tmp_path / "sys/devices/system/cpu" / name).write_text("0-7\n")
    for listed in tmp_path.glob("sys/fs/cgroup/cpuset/**/cpuset.cpus"):
        listed.write_text("2-3\n")
    hierarchies = Hierarchies.read(str(tmp_path))
    return hierarchies.cgroup("/cgwarden"), hierarchies.cgroup("/cgwarden/web")


def plan(nest: tuple[Cgroup, Cgroup], wanted: dict[str, object]) -> list[tuple[str, str, str]]:
    """The same wish for both groups, told from the inside out."""
    outer, inner = nest
    names = {outer.path: "outer", inner.path: "inner"}
    steps = plan_nested([Change(inner, wanted), Change(outer, wanted)])
    return [(names[step.cgroup.path], step.write.file, step.write.value) for step in steps]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"cpu_max_cores": 1}, [("outer", QUOTA, "100000"), ("inner", QUOTA, "100000")]),
        ({"cpu_max_cores": "max"}, [("outer", QUOTA, "-1"), ("inner", QUOTA, "-1")]),
        ({"cpu_max_cores": 0.1}, [("inner", QUOTA, "10000"), ("outer", QUOTA, "10000")]),
        ({"cpuset_cpus": "1-4"}, [("outer", CPUS, "1-4"), ("inner", CPUS, "1-4")]),
        ({"cpuset_cpus": "2"}, [("inner", CPUS, "2"), ("outer", CPUS, "2")]),
        (
            {"cpuset_cpus": "3-4"},
            [("outer", CPUS, "2-4"), ("inner", CPUS, "2-4"), ("inner", CPUS, "3-4"), ("outer", CPUS, "3-4")],
        ),
        ({"cpuset_cpus": "2-3"}, []),
        ({"pids_max": 5}, [("outer", PIDS, "5"), ("inner", PIDS, "5")]),
        (
            {"cpuset_memory_migrate": True},
            [("outer", "cpuset.memory_migrate", "1"), ("inner", "cpuset.memory_migrate", "1")],
        ),
    ],
)
def test_a_child_never_has_more_than_its_parent(
    nest: tuple[Cgroup, Cgroup], wanted: dict[str, object], expected: list[tuple[str, str, str]]
) -> None:
    assert plan(nest, wanted) == expected


def test_an_empty_list_has_no_bounds_to_keep_to(nest: tuple[Cgroup, Cgroup]) -> None:
    for cgroup in nest:
        Path(cgroup.paths()["cpuset"], CPUS).write_text("\n")

    assert plan(nest, {"cpuset_cpus": "1"}) == [("outer", CPUS, "1"), ("inner", CPUS, "1")]


def test_nothing_is_planned_if_one_wish_is_none_that_a_kernel_could_take(nest: tuple[Cgroup, Cgroup]) -> None:
    with pytest.raises(BadLimit):
        plan(nest, {"cpuset_cpus_effective": "1"})


def test_all_groups_are_changed(nest: tuple[Cgroup, Cgroup]) -> None:
    outer, inner = nest

    written = apply_nested(plan_nested([Change(outer, {"pids_max": 9}), Change(inner, {"pids_max": 5})]))

    assert [(each.before, each.read_back) for each in written] == [("50", "9"), ("50", "5")]


def test_a_child_whose_cpuset_is_lifted_gets_what_its_parent_is_going_to_have(
    nest: tuple[Cgroup, Cgroup],
) -> None:
    outer, inner = nest

    steps = plan_nested([Change(inner, {"cpuset_cpus": "max"}), Change(outer, {"cpuset_cpus": "0-5"})])

    assert [(step.cgroup.path, step.write.value) for step in steps] == [
        (outer.path, "0-5"),
        (inner.path, "0-5"),
    ]
