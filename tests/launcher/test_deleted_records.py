"""A container whose directory was deleted by hand while it ran: it ends, is told of, and can be removed."""

import os
import shutil
import signal
from collections.abc import Callable

import pytest

from launcher import Container, Launcher, LauncherError, UnknownContainer
from tests.launcher.conftest import Place, eventually
from tests.launcher.test_lost_supervisors import events_of, stop_supervisor
from tests.launcher.test_survival import read_init

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]


def delete_record(place: Place) -> None:
    """Once its supervisor has begun the log, the last thing that is made there."""
    assert eventually((place.state_of("t") / "log").exists)
    shutil.rmtree(place.state_of("t"))


def test_its_end_is_seen_and_its_cgroups_go(place: Place, launcher: Launcher, run: Run) -> None:
    container = run("sleep 60")
    delete_record(place)
    assert container.pid is not None
    os.kill(container.pid, signal.SIGKILL)

    with pytest.raises(LauncherError, match="its exit code was lost"):
        launcher.wait("t", 20)

    assert launcher.get("t").state == "exited"
    assert place.cgroup_dirs("t") == []
    (event,) = events_of(place, "container.exit")
    assert "was deleted, so its end was not recorded" in event.reason
    launcher.remove("t")
    assert place.remains("t") == []
    with pytest.raises(UnknownContainer):
        launcher.get("t")


@pytest.mark.parametrize("auto_remove", [False, True])
def test_it_can_be_stopped_and_its_name_is_free_again(
    place: Place, launcher: Launcher, run: Run, auto_remove: bool
) -> None:
    run("sleep 60", auto_remove=auto_remove)
    delete_record(place)

    assert launcher.stop("t", 0.1) is True

    assert eventually(lambda: place.remains("t") == [])
    if not auto_remove:
        launcher.remove("t")
    assert eventually(lambda: launcher.containers() == ())
    run("sleep 60")


def test_it_can_be_removed_while_it_runs(place: Place, launcher: Launcher, run: Run) -> None:
    run("sleep 60")
    delete_record(place)

    launcher.remove("t", force=True)

    assert place.remains("t") == []
    assert len(events_of(place, "container.remove")) == 1


def test_its_end_is_seen_even_if_its_supervisor_was_killed_too(
    place: Place, launcher: Launcher, run: Run
) -> None:
    run("sleep 60")
    supervisor = read_init(place)["supervisor_pid"]
    delete_record(place)
    os.kill(supervisor, signal.SIGKILL)
    assert eventually(lambda: bool(events_of(place, "supervisor.lost")))

    launcher.remove("t", force=True)

    assert place.remains("t") == []


def test_it_can_be_removed_although_its_supervisor_is_stopped(
    place: Place, launcher: Launcher, run: Run
) -> None:
    run("sleep 60")
    assert eventually((place.state_of("t") / "log").exists)
    stop_supervisor(place)
    delete_record(place)

    launcher.remove("t", force=True)

    assert eventually(lambda: place.remains("t") == [])
    assert launcher.containers() == ()
