"""Hosts of other kinds, made of the captured tree: no unified tree, co-mounted controllers, one missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cgroupfs import CpuStat, Hierarchies, Limits
from tests import trees


@pytest.fixture
def root(tmp_path: Path) -> Path:
    trees.unpack("hybrid-6.18", tmp_path)
    return tmp_path


def drop_mount(root: Path, name: str) -> None:
    file = root / "proc/self/mountinfo"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if f"/sys/fs/cgroup/{name} " not in line))


def test_without_a_unified_tree_cpu_time_comes_from_v1_and_pressure_is_absent(root: Path) -> None:
    drop_mount(root, "unified")
    cgroup = Hierarchies.read(str(root)).cgroup("/cgwarden/web")
    hot = cgroup.hot()

    stats = hot.read()

    assert hot.fds == 9
    assert stats.pressure is None
    assert stats.cpu is not None
    assert stats.cpu.usage_usec > 1_000_000
    assert stats.cpu.user_usec is not None
    assert cgroup.read_slow().populated is None
    assert cgroup.read_freezer() == "thawed"
    hot.close()


def test_controllers_mounted_together_are_one_directory_and_one_fd(root: Path) -> None:
    both = root / "sys/fs/cgroup/cpu/cgwarden/web"
    for file in (root / "sys/fs/cgroup/cpuacct/cgwarden/web").iterdir():
        shutil.copy(file, both / file.name)
    drop_mount(root, "cpuacct")
    mountinfo = root / "proc/self/mountinfo"
    mountinfo.write_text(mountinfo.read_text().replace("cgroup rw,cpu\n", "cgroup rw,cpu,cpuacct\n"))
    cgroup = Hierarchies.read(str(root)).cgroup("/cgwarden/web")

    fds = cgroup.entry_fds()

    assert cgroup.paths()["cpu"] == cgroup.paths()["cpuacct"]
    assert len(fds) == len(set(cgroup.paths().values()))
    assert isinstance(cgroup.hot(keep=False).read().cpu, CpuStat)
    for fd in fds:
        os.close(fd)


def test_a_controller_that_is_not_mounted_has_no_limits_and_no_numbers(root: Path) -> None:
    for name in ("blkio", "cpuset", "devices", "freezer"):
        drop_mount(root, name)
    cgroup = Hierarchies.read(str(root)).cgroup("/cgwarden/web")

    limits = cgroup.read_limits()

    assert (limits.io_max, limits.blkio_weight, limits.cpuset_cpus) == (None, None, None)
    assert limits != Limits()
    assert cgroup.hot(keep=False).read().io is None
    document = cgroup.read_all()
    assert document["devices"] == {"allowed": None}
    blkio = document["blkio"]
    assert isinstance(blkio, dict)
    assert {"devices", "blkio_weight", "io_max", "io_weight"} <= blkio.keys()
    assert set(blkio.values()) == {None}


def test_a_mount_that_cannot_be_reached_offers_nothing(root: Path) -> None:
    shutil.rmtree(root / "sys/fs/cgroup/unified")

    cgroup = Hierarchies.read(str(root)).cgroup("/cgwarden/web")

    assert "unified" not in cgroup.dirs
    assert cgroup.hot(keep=False).read().pressure is None
