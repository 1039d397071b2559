"""1,000 random changes of nested limits on the real kernel; and groups that vanish in the middle of things.

``CGWARDEN_SEED=N`` repeats a run.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from cgroupfs import UNLIMITED, Cgroup, CgroupError, CgroupGone, Hierarchies, Limits, Write
from cgroupfs.nested import Change, apply_nested, plan_nested
from tests.cgroupfs.conftest import Start
from tests.cgroupfs.hosts import kinds_of
from tests.cgroupfs.random_wishes import Group, Wish, Wishes, differences, is_explained

pytestmark = pytest.mark.kernel

CHANGES: Final = 1_000
ALL_AT_ONCE: Final = 10  # every so many changes is one of all groups together
LOOK_AT_ALL: Final = 50
LOOK_TWICE: Final = 5
NAMES: Final = ("top", "top/a", "top/a/leaf", "top/b")
NAMESAKES: Final = 50


class Nest:
    """Four nested groups, two of them with a process inside."""

    def __init__(self, hierarchies: Hierarchies, parent: str, seed: int) -> None:
        self.cgroups = {name: hierarchies.create(f"{parent}/{name}") for name in NAMES}
        self.groups: dict[str, Group] = {}
        for name in NAMES:
            above = self.groups.get(name.rpartition("/")[0])
            self.groups[name] = Group(name, above, self.cgroups[name].read_limits())
        host = hierarchies.host
        limits = self.groups["top"].limits
        self.wishes = Wishes(
            random.Random(seed),
            tuple(n for low, high in host.read_cpus() for n in range(low, high + 1)),
            tuple(n for low, high in host.read_nodes() for n in range(low, high + 1)),
            frozenset(name for name in Limits.__dataclass_fields__ if getattr(limits, name) is not None),
        )
        self.v1 = frozenset(name for name, kind in kinds_of(hierarchies).items() if kind == "v1")
        self.outcomes: Counter[str] = Counter()

    def change_one(self) -> None:
        """As wished, or refused for a reason that the model knows, and then nothing has changed."""
        group = self.groups[self.wishes.rng.choice(NAMES)]
        cgroup, wish = self.cgroups[group.name], self.wishes.for_one()
        if "memory_max_bytes" in wish:
            memory = cgroup.hot(keep=False).read().memory
            group.usage_bytes = 0 if memory is None else memory.usage_bytes
        try:
            cgroup.apply(cgroup.plan_limits(wish))
        except CgroupError as e:
            assert is_explained(e, group, wish, v1=self.v1), f"unexplained: {e}; {self._told(group, wish)}"
            self.outcomes[type(e).__name__] += 1
            wish = {}
        else:
            self.outcomes["as wished"] += 1
        self._check(group, wish)
        if self.outcomes.total() % LOOK_TWICE == 0:
            assert cgroup.plan_limits(wish) == []

    def change_all(self) -> None:
        """Wishes that agree with each other are never refused, whatever was before."""
        wishes = self.wishes.for_all(list(self.groups.values()))
        changes = [Change(self.cgroups[name], wish) for name, wish in wishes.items()]
        try:
            apply_nested(plan_nested(changes))
        except CgroupError as e:
            told = "\n  ".join(self._told(self.groups[name], wish) for name, wish in wishes.items())
            raise AssertionError(f"{e}\n  {told}") from e
        self.outcomes["all at once"] += 1
        for name, wish in wishes.items():
            self._check(self.groups[name], wish)

    def look_at_all(self) -> None:
        """A change of one group has changed no other."""
        for group in self.groups.values():
            self._check(group, {})

    def _check(self, group: Group, wish: Wish) -> None:
        before, group.limits = group.limits, self.cgroups[group.name].read_limits()
        found = differences(wish, before, group.limits)
        assert not found, f"{found}; {self._told(group, wish)}"

    def end_state(self) -> str:
        """What the kernel holds now, of the limits that all kernels have; each is what was last wished."""
        names = (
            "cpu_max_cores",
            "cpu_burst_usec",
            "cpuset_cpus",
            "memory_max_bytes",
            "memory_swap_max_bytes",
        )
        states = {name: cgroup.read_limits().to_wire() for name, cgroup in self.cgroups.items()}
        return "; ".join(
            f"{name}: {', '.join(str(state[each]) for each in names)}" for name, state in states.items()
        )

    @staticmethod
    def _told(group: Group, wish: Wish) -> str:
        return f"{group.name} ({group.usage_bytes} bytes used, {group.limits}) wished {wish}"


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    """The run's seed, shown whether or not it fails."""
    chosen = int(os.environ.get("CGWARDEN_SEED") or random.SystemRandom().randrange(1 << 32))
    _tell(capsys, f"CGWARDEN_SEED={chosen}")
    return chosen


