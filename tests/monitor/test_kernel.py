"""The monitor on the real kernel: its rates agree with the kernel's files, and churn leaves nothing."""

import os
import select
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cgroupfs import Cgroup, Hierarchies
from monitor import EventLog, Monitor, Snapshot
from tests.monitor.fakes import Container, Source

pytestmark = pytest.mark.kernel

DEADLINE_SEC = 20.0
TWO_BOOKINGS_SEC = 0.02


@dataclass(frozen=True)
class Parent:
    """A cgroup of the test's own, with containers below."""

    hierarchies: Hierarchies
    path: str

    def add(self, name: str) -> Container:
        return Container(name, self.hierarchies.create(f"{self.path}/{name}"))

    def remove(self, container: Container) -> None:
        assert container.cgroup is not None
        self.hierarchies.remove(f"{self.path}/{container.name}")


@pytest.fixture
def parent() -> Iterator[Parent]:
    hierarchies = Hierarchies.read()
    path = f"/cgwtest-{uuid.uuid4().hex[:8]}"
    try:
        yield Parent(hierarchies, path)
    finally:
        hierarchies.remove(path)


@pytest.fixture
def monitor(parent: Parent, source: Source, events: EventLog) -> Iterator[Monitor]:
    with closing(Monitor(source=source, hierarchies=parent.hierarchies, events=events)) as monitor:
        yield monitor


@contextmanager
def spinning(cgroup: Cgroup) -> Iterator[int]:
    """A process in the cgroup that does nothing but compute."""
    entries = cgroup.entry_fds()
    ready, say_ready = os.pipe()
    pid = os.fork()
    if not pid:
        for fd in entries:
            os.write(fd, b"0")
        os.write(say_ready, b".")
        while True:
            pass
    try:
        for fd in (*entries, say_ready):
            os.close(fd)
        assert os.read(ready, 1) == b"."
        yield pid
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def wait(seconds: float) -> None:
    select.select([], [], [], seconds)


def tick_until_used(monitor: Monitor, name: str, cores: float) -> Snapshot:
    """Ticks until the container used that much between two of them."""
    deadline = time.monotonic() + DEADLINE_SEC
    while time.monotonic() < deadline:
        snapshot = monitor.tick()
        if (snapshot.containers[name].usage.cpu_cores or 0) >= cores:
            return snapshot
        wait(0.2)
    raise AssertionError(f"{name} never used {cores} cores")


def read_usage_nsec(cgroup: Cgroup) -> int:
    return int(Path(cgroup.paths()["cpuacct"], "cpuacct.usage").read_text())


def test_the_rate_of_a_busy_loop_is_what_the_kernel_counted(
    parent: Parent, source: Source, monitor: Monitor
) -> None:
    busy, idle = parent.add("busy"), parent.add("idle")
    source.listed = (busy, idle)
    assert busy.cgroup is not None
    with spinning(busy.cgroup):
        tick_until_used(monitor, "busy", 0.05)
        started, before = time.monotonic(), read_usage_nsec(busy.cgroup)
        first = monitor.tick()
        wait(0.5)
        last = monitor.tick()
        after, seconds = read_usage_nsec(busy.cgroup), time.monotonic() - started

    cores = last.containers["busy"].usage.cpu_cores
    span = last.taken_at - first.taken_at
    assert cores is not None
    used = (after - before) / 1e9
    # The kernel's own two readings enclose ours; it books a running task's time tick by tick.
    assert used - (seconds - span) - TWO_BOOKINGS_SEC <= cores * span <= used + TWO_BOOKINGS_SEC
    assert last.containers["idle"].usage.cpu_cores == 0.0
    assert last.containers["busy"].usage.pids_current == 1


