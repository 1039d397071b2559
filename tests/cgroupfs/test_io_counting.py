"""A disk's traffic is counted from a group's beginning, although v1 itself waits for the first throttle."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cgroupfs import Cgroup, Hierarchies
from cgroupfs.host import Disk, Host
from cgroupfs.io_counting import FILE, begin_counting
from tests.cgroupfs.conftest import Start, Tree

NUMBER: Final = 777  # of a loop device that nothing else has; one is new, and has no throttles, each time
ADD, REMOVE, SET, CLEAR = (
    0x4C80,
    0x4C81,
    0x4C00,
    0x4C01,
)  # LOOP_CTL_ADD, LOOP_CTL_REMOVE, LOOP_SET_FD, LOOP_CLR_FD
MIB: Final = 1 << 20
# Past the page cache, since v1 charges what is written back later to nobody.
WRITE: Final = (
    "import mmap, os\n"
    "disk = os.open('/dev/loop777', os.O_WRONLY | os.O_DIRECT)\n"
    "held = mmap.mmap(-1, 1 << 20); held.write(b'x' * (1 << 20))\n"
    "os.write(disk, held); os.close(disk)\n"
    "print('ready', flush=True); input()\n"
)


@pytest.fixture
def new_disk() -> Iterator[str]:
    """A disk that nobody has throttled since it was made, by its numbers."""
    with made_disk() as numbers:
        yield numbers


@contextlib.contextmanager
def made_disk() -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        stack.callback(os.close, control)
        fcntl.ioctl(control, ADD, NUMBER)
        stack.callback(fcntl.ioctl, control, REMOVE, NUMBER)
        file = os.open("/var/tmp", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC)
        stack.callback(os.close, file)
        os.truncate(file, 4 * MIB)
        disk = os.open(f"/dev/loop{NUMBER}", os.O_RDWR | os.O_CLOEXEC)
        stack.callback(os.close, disk)
        fcntl.ioctl(disk, SET, file)
        stack.callback(fcntl.ioctl, disk, CLEAR, 0)
        yield Path(f"/sys/block/loop{NUMBER}/dev").read_text().strip()


@pytest.mark.kernel
@pytest.mark.needs("blkio", "v1")
def test_traffic_of_a_disk_that_nobody_has_throttled_is_counted(
    new_disk: str, hierarchies: Hierarchies, parent: str, start: Start
) -> None:
    web = hierarchies.create(f"{parent}/web")

    start(web, WRITE)

    io = web.hot().read().io
    assert io is not None
    assert {device.device: device.write_bytes for device in io.devices}[new_disk] == MIB
    assert new_disk not in (web.read_limits().io_max or {})


@pytest.mark.kernel
@pytest.mark.needs("blkio", "v1")
def test_a_disk_that_went_and_came_back_under_its_name_is_counted_too(
    hierarchies: Hierarchies, parent: str, start: Start
) -> None:
    with made_disk():
        hierarchies.create(f"{parent}/before")
    with made_disk() as again:
        web = hierarchies.create(f"{parent}/web")

        start(web, WRITE)

        io = web.hot().read().io
        assert io is not None
        assert {device.device: device.write_bytes for device in io.devices}[again] == MIB


@pytest.mark.kernel
@pytest.mark.needs("blkio", "v1")
def test_throttles_of_a_group_that_is_there_stay(
    new_disk: str, hierarchies: Hierarchies, real: Cgroup
) -> None:
    wish = {"io_max": {new_disk: {"read_bytes_per_sec": MIB}}}
    real.apply(real.plan_limits(wish))

    again = Hierarchies.read().create(real.path)

    assert again.plan_limits(wish) == []


def test_disks_that_hold_nothing_and_those_known_are_left_out_and_those_gone_forgotten(
    tmp_path: Path, tree: Tree
) -> None:
    for name, size, numbers in (("loop0", "0", "7:0"), ("sda", "2048", "8:0"), ("sdb", "2048", "8:16")):
        directory = tmp_path / "sys/block" / name
        directory.mkdir(parents=True)
        (directory / "size").write_text(f"{size}\n")
        (directory / "dev").write_text(f"{numbers}\n")

    host = Host(str(tmp_path))
    known = {disk for disk in host.list_disks() if disk.name == "sdb"} | {Disk("sdc", 1)}
    group = tree.make({"web": {FILE: ""}})["web"]

    begin_counting(group, host, known)

    assert tree.text(f"web/{FILE}") == "8:0 0"
    assert sorted(disk.name for disk in known) == ["sda", "sdb"]
    assert Host(str(tmp_path / "nowhere")).list_disks() == frozenset()
