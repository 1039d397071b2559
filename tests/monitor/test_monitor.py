"""The monitor as the daemon uses it: ticks, snapshots, history, tombstones, budget."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from cgroupfs import Cgroup, Limits
from monitor import EventLog, Monitor
from tests.monitor.fakes import Clock, Source, Tree

MakeMonitor = Callable[..., Monitor]


@pytest.fixture
def make_monitor(tree: Tree, source: Source, events: EventLog, clock: Clock) -> Iterator[MakeMonitor]:
    with ExitStack() as stack:

        def make(max_fds: int | None = None) -> Monitor:
            monitor = Monitor(
                source=source,
                hierarchies=tree.hierarchies,
                events=events,
                clock=clock,
                wall_clock=lambda: clock() + 5000.0,
                max_fds=max_fds,
            )
            return stack.enter_context(closing(monitor))

        yield make


def test_before_the_first_tick_nothing_is_known(make_monitor: MakeMonitor) -> None:
    assert make_monitor().latest() is None


def test_a_tick_gives_host_and_containers_at_one_instant(
    make_monitor: MakeMonitor, tree: Tree, source: Source, clock: Clock
) -> None:
    source.listed = (tree.add("web"),)
    monitor = make_monitor()

    snapshot = monitor.tick()

    assert monitor.latest() is snapshot
    assert (snapshot.tick, snapshot.taken_at, snapshot.wall_time) == (0, 1000.0, 6000.0)
    assert snapshot.containers["web"].sample.taken_at == 1000.0
    assert snapshot.host.memory_total_bytes > 0
    assert snapshot.cost.open_files > 0


def test_history_follows_the_ticks_and_leaves_stale_ones_out(
    make_monitor: MakeMonitor, tree: Tree, source: Source, clock: Clock
) -> None:
    source.listed = (tree.add("web"),)
    monitor = make_monitor()
    for usage in ("8192", "garbage", "16384"):
        tree.write("web", "memory.usage_in_bytes", usage)
        monitor.tick()
        clock.now += 1

    page = monitor.history.query("web", ["memory_usage_bytes", "memory_max_bytes"])

    assert page.t == [6000.0, 6001.0, 6002.0]
    assert page.columns["memory_usage_bytes"]["avg"] == [8192.0, None, 16384.0]
    assert page.columns["memory_max_bytes"]["avg"] == [65536.0, None, 65536.0]
    assert len(monitor.history.query("host", ["memory_total_bytes"]).t) == 3


def test_rates_go_on_over_a_failed_tick(
    make_monitor: MakeMonitor, tree: Tree, source: Source, clock: Clock
) -> None:
    source.listed = (tree.add("web"),)
    monitor = make_monitor()
    for usage in ("0", "garbage", "1000000000"):
        tree.write("web", "cpuacct.usage", usage)
        snapshot = monitor.tick()
        clock.now += 1

    assert snapshot.containers["web"].usage.cpu_cores == 0.5
    assert monitor.totals().errors == {"parse_error": 1}
    assert monitor.totals().sweeps == 3


def test_a_written_limit_is_seen_in_the_next_tick(
    make_monitor: MakeMonitor, tree: Tree, source: Source
) -> None:
    source.listed = (tree.add("web"),)
    monitor = make_monitor()
    monitor.tick()
    tree.write("web", "memory.limit_in_bytes", "131072\n")

    monitor.refresh_limits("web")

    assert monitor.changed_since_sweep() == {"web"}
    assert monitor.tick().containers["web"].limits.memory_max_bytes == 131072
    assert monitor.changed_since_sweep() == frozenset()


def test_a_change_is_told_as_unseen_until_the_sweep_that_reads_it_is_the_latest(
    make_monitor: MakeMonitor, tree: Tree, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.listed = (tree.add("web"),)
    monitor = make_monitor()
    monitor.refresh_limits("web")
    seen: list[frozenset[str]] = []
    read_limits = Cgroup.read_limits

    def read(cgroup: Cgroup) -> Limits:
        seen.append(monitor.changed_since_sweep())
        return read_limits(cgroup)

    monkeypatch.setattr(Cgroup, "read_limits", read)
    monitor.tick()

    assert seen == [{"web"}]


def test_the_last_of_a_container_stays_for_five_minutes(
    make_monitor: MakeMonitor, tree: Tree, source: Source, clock: Clock
) -> None:
    source.listed = (tree.add("web"),)
    tree.write("web", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    monitor = make_monitor()
    monitor.tick()
    source.listed = (replace(source.listed[0], cgroup=None),)
    monitor.tick()

    stone = monitor.tombstones()["web"]
    clock.now += 299
    monitor.tick()
    still_there = "web" in monitor.tombstones()
    clock.now += 1
    monitor.tick()

    assert (stone.oom_kills, stone.observation.usage.memory_usage_bytes) == (1, 8192)
    assert still_there
    assert monitor.tombstones() == {}


def test_ticks_that_never_were_are_counted(make_monitor: MakeMonitor, clock: Clock) -> None:
    monitor = make_monitor()
    missed = []
    for seconds in (0, 1.0, 1.4, 3.1):
        clock.now += seconds
        missed.append(monitor.tick().cost.missed)

    assert missed == [0, 0, 0, 2]
    assert monitor.totals().missed == 2


def test_a_descriptor_budget_that_is_too_small_is_told_once(
    make_monitor: MakeMonitor, tree: Tree, source: Source, events: EventLog
) -> None:
    source.listed = (tree.add("web"), tree.add("db"))
    monitor = make_monitor(max_fds=10)
    monitor.tick()
    monitor.tick()
    source.listed = source.listed[:1]
    monitor.tick()

    assert [event.reason for event in events.page(types=["collector.budget"])] == [
        "1 containers are beyond the descriptor budget: opened for each sweep",
        "all containers fit the descriptor budget again",
    ]


def test_nothing_stays_open_after_close(make_monitor: MakeMonitor, tree: Tree, source: Source) -> None:
    source.listed = tuple(tree.add(f"c{i}") for i in range(5))
    monitor = make_monitor()
    before = len(list(Path("/proc/self/fd").iterdir()))
    monitor.tick()

    monitor.close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
