from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from cgroupfs import CgroupGone
from enforcer.errors import ContainerBusy, TargetGone, WriteTimedOut
from enforcer.executor import Executor
from enforcer.failpoints import Failpoints
from tests.enforcer.conftest import wait_for

ALIVE: Any = SimpleNamespace(inode=7, alive=lambda: True)
REMOVED: Any = SimpleNamespace(inode=7, alive=lambda: False)


def test_a_write_gives_its_result() -> None:
    assert Executor().run("web", ALIVE, 7, lambda cgroup: cgroup.inode) == 7


@pytest.mark.parametrize(("cgroup", "inode"), [(ALIVE, 8), (REMOVED, 7)])
def test_another_cgroup_than_the_one_decided_about_is_not_written(cgroup: Any, inode: int) -> None:
    done: list[int] = []

    with pytest.raises(TargetGone):
        Executor().run("web", cgroup, inode, lambda held: done.append(1))

    assert done == []


def test_a_cgroup_that_goes_away_during_the_write_is_gone() -> None:
    def write(_: object) -> None:
        raise CgroupGone("/cgwarden/web")

    with pytest.raises(TargetGone):
        Executor().run("web", ALIVE, 7, write)


def test_a_write_that_hangs_costs_its_container_and_no_other() -> None:
    executor, freed = Executor(deadline_sec=0.05), threading.Event()

    with pytest.raises(WriteTimedOut, match=r"did not take the change within 0\.05 s"):
        executor.run("web", ALIVE, 7, lambda held: freed.wait(30))

    with pytest.raises(ContainerBusy):
        executor.run("web", ALIVE, 7, lambda held: 1)
    assert executor.run("db", ALIVE, 7, lambda held: 1) == 1
    freed.set()
    wait_for(lambda: runs_again(executor))


def runs_again(executor: Executor) -> bool:
    try:
        return executor.run("web", ALIVE, 7, lambda held: True)
    except ContainerBusy:
        return False


def test_failpoints_are_inert_outside_test_mode() -> None:
    armed = {"CGWARDEN_FAILPOINT": "journal.before:enospc"}

    Failpoints.from_environment(armed).reach("journal.before")
    with pytest.raises(OSError, match="failpoint"):
        Failpoints.from_environment({**armed, "CGWARDEN_TEST_MODE": "1"}).reach("journal.before")