def test_a_namesake_made_anew_gives_no_rate_across(parent: Parent, source: Source, monitor: Monitor) -> None:
    old = parent.add("web")
    source.listed = (old,)
    assert old.cgroup is not None
    with spinning(old.cgroup):
        tick_until_used(monitor, "web", 0.01)
    parent.remove(old)
    gone = monitor.tick()
    source.listed = (parent.add("web"),)

    new = monitor.tick().containers["web"]

    assert (gone.containers, gone.cost.errors) == ({}, {"cgroup_gone": 1})
    assert monitor.tombstones()["web"].observation.sample.inode == old.cgroup.inode
    assert new.sample.inode != old.cgroup.inode
    assert new.usage.cpu_cores is None


def test_a_cgroup_that_goes_while_still_listed_is_asked_no_more(
    parent: Parent, source: Source, monitor: Monitor
) -> None:
    source.listed = (parent.add("web"), parent.add("db"))
    monitor.tick()
    parent.remove(source.listed[0])

    errors = [monitor.tick().cost.errors for _ in range(3)]

    assert errors == [{"cgroup_gone": 1}, {}, {}]
    latest = monitor.latest()
    assert latest is not None
    assert set(latest.containers) == {"db"}


def test_all_that_the_host_offers_is_in_the_sample(parent: Parent, source: Source, monitor: Monitor) -> None:
    web = parent.add("web")
    source.listed = (web,)
    assert web.cgroup is not None
    web.cgroup.apply(
        web.cgroup.plan_limits({"memory_max_bytes": 64 << 20, "cpu_max_cores": 0.5, "pids_max": 50})
    )
    monitor.tick()

    seen = monitor.tick().containers["web"]

    assert (seen.usage.memory_max_bytes, seen.usage.cpu_max_cores, seen.usage.pids_max) == (64 << 20, 0.5, 50)
    assert (seen.usage.cpu_throttled_fraction, seen.usage.cpu_pressure_fraction) == (0.0, 0.0)
    assert seen.usage.memory_limit_fraction is not None
    assert (seen.freezer, seen.stale) == ("thawed", False)
    assert seen.sample.slow is not None
    assert seen.sample.slow.oom_kills == 0


def test_a_freeze_shows_in_the_tick_after_it_was_told(
    parent: Parent, source: Source, monitor: Monitor
) -> None:
    web = parent.add("web")
    source.listed = (web,)
    assert web.cgroup is not None
    with spinning(web.cgroup):
        monitor.tick()
        web.cgroup.freeze()
        monitor.refresh_limits("web")
        frozen = monitor.tick().containers["web"].freezer
        web.cgroup.thaw()
        monitor.refresh_limits("web")
        thawed = monitor.tick().containers["web"].freezer

    assert (frozen, thawed) == ("frozen", "thawed")


@pytest.mark.parametrize("network", ["host", "container:own"])
def test_a_network_of_others_belongs_to_no_container_and_an_own_one_does(
    parent: Parent, source: Source, monitor: Monitor, network: str
) -> None:
    shared, own = parent.add("shared"), parent.add("own")
    shared.network, shared.pid = network, os.getpid()
    own.network, own.pid = "bridge", os.getpid()
    source.listed = (shared, own)

    seen = monitor.tick().containers

    assert seen["shared"].sample.net is None
    assert {link.name for link in seen["own"].sample.net or ()} == set(os.listdir("/sys/class/net"))


def test_a_hundred_made_and_removed_during_sweeps_leave_descriptors_as_they_were(
    parent: Parent, source: Source, monitor: Monitor
) -> None:
    keep = parent.add("keep")
    source.listed = (keep,)
    monitor.tick()
    before = set(os.listdir("/proc/self/fd"))
    for round_ in range(10):
        made = tuple(parent.add(f"c{round_}-{i}") for i in range(10))
        source.listed = (keep, *made)
        monitor.tick()
        for container in made[:5]:  # these go while the source still lists them
            parent.remove(container)
        monitor.tick()
        source.listed = (keep,)
        for container in made[5:]:
            parent.remove(container)
        del made, container
    snapshot = monitor.tick()

    assert set(snapshot.containers) == {"keep"}
    assert len(os.listdir("/proc/self/fd")) == len(before)
