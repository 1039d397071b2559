"""Supervisors that were killed or stopped, and a spawner that was replaced: what others get to know of it."""

import os
import signal
import threading
from collections.abc import Callable

import pytest

from launcher import Container, Launcher, LauncherEvent, NotRunning
from launcher.processes import is_alive, is_stopped
from launcher.records import read_start_ticks
from tests.launcher.conftest import Place, eventually
from tests.launcher.test_survival import kill_supervisor, read_init

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]


def events_of(place: Place, kind: str) -> list[LauncherEvent]:
    return [event for event in place.events if event.type == kind]


def stop_supervisor(place: Place) -> int:
    pid: int = read_init(place)["supervisor_pid"]
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: is_stopped(pid))
    return pid


def test_a_lost_supervisor_is_an_event(place: Place, launcher: Launcher, run: Run) -> None:
    run("sleep 60")

    kill_supervisor(place, launcher)

    assert eventually(lambda: bool(events_of(place, "supervisor.lost")))
    (event,) = events_of(place, "supervisor.lost")
    assert event.container == "t"
    assert "another process keeps its output and end" in event.reason
    assert is_alive(event.detail["keeper_pid"], read_start_ticks(event.detail["keeper_pid"]))


def test_a_supervisor_lost_while_no_daemon_ran_is_an_event(
    place: Place, launcher: Launcher, run: Run
) -> None:
    run("sleep 60")
    launcher.close()
    place.launchers.clear()
    supervisor = read_init(place)
    os.kill(supervisor["supervisor_pid"], signal.SIGKILL)
    assert eventually(
        lambda: not is_alive(supervisor["supervisor_pid"], supervisor["supervisor_start_ticks"])
    )

    place.launcher()

    assert [event.container for event in events_of(place, "supervisor.lost")] == ["t"]


def test_a_replaced_spawner_is_an_event(place: Place, run: Run) -> None:
    killed = place.spawner.pid
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: read_start_ticks(killed) is None)

    run("sleep 60")

    (event,) = events_of(place, "spawner.restart")
    assert event.container is None
    assert event.detail == {"pid": place.spawner.pid}


@pytest.mark.parametrize("patience_sec", [0, 0.1])
def test_a_container_whose_supervisor_is_stopped_can_be_stopped(
    place: Place, launcher: Launcher, run: Run, patience_sec: float
) -> None:
    run("trap '' TERM; while :; do sleep 1; done")
    supervisor = stop_supervisor(place)

    assert launcher.stop("t", patience_sec) is True

    assert launcher.wait("t", 0) == 137
    (event,) = events_of(place, "container.exit")
    assert event.reason.startswith(f"killed by signal 9; its supervisor (process {supervisor}) was stopped")
    assert len(events_of(place, "supervisor.lost")) == 1
    assert place.cgroup_dirs("t") == []
    assert read_start_ticks(supervisor) is None


def test_a_container_whose_supervisor_is_stopped_can_be_removed(
    place: Place, launcher: Launcher, run: Run
) -> None:
    run("sleep 60")
    supervisor = stop_supervisor(place)

    launcher.remove("t", force=True)

    assert place.remains("t") == []
    assert read_start_ticks(supervisor) is None


def test_an_exec_at_the_moment_of_the_end_hears_that_the_container_has_ended(
    place: Place, launcher: Launcher, run: Run
) -> None:
    container = run("sleep 60")
    supervisor = stop_supervisor(place)
    assert container.pid is not None
    os.kill(container.pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(container.pid, container.start_ticks))
    errors: list[Exception] = []

    def ask() -> None:
        try:
            launcher.exec("t", ["true"])
        except NotRunning as e:
            errors.append(e)

    asking = threading.Thread(target=ask)
    asking.start()
    os.kill(supervisor, signal.SIGCONT)
    asking.join(20)

    assert [str(error) for error in errors] == ["container 't' is not running (it is exited)"]


@pytest.mark.parametrize("lives_ms", [10, 30, 50])
def test_programs_started_until_the_end_fail_in_one_way(launcher: Launcher, run: Run, lives_ms: int) -> None:
    run(f"sleep 0.0{lives_ms}")

    with pytest.raises(NotRunning):
        while True:
            launcher.exec("t", ["true"]).wait()
