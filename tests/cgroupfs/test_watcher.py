"""What readings tell, and how the stream gathers and rests: with plain files and a clock of its own."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import (
    Cgroup,
    CgroupError,
    FreezerChanged,
    LimitHit,
    NotOffered,
    OomKill,
    OutOfMemory,
    PopulatedChanged,
    ReclaimPressure,
    Refused,
    Removed,
    Stalled,
    Watcher,
    Way,
)
from cgroupfs.events import compare_group, compare_memory
from cgroupfs.files import ControlDir
from cgroupfs.notices import OVERFLOW, Kernel, Notice, parse_notices
from cgroupfs.watcher_sources import read_birth


class Clock:
    """Time that goes when it is told to; the kernel's own timer is always late by it, which does no harm."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Plain(Kernel):
    """Notices are raised by the test; triggers are refused as it says."""

    def __init__(self, refuse: tuple[int, ...] = (), refusal: CgroupError | None = None) -> None:
        self.refusal = refusal
        self.eventfds: list[int] = []
        self.lost = False
        self.asked: list[str] = []
        self._refuse = list(refuse)

    def eventfd(self) -> int:
        self.eventfds.append(super().eventfd())
        return self.eventfds[-1]

    def register(self, directory: ControlDir, eventfd: int, file: str, arguments: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        super().register(directory, eventfd, file, arguments)

    def set_timer(self, timer: int, at: float | None) -> None:
        """Never: the test calls when it is time."""

    def read_notices(self, inotify: int) -> list[Notice]:
        found = super().read_notices(inotify)
        return [Notice(OVERFLOW, "")] if self.lost and found else found

    def trigger(self, path: str, directory: ControlDir | None, text: str) -> int:
        self.asked.append(text)
        if self._refuse:
            raise OSError(self._refuse.pop(0), "refused")
        return super().eventfd()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def add(cgroup: Cgroup, controller: str, **files: str) -> None:
    for name, text in files.items():
        Path(cgroup.paths()[controller], name.replace("__", ".")).write_text(text)


def test_the_counters_that_rose_are_told_and_the_others_are_not() -> None:
    before = {"low": 0, "high": 2, "max": 7, "oom": 0, "oom_kill": 0}

    told = compare_memory("/w", 9, before, {"low": 0, "high": 5, "max": 7, "oom": 1, "oom_kill": 2})

    assert told == [LimitHit("/w", 9, "high", 3), OutOfMemory("/w", 9, 1), OomKill("/w", 9, 2)]


def test_a_counter_that_fell_was_reset() -> None:
    assert compare_memory("/w", 9, {"max": 7}, {"max": 1}) == []


def test_a_group_that_froze_and_emptied_tells_both() -> None:
    told = compare_group("/w", 9, {"populated": 1, "frozen": 0}, {"populated": 0, "frozen": 1})

    assert told == [FreezerChanged("/w", 9, True), PopulatedChanged("/w", 9, False)]


def test_a_kernel_without_a_freezer_tells_of_processes_alone() -> None:
    assert compare_group("/w", 9, {"populated": 0}, {"populated": 1}) == [PopulatedChanged("/w", 9, True)]


@given(st.dictionaries(st.text(), st.integers(min_value=0)))
def test_no_change_tells_nothing(counters: dict[str, int]) -> None:
    assert compare_memory("/w", 9, counters, counters) == compare_group("/w", 9, counters, counters) == []


def test_notices_carry_the_name_in_a_watched_directory() -> None:
    data = struct.pack("iIII", 3, 0x200, 0, 16) + b"web".ljust(16, b"\0") + struct.pack("iIII", 4, 2, 0, 0)

    assert parse_notices(data) == [Notice(3, "web"), Notice(4, "")]


@given(st.binary(max_size=200))
def test_any_bytes_are_some_notices_or_none(data: bytes) -> None:
    assert len(parse_notices(data)) <= len(data) // 16


def test_a_burst_is_gathered_while_its_source_rests(web: Cgroup, clock: Clock) -> None:
    add(web, "memory", memory__pressure_level="", cgroup__event_control="")
    kernel = Plain()
    with Watcher(kernel=kernel, clock=clock, rest_sec=0.1) as watcher:
        watcher.watch_reclaim(web, "medium")
        told = []
        for _ in range(4):
            os.eventfd_write(kernel.eventfds[0], 25)
            told += watcher.read(timeout=0)
            clock.now += 0.03
        clock.now += 0.1
        told += watcher.read(timeout=0)

    assert told == [ReclaimPressure(web.path, web.inode, "medium", 25 * n) for n in (1, 3)]


@pytest.mark.needs("memory", "v1")
def test_an_oom_is_followed_until_its_victim_is_counted(web: Cgroup, clock: Clock) -> None:
    add(web, "memory", cgroup__event_control="", memory__oom_control="under_oom 0\noom_kill 0\n")
    kernel = Plain()
    with Watcher(kernel=kernel, clock=clock, rest_sec=0) as watcher:
        watcher.watch_memory(web)
        os.eventfd_write(kernel.eventfds[0], 1)
        assert watcher.read(timeout=0) == [OutOfMemory(web.path, web.inode, 1)]
        add(web, "memory", memory__oom_control="under_oom 0\noom_kill 1\n")
        assert watcher.read(timeout=0) == []

        clock.now += 0.05
        assert watcher.read(timeout=0) == [OomKill(web.path, web.inode, 1)]


def test_after_lost_notices_everything_is_looked_at(web: Cgroup, clock: Clock) -> None:
    add(web, "unified", cgroup__events="populated 0\nfrozen 0\n")
    kernel = Plain()
    with Watcher(kernel=kernel, clock=clock) as watcher:
        watcher.watch_group(web)
        watcher.read(timeout=0)
        kernel.lost = True
        add(web, "unified", cgroup__events="populated 1\nfrozen 0\n")

        assert watcher.read(timeout=0) == [PopulatedChanged(web.path, web.inode, True)]


@pytest.mark.needs("memory", "v1")
def test_a_removed_group_is_told_once_though_all_its_sources_see_it(web: Cgroup, clock: Clock) -> None:
    add(web, "memory", cgroup__event_control="")
    kernel = Plain()
    with Watcher(kernel=kernel, clock=clock) as watcher:
        watcher.watch_memory(web)
        watcher.watch_usage(web, 1 << 40)
        watcher.read(timeout=0)
        Path(web.paths()["memory"], "cgroup.procs").unlink()
        for eventfd in kernel.eventfds:
            os.eventfd_write(eventfd, 1)

        assert watcher.read(timeout=0) == [Removed(web.path, web.inode)]
        assert watcher.ways() == ()


@pytest.mark.needs("freezer", "v1")
def test_without_a_unified_tree_processes_and_freezer_are_looked_up(web: Cgroup, clock: Clock) -> None:
    del web.dirs["unified"]
    with Watcher(kernel=Plain(), clock=clock, poll_sec=1) as watcher:
        way = watcher.watch_group(web)
        watcher.read(timeout=0)
        add(web, "freezer", freezer__state="FROZEN\n")
        early = watcher.read(timeout=0)
        clock.now += 1

        assert early == []
        assert watcher.read(timeout=0) == [FreezerChanged(web.path, web.inode, True)]
        assert way == Way(web.path, "cgroup.procs", "polling", "there is no unified tree")


def psi(total: int) -> str:
    line = f"avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n"
    return f"some {line}full {line}"


def test_a_refused_window_is_widened_to_what_anybody_may_have(web: Cgroup) -> None:
    kernel = Plain(refuse=(errno.EINVAL,))
    with Watcher(kernel=kernel) as watcher:
        way = watcher.watch_stall(web, "memory", stall_usec=100_000, window_usec=1_000_000)

        assert kernel.asked == ["some 100000 1000000", "some 200000 2000000"]
        assert (way.by, way.source, way.why) == ("trigger", "memory.pressure some 200000 2000000", "refused")


@pytest.mark.parametrize("kind", ["some", "full"])
def test_without_a_trigger_the_total_is_compared_once_a_window(web: Cgroup, clock: Clock, kind: str) -> None:
    kernel = Plain(refuse=(errno.EINVAL, errno.EINVAL))
    add(web, "unified", io__pressure=psi(0))
    with Watcher(kernel=kernel, clock=clock, poll_sec=1) as watcher:
        way = watcher.watch_stall(web, "io", kind=kind, stall_usec=500_000, window_usec=2_000_000)
        told = []
        for total in (0, 400_000, 800_000, 900_000, 1_000_000):
            add(web, "unified", io__pressure=psi(total))
            told.append(watcher.read(timeout=0))
            clock.now += 1

    assert way.by == "polling"
    assert told == [[], [], [Stalled(web.path, web.inode, "io", kind, 500_000, 2_000_000)], [], []]


def test_pressure_that_the_kernel_withdraws_is_looked_up_from_then_on(web: Cgroup, clock: Clock) -> None:
    with Watcher(kernel=Plain(), clock=clock) as watcher:
        watcher.watch_stall(web, "cpu", stall_usec=1, window_usec=2_000_000)
        stall = next(source for source in watcher._stream._sources if "pressure" in source.way.source)

        assert stall.look(clock.now, 8) == []  # EPOLLERR
        assert stall.way.by == "polling"
        assert stall.way.why == "the kernel ended the trigger"


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EOPNOTSUPP])
def test_a_kernel_without_pressure_offers_none(web: Cgroup, code: int) -> None:
    with Watcher(kernel=Plain(refuse=(code,))) as watcher, pytest.raises(NotOffered, match=r"cpu\.pressure"):
        watcher.watch_stall(web, "cpu", stall_usec=1, window_usec=2_000_000)


