"""The kept files: the numbers of a plain read, the same objects while nothing changes, gone when gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cgroupfs import Cgroup, CgroupGone, Hierarchies, ParseError
from tests.cgroupfs.conftest import Start


def test_kept_files_give_what_opening_them_gives(captured: Hierarchies, web: Cgroup) -> None:
    kept = web.hot()

    assert kept.read() == web.hot(keep=False).read()
    controllers = {name for name, place in captured.places.items() if place.kind == "v1"}
    assert kept.fds == (10 if "cpuacct" in controllers else 9)
    assert web.hot(keep=False).fds == 0
    kept.close()


def test_while_nothing_changes_the_same_object_comes_back(web: Cgroup) -> None:
    kept = web.hot()

    assert kept.read() is kept.read()
    kept.close()


def test_only_the_statistic_that_changed_is_new(web: Cgroup) -> None:
    kept = web.hot()
    before = kept.read()
    Path(web.paths()["pids"], "pids.current").write_text("9\n")

    after = kept.read()

    assert after.pids == (9,)
    assert after.memory is before.memory
    assert after.pressure is before.pressure
    kept.close()


def test_garbage_is_an_error_each_time_and_not_once(web: Cgroup) -> None:
    kept = web.hot()
    kept.read()
    Path(web.paths()["pids"], "pids.current").write_text("many\n")

    for _ in range(2):
        with pytest.raises(ParseError):
            kept.read()
    kept.close()


@pytest.mark.needs("blkio", "v1")
def test_a_file_longer_than_expected_is_read_whole(web: Cgroup) -> None:
    lines = [
        f"{device}:0 {operation} 1\n"
        for device in range(100)
        for operation in ("Read", "Write", "Sync", "Async", "Discard", "Total")
    ]
    for name in ("io_service_bytes", "io_serviced"):
        file = Path(web.paths()["blkio"], f"blkio.throttle.{name}_recursive")
        file.write_text("".join(lines) + "Total 100\n")
    kept = web.hot()

    io = kept.read().io

    assert io is not None
    assert io.read_bytes == io.writes == 100
    kept.close()


@pytest.mark.kernel
def test_a_removed_cgroup_is_gone_and_its_namesake_is_not_read(
    hierarchies: Hierarchies, real: Cgroup
) -> None:
    kept, opened = real.hot(), real.hot(keep=False)
    kept.read()
    hierarchies.remove(real.path)
    hierarchies.create(real.path)

    for each in (kept, opened):
        with pytest.raises(CgroupGone):
            each.read()
    kept.close()


@pytest.mark.kernel
def test_a_file_that_the_kernel_withdraws_is_absent_and_comes_back(real: Cgroup) -> None:
    kept = real.hot()
    assert kept.read().pressure is not None

    real.dirs["unified"].write("cgroup.pressure", "0")
    withdrawn = kept.read()
    real.dirs["unified"].write("cgroup.pressure", "1")
    again = real.hot()

    assert withdrawn.pressure is None
    assert withdrawn.cpu is not None
    assert again.read().pressure is not None
    for each in (kept, again):
        each.close()


@pytest.mark.kernel
def test_work_done_shows_in_the_numbers(real: Cgroup, start: Start) -> None:
    kept = real.hot()
    before = kept.read()
    start(real, "x = bytearray(8 << 20); [None for _ in range(10**6)]; print('ready', flush=True); input()")

    after = kept.read()

    assert before.cpu is not None
    assert after.cpu is not None
    assert after.cpu.usage_usec > before.cpu.usage_usec
    assert after.pids == (1,)
    assert after.memory is not None
    assert after.memory.usage_bytes >= 8 << 20
    kept.close()


@pytest.mark.kernel
def test_closed_files_leave_no_fd(real: Cgroup) -> None:
    before = len(os.listdir("/proc/self/fd"))
    kept = real.hot()
    kept.read()
    kept.close()
    kept.close()

    assert len(os.listdir("/proc/self/fd")) == before