def _tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Shown in every run, since a seed that failed elsewhere is to be found in its log."""
    with capsys.disabled():
        sys.stdout.write(f" [{text}] ")
        sys.stdout.flush()


@pytest.fixture
def nest(hierarchies: Hierarchies, parent: str, seed: int) -> Nest:
    return Nest(hierarchies, parent, seed)


@pytest.mark.timeout(600)
def test_a_thousand_random_changes_are_as_wished_or_refused_for_a_reason(
    nest: Nest, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    processes = [start(nest.cgroups["top/a/leaf"]), start(nest.cgroups["top/b"])]

    for number in range(CHANGES):
        if number % ALL_AT_ONCE == 0:
            nest.change_all()
        else:
            nest.change_one()
        if number % LOOK_AT_ALL == 0:
            nest.look_at_all()

    assert nest.outcomes.total() == CHANGES
    assert nest.outcomes["as wished"] > CHANGES / 3, nest.outcomes
    assert [process.poll() for process in processes] == [None, None]
    _tell(capsys, ", ".join(f"{count} {outcome}" for outcome, count in nest.outcomes.most_common()))
    _tell(capsys, nest.end_state())


@pytest.mark.parametrize("keep", [True, False])
def test_a_namesake_is_never_written_to(hierarchies: Hierarchies, real: Cgroup, keep: bool) -> None:
    plan = real.plan_limits({"pids_max": 5, "memory_max_bytes": 64 << 20, "cpu_max_cores": 0.5})
    if not keep:
        real.close()
    hierarchies.remove(real.path)
    namesake = hierarchies.create(real.path)
    untouched = namesake.read_limits()

    for write in plan:
        with pytest.raises(CgroupGone):
            real.apply([write])

    assert namesake.read_limits() == untouched


def test_a_namesake_that_appears_at_any_moment_is_never_written_to(
    hierarchies: Hierarchies, real: Cgroup
) -> None:
    plans = [real.plan_limits({"pids_max": number}) for number in (5, 6)]
    writer = Writer(real, plans)

    with writer:
        writer.wrote.wait(timeout=60)
        for _ in range(NAMESAKES):
            hierarchies.remove(real.path)
            namesake = hierarchies.create(real.path)
            assert namesake.read_limits().pids_max is UNLIMITED
            namesake.close()
        last = hierarchies.cgroup(real.path)

    assert writer.gone > 0
    assert last.read_limits().pids_max is UNLIMITED


class Writer:
    """Writes to a held group again and again, from another thread, and counts the answer "gone"."""

    def __init__(self, cgroup: Cgroup, plans: Sequence[Sequence[Write]]) -> None:
        self.gone = 0
        self.wrote = threading.Event()
        self._cgroup, self._plans = cgroup, plans
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._ended.is_set():
            for plan in self._plans:
                try:
                    self._cgroup.apply(plan)
                    self.wrote.set()
                except CgroupGone:
                    self.gone += 1


@pytest.fixture
def herd(hierarchies: Hierarchies, parent: str) -> Iterator[list[Cgroup]]:
    """Ten groups that a sweep visits in order."""
    cgroups = [hierarchies.create(f"{parent}/{number}") for number in range(10)]
    yield cgroups
    for cgroup in cgroups:
        cgroup.close()


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("removed", [0, 4, 9])
@pytest.mark.parametrize("during", [0, 4, 9])
def test_a_removal_during_a_sweep_costs_one_gone(
    hierarchies: Hierarchies, herd: list[Cgroup], keep: bool, removed: int, during: int
) -> None:
    kept = [cgroup.hot(keep=keep) for cgroup in herd]
    read, gone = [], []

    for _ in range(2):
        for number, files in enumerate(list(kept)):
            if number == during:
                hierarchies.remove(herd[removed].path)
            try:
                read.append(files.read())
            except CgroupGone:
                gone.append(files)
                kept.remove(files)

    assert len(gone) == 1
    assert all(None not in (stats.memory, stats.cpu, stats.pids) for stats in read)
    for files in (*kept, *gone):
        files.close()


@pytest.mark.parametrize("question", ["read_limits", "read_slow", "read_all", "procs", "thaw"])
def test_whatever_is_asked_of_a_removed_group_the_answer_is_gone(
    hierarchies: Hierarchies, real: Cgroup, question: str
) -> None:
    hierarchies.remove(real.path)

    with pytest.raises(CgroupGone):
        getattr(real, question)()
