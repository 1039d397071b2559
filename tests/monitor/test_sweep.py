"""The sweep: who is read, what a failure does, and how many descriptors are kept."""

import os
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from monitor.sweep import COLD_TICKS, FILES_EACH, SLOW_TICKS, TOGETHER, WARM_TICKS, Sweep, Swept
from tests.monitor.fakes import Source, Tree


@contextmanager
def sweeping(source: Source, max_fds: int | None = None) -> Iterator[Sweep]:
    with closing(Sweep(source, max_fds)) as sweep:
        yield sweep


def run(sweep: Sweep, tick: int, refresh: tuple[str, ...] = ()) -> Swept:
    return sweep.run(tick, 100.0 + tick, 5000.0 + tick, refresh)


def count_fds() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_container_is_read_under_one_stamp(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web", labels={"app": "shop"}), tree.add("db", klass="guaranteed"))
    with sweeping(source) as sweep:
        seen = run(sweep, 0).containers

    assert {name: observed.sample.taken_at for name, observed in seen.items()} == {"web": 100.0, "db": 100.0}
    assert (seen["web"].labels, seen["db"].klass) == ({"app": "shop"}, "guaranteed")
    assert seen["web"].freezer == "thawed"
    assert seen["web"].limits.memory_max_bytes == 65536
    assert seen["web"].usage.memory_limit_fraction == 0.125
    assert seen["web"].sample.slow is not None


def test_two_sweeps_make_rates(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        run(sweep, 0)
        tree.write("web", "cpuacct.usage", "255000000\n")

        usage = run(sweep, 1).containers["web"].usage

    assert usage.cpu_cores == 0.25
    assert usage.cpu_limit_fraction == 0.5


def test_a_still_container_gives_the_same_usage_object(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        usages = [run(sweep, tick).containers["web"].usage for tick in range(2 * COLD_TICKS)]

    assert usages[1].cpu_cores == 0.0
    assert all(usage is usages[1] for usage in usages[1:])


def test_a_container_with_garbage_is_stale_and_the_others_are_read(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("bad"), tree.add("good"))
    with sweeping(source) as sweep:
        run(sweep, 0)
        tree.write("bad", "memory.stat", "garbage")

        swept = run(sweep, 1)
        tree.write("bad", "memory.stat", tree.root.joinpath("cg/good/memory.stat").read_text())
        healed = run(sweep, 2)

    assert swept.cost.errors == {"parse_error": 1}
    assert [(name, seen.stale, seen.sample.taken_at) for name, seen in swept.containers.items()] == [
        ("bad", True, 100.0),
        ("good", False, 101.0),
    ]
    assert healed.cost.errors == {}
    assert not healed.containers["bad"].stale


def test_a_container_that_was_never_read_is_not_shown_but_counted(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("bad"),)
    tree.write("bad", "cpuacct.usage", "garbage")
    with sweeping(source) as sweep:
        swept = run(sweep, 0)

    assert (swept.containers, swept.cost.errors) == ({}, {"parse_error": 1})


def test_broken_slow_numbers_do_not_hide_the_others(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    tree.write("web", "memory.oom_control", "garbage")
    tree.write("web", "pids.max", "garbage")
    with sweeping(source) as sweep:
        swept = run(sweep, 0)

    assert swept.containers["web"].usage.memory_usage_bytes == 8192
    assert not swept.containers["web"].stale
    assert swept.cost.errors == {"parse_error": 1}


def test_limits_are_read_again_in_the_cold_round_or_when_asked(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        run(sweep, 0)
        tree.write("web", "memory.limit_in_bytes", "131072\n")
        not_yet = run(sweep, 1).containers["web"]
        asked = run(sweep, 2, refresh=("web", "unknown")).containers["web"]
        tree.write("web", "memory.limit_in_bytes", "16384\n")
        later = [run(sweep, tick).containers["web"] for tick in range(3, 3 + COLD_TICKS)]

    assert not_yet.usage.memory_max_bytes == 65536
    assert (asked.limits.memory_max_bytes, asked.usage.memory_max_bytes) == (131072, 131072)
    assert later[-1].usage.memory_max_bytes == 16384


def test_a_freeze_from_outside_is_seen_in_the_warm_round(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        run(sweep, 0)
        tree.write("web", "freezer.state", "FROZEN\n")

        states = {run(sweep, tick).containers["web"].freezer for tick in range(1, 1 + WARM_TICKS)}

    assert states == {"thawed", "frozen"}


def test_slow_numbers_are_read_again_once_the_container_has_worked(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        run(sweep, 0)
        tree.write("web", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
        tree.write("web", "cpuacct.usage", "6000000\n")

        seen = [run(sweep, tick).containers["web"].sample.slow for tick in range(1, 1 + SLOW_TICKS)]

    assert seen[-1] is not None
    assert seen[-1].oom_kills == 2


def test_the_slow_rounds_of_many_do_not_fall_into_one_tick(tree: Tree, source: Source) -> None:
    names = [f"c{i}" for i in range(TOGETHER * WARM_TICKS)]
    source.listed = tuple(tree.add(name) for name in names)
    with sweeping(source) as sweep:
        run(sweep, 0)
        for name in names:
            tree.write(name, "freezer.state", "FROZEN\n")

        frozen = [
            sum(seen.freezer == "frozen" for seen in run(sweep, tick).containers.values())
            for tick in range(1, 1 + WARM_TICKS)
        ]

    assert frozen == [TOGETHER * ticks for ticks in range(1, 1 + WARM_TICKS)]


def test_an_exited_container_is_gone_with_its_last_observation(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        run(sweep, 0)
        source.listed = (replace(source.listed[0], cgroup=None),)

        swept = run(sweep, 1)
        after = run(sweep, 2)

    assert swept.containers == {}
    assert [seen.sample.name for seen in swept.gone] == ["web"]
    assert (after.gone, after.cost.open_files) == ((), 0)


def test_a_kill_just_before_the_end_is_in_the_last_observation(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        run(sweep, 0)
        tree.write("web", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
        tree.write("web", "cpuacct.usage", "505000000\n")
        source.listed = ()

        (last,) = run(sweep, 1).gone

    assert last.sample.slow is not None
    assert (last.sample.slow.oom_kills, last.usage.cpu_cores) == (1, 0.5)


def test_a_list_that_changes_in_place_is_followed(tree: Tree, source: Source) -> None:
    listed = [tree.add("web")]
    source.listed = listed
    with sweeping(source) as sweep:
        run(sweep, 0)
        listed.append(tree.add("db"))

        assert set(run(sweep, 1).containers) == {"web", "db"}


def test_a_namesake_begins_anew(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        first = run(sweep, 0).containers["web"]
        (tree.root / "cg/web").rename(tree.root / "cg/old")
        source.listed = (tree.add("web"),)
        tree.write("web", "cpuacct.usage", "905000000\n")

        second = run(sweep, 1)

    assert [seen.sample.inode for seen in second.gone] == [first.sample.inode]
    assert second.containers["web"].sample.inode != first.sample.inode
    assert second.containers["web"].usage.cpu_cores is None


def test_the_same_cgroup_under_a_new_handle_goes_on(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("web"),)
    with sweeping(source) as sweep:
        run(sweep, 0)
        source.listed = (
            replace(source.listed[0], cgroup=tree.hierarchies.cgroup("/web"), klass="besteffort"),
        )

        seen = run(sweep, 1)

    assert seen.gone == ()
    assert seen.containers["web"].usage.cpu_cores == 0.0
    assert seen.containers["web"].klass == "besteffort"


def test_beyond_the_budget_files_are_opened_each_time(tree: Tree, source: Source) -> None:
    source.listed = tuple(tree.add(f"c{i}") for i in range(3))
    with sweeping(source, max_fds=2 * FILES_EACH) as sweep:
        before = count_fds()
        swept = run(sweep, 0)
        held = count_fds() - before
        tree.write("c2", "cpuacct.usage", "505000000\n")
        unkept = run(sweep, 1).containers["c2"]

        source.listed = source.listed[1:]
        promoted = run(sweep, 2).cost

    assert swept.cost.unkept == 1
    assert held == swept.cost.open_files <= 2 * FILES_EACH
    assert unkept.usage.cpu_cores == 0.5
    assert (promoted.unkept, promoted.open_files) == (0, held)


def test_nothing_is_kept_open_in_the_end(tree: Tree, source: Source) -> None:
    source.listed = tuple(tree.add(f"c{i}") for i in range(3))
    before = count_fds()
    with sweeping(source) as sweep:
        run(sweep, 0)
        assert count_fds() > before

    assert count_fds() == before


@contextmanager
def few_descriptors(spare: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + spare, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_when_others_have_used_up_the_descriptors_files_are_read_one_by_one(
    tree: Tree, source: Source
) -> None:
    source.listed = (tree.add("web"),)
    before = count_fds()
    with sweeping(source, max_fds=1000) as sweep:
        with few_descriptors(spare=5):
            swept = run(sweep, 0)
        assert count_fds() == before

    assert swept.cost.errors == {"emfile": 1}
    assert (swept.cost.unkept, list(swept.containers)) == (1, ["web"])


def test_a_file_that_blocks_costs_its_own_container_alone(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("hung"), tree.add("good"))
    blocking = tree.root / "cg/hung/memory.oom_control"
    with sweeping(source) as sweep:
        run(sweep, 0)
        tree.write("hung", "cpuacct.usage", "6000000\n")  # it works, so its slow numbers are of interest
        run(sweep, 1)
        blocking.unlink()
        os.mkfifo(blocking)  # opening it waits for a writer
        hung = run(sweep, 2, refresh=("hung",))
        still = run(sweep, 3)
        release(blocking)
        blocking.unlink()
        tree.write("hung", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
        tree.write("hung", "cpuacct.usage", "9000000\n")
        healed = wait_until_healthy(sweep, "hung")

    for swept in (hung, still):
        assert swept.cost.errors == {"timeout": 1}
        assert swept.containers["hung"].stale
        assert swept.containers["hung"].sample.taken_at == 101.0
        assert not swept.containers["good"].stale
    assert healed.containers["hung"].sample.taken_at > 103.0


def test_a_container_that_goes_while_it_hangs_leaves_nothing_open(tree: Tree, source: Source) -> None:
    source.listed = (tree.add("hung"), tree.add("good"))
    blocking = tree.root / "cg/hung/memory.oom_control"
    with sweeping(source) as sweep:
        run(sweep, 0)
        tree.write("hung", "cpuacct.usage", "6000000\n")
        half = run(sweep, 1).cost.open_files // 2
        before = count_fds()
        blocking.unlink()
        os.mkfifo(blocking)
        run(sweep, 2, refresh=("hung",))
        source.listed = source.listed[1:]
        without = run(sweep, 3)
        release(blocking)
        wait_until_healthy(sweep, "good")

        assert without.cost.open_files == half
        assert count_fds() <= before - half


def release(fifo: Path) -> None:
    """End the wait of whoever opens it; an error if nobody does."""
    os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))


def wait_until_healthy(sweep: Sweep, name: str) -> Swept:
    """Sweeps until nothing hangs any more."""
    for tick in range(4, 10_000):
        swept = run(sweep, tick)
        if "timeout" not in swept.cost.errors:
            return swept
    raise AssertionError(f"{name} hangs for ever")