@pytest.mark.parametrize(("kind", "stall"), [("most", 1), ("some", 0), ("some", 2_000_001)])
def test_a_stall_that_cannot_be_is_refused(web: Cgroup, kind: str, stall: int) -> None:
    with Watcher() as watcher, pytest.raises(CgroupError, match="no tasks can wait like that"):
        watcher.watch_stall(web, "cpu", kind=kind, stall_usec=stall, window_usec=2_000_000)


def test_a_level_that_does_not_exist_is_refused(web: Cgroup) -> None:
    with Watcher() as watcher, pytest.raises(CgroupError, match="one of low, medium, critical"):
        watcher.watch_reclaim(web, "high")


def test_pressure_of_reclaim_without_its_notice_is_an_error(web: Cgroup) -> None:
    class Full(Plain):
        def eventfd(self) -> int:
            raise OSError(errno.EMFILE, "no file left")

    with Watcher(kernel=Full()) as watcher, pytest.raises(CgroupError, match="no file left"):
        watcher.watch_reclaim(web)


def test_what_a_group_lacks_is_not_offered(web: Cgroup) -> None:
    with Watcher() as watcher:
        with pytest.raises(NotOffered, match=r"memory\.pressure_level"):
            watcher.watch_reclaim(web)
        del web.dirs["unified"]
        with pytest.raises(NotOffered, match=r"cpu\.pressure"):
            watcher.watch_stall(web, "cpu", stall_usec=1, window_usec=2_000_000)
        del web.dirs["memory"]
        with pytest.raises(NotOffered, match="memory"):
            watcher.watch_memory(web)


def test_a_process_is_known_by_when_it_began() -> None:
    assert (read_birth(os.getpid()) or "").isdigit()
    assert read_birth(2**22 + 1) is None


@pytest.mark.needs("memory", "v1")
@pytest.mark.parametrize(
    "refusal",
    [
        Refused("/cg/w", "cgroup.event_control", "5 6", errno.EINVAL, "the kernel gives no notices of it"),
        NotOffered("/cg/w", "cgroup.event_control"),
    ],
)
def test_an_eventfd_that_is_refused_becomes_looking_and_says_why(web: Cgroup, refusal: CgroupError) -> None:
    with Watcher(kernel=Plain(refusal=refusal)) as watcher:
        ways = [watcher.watch_memory(web), watcher.watch_usage(web, 1 << 20)]

        assert [(way.by, way.why) for way in ways] == [("polling", str(refusal))] * 2
        assert set(ways) <= set(watcher.ways())
        with pytest.raises(CgroupError, match=r"cannot be looked up, and .*cgroup\.event_control"):
            watcher.watch_reclaim(web)
