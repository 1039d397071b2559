"""Every kind of notice on the real kernel, and the same told by looking where the notice is refused."""

from __future__ import annotations

import errno
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgroupfs import (
    Cgroup,
    ControlDir,
    Event,
    Exited,
    FreezerChanged,
    Hierarchies,
    LimitHit,
    NotOffered,
    OomKill,
    OutOfMemory,
    PopulatedChanged,
    ReclaimPressure,
    Removed,
    Stalled,
    UsageCrossed,
    Watcher,
)
from cgroupfs.notices import Kernel
from tests.cgroupfs.conftest import Start

pytestmark = pytest.mark.kernel

MIB = 1 << 20
PATIENCE_SEC = 60.0
TAKE = "print('ready', flush=True)\nwhile size := int(input() or 0): kept = b'x' * (size << 20)\n"
WRITE_FILE = (
    "import os\nprint('ready', flush=True)\n"
    "fd = os.open({file!r}, os.O_RDWR | os.O_CREAT | os.O_TRUNC)\n"
    "input()\n"
    "for _ in range(400): os.write(fd, b'x' * (1 << 18))\n"
    "input()\n"
)
SPIN = "print('ready', flush=True)\nwhile True: pass"
SPIN_ON_ONE_CPU = f"os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n{SPIN}"


class Refusing(Kernel):
    """A kernel that has no notice left for this user."""

    def inotify(self) -> int:
        raise OSError(errno.EMFILE, "no inotify instance left")

    def eventfd(self) -> int:
        raise OSError(errno.EMFILE, "no file left")

    def trigger(self, path: str, directory: ControlDir | None, text: str) -> int:
        raise OSError(errno.EINVAL, "no trigger")

    def pidfd(self, pid: int) -> int:
        raise OSError(errno.ENOSYS, "no pidfds")


class Polling(Watcher):
    """One to which every notice is refused."""

    def __init__(self) -> None:
        super().__init__(kernel=Refusing(), poll_sec=0.02)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with Watcher() as watcher:
        yield watcher


@pytest.fixture(params=["notices", "polling"])
def either(request: pytest.FixtureRequest) -> Iterator[Watcher]:
    """One that gets notices, and one to which they are refused."""
    with Polling() if request.param == "polling" else Watcher(poll_sec=0.02) as watcher:
        yield watcher


def expected(watcher: Watcher, notice: str) -> str:
    """By which way it has to watch here what the kernel tells by `notice`: a fall back is a failure."""
    return "polling" if isinstance(watcher, Polling) else notice


def is_v1(real: Cgroup) -> bool:
    """Is the memory controller of the older kind?"""
    return real.dirs["memory"].read("memory.current") is None


def read_until(watcher: Watcher, enough: Callable[[list[Event]], bool]) -> list[Event]:
    """All events until there are enough of them."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_SEC
    while not enough(events):
        assert time.monotonic() < deadline, f"only {events} of {watcher.ways()}"
        events += watcher.read(timeout=1)
    return events


def tell(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n".encode())
    process.stdin.flush()


def of(kind: type[Event]) -> Callable[[list[Event]], bool]:
    return lambda events: any(isinstance(event, kind) for event in events)


def test_a_group_tells_of_its_first_process_its_freezer_and_its_end(
    either: Watcher, hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    assert either.watch_group(real).by == expected(either, "inotify")
    assert {way.by for way in either.ways()} == {expected(either, "inotify")}
    start(real)
    assert read_until(either, bool) == [PopulatedChanged(real.path, real.inode, True)]

    real.freeze()
    assert read_until(either, bool) == [FreezerChanged(real.path, real.inode, True)]
    real.thaw()
    assert read_until(either, bool) == [FreezerChanged(real.path, real.inode, False)]
    real.kill()
    assert read_until(either, bool) == [PopulatedChanged(real.path, real.inode, False)]
    hierarchies.remove(real.path)

    assert read_until(either, bool) == [Removed(real.path, real.inode)]
    assert either.read(timeout=0) == []
    assert either.ways() == ()


def test_an_oom_is_told_with_its_kill(either: Watcher, real: Cgroup, start: Start) -> None:
    real.apply(real.plan_limits({"memory_max_bytes": 24 * MIB}))
    if real.read_limits().memory_swap_max_bytes is not None:
        real.apply(real.plan_limits({"memory_swap_max_bytes": 0}))
    way = either.watch_memory(real)
    process = start(real, TAKE)

    tell(process, "200")

    events = read_until(either, of(OomKill))
    assert process.wait(timeout=PATIENCE_SEC) == -9
    assert way.by == expected(either, "eventfd" if is_v1(real) else "inotify")
    assert sum(event.kills for event in events if isinstance(event, OomKill)) == 1
    if not isinstance(either, Polling):
        assert of(OutOfMemory)(events)
    if way.source == "memory.events":
        assert of(LimitHit)(events)


def test_usage_is_told_when_it_crosses_a_threshold_both_ways(
    either: Watcher, real: Cgroup, start: Start
) -> None:
    way = either.watch_usage(real, 48 * MIB)
    process = start(real, TAKE)
    before = either.read(timeout=0)

    tell(process, "100")
    up = read_until(either, of(UsageCrossed))
    process.kill()
    down = read_until(either, lambda events: any(isinstance(e, UsageCrossed) and not e.above for e in events))

    assert before == []
    assert any(isinstance(event, UsageCrossed) and event.threshold_bytes == 48 * MIB for event in up)
    assert down
    assert way.source == ("memory.usage_in_bytes" if is_v1(real) else "memory.current")
    assert way.by == expected(either, "eventfd" if is_v1(real) else "polling")


def test_pressure_of_reclaim_is_gathered_or_not_offered(
    watcher: Watcher, real: Cgroup, start: Start, tmp_path: Path
) -> None:
    if not is_v1(real):
        with pytest.raises(NotOffered, match=r"memory\.pressure_level"):
            watcher.watch_reclaim(real)
        return
    real.apply(real.plan_limits({"memory_max_bytes": 32 * MIB}))
    assert watcher.watch_reclaim(real).by == "eventfd"
    process = start(real, WRITE_FILE.format(file=f"{tmp_path}/pages"))

    tell(process, "")

    events = read_until(watcher, of(ReclaimPressure))
    assert {event.level for event in events if isinstance(event, ReclaimPressure)} == {"low"}


@pytest.mark.parametrize("kind", ["some", "full"])
def test_tasks_that_wait_for_cpus_are_told_once_a_window(
    either: Watcher, real: Cgroup, start: Start, kind: str
) -> None:
    real.apply(real.plan_limits({"cpu_max_cores": 0.1}))
    way = either.watch_stall(real, "cpu", kind=kind, stall_usec=20_000, window_usec=1_000_000)
    for _ in range(4):
        start(real, SPIN)

    told = read_until(either, of(Stalled))

    stalled = next(event for event in told if isinstance(event, Stalled))
    assert (stalled.resource, stalled.kind) == ("cpu", kind)
    assert stalled.window_usec in (1_000_000, 2_000_000)
    assert way.by == expected(either, "trigger")
    assert way.source == f"cpu.pressure {kind} {stalled.stall_usec} {stalled.window_usec}"


def test_the_host_as_a_whole_can_be_watched(either: Watcher, real: Cgroup, start: Start) -> None:
    way = either.watch_stall(None, "cpu", stall_usec=100_000, window_usec=2_000_000)
    for _ in range(2):
        start(real, SPIN_ON_ONE_CPU)

    told = read_until(either, bool)

    assert set(told) == {Stalled("", 0, "cpu", "some", 100_000, 2_000_000)}
    assert (way.path, way.by) == ("", expected(either, "trigger"))
    assert either.ways() == (way,)


def test_a_trigger_of_a_removed_group_wakes_nobody_for_ever(
    watcher: Watcher, hierarchies: Hierarchies, real: Cgroup
) -> None:
    assert watcher.watch_stall(real, "memory", stall_usec=100_000, window_usec=2_000_000).by == "trigger"

    hierarchies.remove(real.path)

    assert read_until(watcher, bool) == [Removed(real.path, real.inode)]
    assert watcher.read(timeout=0) == []
    poller = select.poll()
    poller.register(watcher, select.POLLIN)
    watcher.read(timeout=0)
    assert poller.poll(0) == []


def test_every_eventfd_of_a_removed_group_fires_and_nothing_but_the_removal_is_told(
    either: Watcher, hierarchies: Hierarchies, real: Cgroup
) -> None:
    either.watch_memory(real)
    either.watch_usage(real, 100 * MIB)
    either.read(timeout=0)

    hierarchies.remove(real.path)

    assert read_until(either, bool) == [Removed(real.path, real.inode)]
    assert either.read(timeout=0.1) == []


def test_a_namesake_is_another_group(watcher: Watcher, hierarchies: Hierarchies, real: Cgroup) -> None:
    watcher.watch_group(real)

    hierarchies.remove(real.path)
    namesake = hierarchies.create(real.path)
    watcher.watch_group(namesake)

    assert read_until(watcher, bool) == [Removed(real.path, real.inode)]
    assert {way.source for way in watcher.ways()} == {"removal", "cgroup.events"}


def test_the_end_of_a_process_is_told_once(either: Watcher, real: Cgroup, start: Start) -> None:
    process = start(real)
    way = either.watch_exit(real, process.pid)
    assert either.read(timeout=0) == []

    process.kill()

    assert read_until(either, bool) == [Exited(real.path, real.inode, process.pid)]
    assert either.read(timeout=0) == []
    assert way.by == expected(either, "pidfd")


def test_a_process_that_is_gone_already_is_told_at_once(watcher: Watcher, real: Cgroup, start: Start) -> None:
    process = start(real)
    process.kill()
    process.wait()

    watcher.watch_exit(real, process.pid)

    assert watcher.read(timeout=PATIENCE_SEC) == [Exited(real.path, real.inode, process.pid)]


def test_what_is_no_longer_watched_is_not_told(
    watcher: Watcher, hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    other = hierarchies.create(f"{real.path}-other")
    for group in (real, other):
        watcher.watch_group(group)

    watcher.unwatch(real)
    start(real)
    start(other)

    assert read_until(watcher, bool) == [PopulatedChanged(other.path, other.inode, True)]


def test_closing_leaves_no_fd_open(real: Cgroup) -> None:
    before = set(os.listdir("/proc/self/fd"))
    watcher = Watcher()
    watcher.watch_group(real)
    watcher.watch_memory(real)
    watcher.watch_usage(real, MIB)
    watcher.watch_stall(real, "io", stall_usec=100_000, window_usec=2_000_000)

    watcher.close()

    assert set(os.listdir("/proc/self/fd")) == before


def test_a_ways_reason_is_the_kernels(real: Cgroup) -> None:
    with Watcher(kernel=Refusing()) as watcher:
        ways = [watcher.watch_group(real), watcher.watch_memory(real), watcher.watch_exit(real, os.getpid())]

        assert {way.by for way in ways} == {"polling"}
        assert "no inotify instance left" in {way.why for way in watcher.ways()}
        assert ways[-1].why == "no pidfds"
