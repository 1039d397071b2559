"""Created, started, ended, started again: the lives of a container, and what restart policies make of it."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher import BadSpec, Container, ContainerSpec, Launcher, MissingRoot, NotRunning
from launcher.lives.life import Life, backoff_sec, is_due, is_exhausted
from tests.launcher.conftest import Place, eventually
from tests.launcher.test_survival import read_init, start_all

Run = Callable[..., Container]


def spec_of(root: Path, script: str, **fields: object) -> ContainerSpec:
    wire: dict[str, Any] = {"name": "t", "rootfs": str(root), "command": ["sh", "-c", script]}
    # Two launchers at once, which only a test has, would both keep the view of /proc.
    return ContainerSpec.from_wire(wire | {"stop_timeout_sec": 0.3, "proc": "plain"} | fields)


def lines_of(launcher: Launcher, name: str = "t") -> list[bytes]:
    return [line.data for line in launcher.read_log(name)]


@pytest.mark.parametrize(
    ("policy", "life", "code", "due"),
    [
        ("no", Life(), 1, False),
        ("always", Life(), 0, True),
        ("always", Life(wanted=False), 1, False),
        ("unless-stopped", Life(), 0, True),
        ("unless-stopped", Life(wanted=False), 0, False),
        ("on-failure", Life(), 0, False),
        ("on-failure", Life(restarts=1000), 1, True),
        ("on-failure:3", Life(restarts=2), 1, True),
        ("on-failure:3", Life(restarts=3), 1, False),
        ("on-failure:3", Life(), None, True),
        ("on-failure:3", Life(wanted=False), 1, False),
    ],
)
def test_what_a_restart_policy_makes_of_an_end(policy: str, life: Life, code: int | None, due: bool) -> None:
    assert is_due(policy, life, code) is due


def test_a_policy_is_exhausted_only_where_it_failed_once_too_often() -> None:
    assert is_exhausted("on-failure:3", Life(restarts=3), 1)
    assert not is_exhausted("on-failure:3", Life(restarts=3), 0)
    assert not is_exhausted("on-failure:3", Life(restarts=3, wanted=False), 1)
    assert not is_exhausted("no", Life(), 1)


def test_the_back_off_doubles_up_to_a_minute_and_begins_anew_after_a_run_that_lasted() -> None:
    assert [backoff_sec(Life(in_row=row)) for row in (0, 1, 2, 9, 10, 5000)] == [0.1, 0.2, 0.4, 51.2, 60, 60]

    begun, ended = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:10.000000Z"

    assert Life(in_row=5, restarts=5).after_run(begun, ended) == Life(in_row=0, restarts=5)
    assert Life(in_row=5).after_run(begun, begun) == Life(in_row=5)
    assert Life(in_row=5).after_run(None, ended) == Life(in_row=5)


@pytest.mark.kernel
def test_what_is_created_runs_when_it_is_started(
    place: Place, launcher: Launcher, busybox_root: Path
) -> None:
    created = launcher.create(spec_of(busybox_root, "echo hello; sleep 60"))

    assert (created.state, created.pid, place.cgroup_dirs("t")) == ("created", None, [])
    with pytest.raises(NotRunning, match="it is created"):
        launcher.kill("t", signal.SIGTERM)
    with pytest.raises(NotRunning, match="it is created"):
        launcher.wait("t")
    assert launcher.stop("t") is False

    assert launcher.start("t") is True

    assert launcher.get("t").state == "running"
    assert launcher.start("t") is False
    assert launcher.exec("t", ["true"]).wait() == 0


@pytest.mark.kernel
def test_what_is_created_outlives_the_daemon_and_is_removed_without_a_trace(
    place: Place, launcher: Launcher, busybox_root: Path
) -> None:
    launcher.create(spec_of(busybox_root, "sleep 60", labels={"a": "b"}))

    second = place.launcher()

    assert (second.get("t").state, second.get("t").labels) == ("created", {"a": "b"})
    second.remove("t")
    assert place.remains("t") == []


@pytest.mark.kernel
def test_a_container_that_is_started_again_has_kept_its_writable_layer_and_its_log(
    launcher: Launcher, run: Run
) -> None:
    run("echo $(cat /root/count 2>/dev/null)x; cat /root/count; echo -n y >> /root/count; exit 3")
    assert launcher.wait("t", 10) == 3

    assert launcher.start("t") is True

    assert launcher.wait("t", 10) == 3
    assert lines_of(launcher)[-2:] == [b"yx", b"y"]
    assert launcher.get("t").restart_count == 0


@pytest.mark.kernel
def test_restart_ends_a_run_and_begins_another(launcher: Launcher, run: Run) -> None:
    first = run("sleep 60")

    launcher.restart("t", 0.1)

    second = launcher.get("t")
    assert (second.state, second.created_at) == ("running", first.created_at)
    assert (second.pid, second.start_ticks) != (first.pid, first.start_ticks)
    assert launcher.exec("t", ["true"]).wait() == 0


@pytest.mark.kernel
def test_a_start_that_fails_leaves_the_container_as_it_was(
    place: Place, launcher: Launcher, busybox_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    subprocess.run(["cp", "-a", str(busybox_root), str(root)], check=True)
    launcher.run(spec_of(root, "exit 5"))
    launcher.wait("t", 10)
    (root / "bin" / "busybox").unlink()

    with pytest.raises(Exception, match="sh"):
        launcher.start("t")

    assert (launcher.get("t").state, launcher.get("t").exit_code) == ("exited", 5)
    subprocess.run(["mv", str(root), str(tmp_path / "elsewhere")], check=True)
    with pytest.raises(MissingRoot):
        launcher.start("t")
    again = place.launcher().get("t")
    assert (again.state, again.exit_code) == ("exited", 5)
    assert again.started_at is not None
    assert place.cgroup_dirs("t") == []


@pytest.mark.kernel
def test_of_many_who_start_a_container_at_once_one_does(launcher: Launcher, busybox_root: Path) -> None:
    launcher.create(spec_of(busybox_root, "sleep 60"))
    done: list[bool] = []
    threads = [threading.Thread(target=lambda: done.append(launcher.start("t"))) for _ in range(6)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [False] * 5 + [True]


@pytest.mark.kernel
def test_a_container_that_fails_is_started_again_as_often_as_its_policy_says(
    place: Place, launcher: Launcher, run: Run
) -> None:
    launcher.resume()

    run("echo run; exit 1", restart="on-failure:2")

    assert eventually(lambda: any("given up" in event.reason for event in place.events))
    assert (launcher.get("t").state, launcher.get("t").exit_code) == ("exited", 1)
    assert launcher.get("t").restart_count == 2
    assert lines_of(launcher) == [b"run"] * 3
    delays = [event.detail["delay_sec"] for event in place.events if "delay_sec" in event.detail]
    assert delays == [0.1, 0.2]


@pytest.mark.kernel
def test_what_an_operator_stops_stays_stopped(launcher: Launcher, run: Run) -> None:
    launcher.resume()
    run("sleep 60", restart="always")

    assert launcher.stop("t", 0.1) is True

    assert launcher.wait("t", 10) == 137
    assert launcher.get("t").starts_at is None
    assert launcher.start("t") is True
    assert launcher.get("t").state == "running"


@pytest.mark.kernel
def test_stop_also_ends_the_waiting_for_the_next_start(launcher: Launcher, run: Run) -> None:
    run("exit 1", restart="always")  # nothing is started again before `resume`
    launcher.wait("t", 10)
    assert eventually(lambda: launcher.get("t").starts_at is not None)

    assert launcher.stop("t") is True

    launcher.resume()
    assert launcher.get("t").starts_at is None
    assert launcher.stop("t") is False


@pytest.mark.kernel
def test_a_killed_first_process_is_a_failure_unless_the_operator_killed_it(
    launcher: Launcher, run: Run
) -> None:
    launcher.resume()
    first = run("sleep 60", restart="on-failure")

    os.kill(first.pid or 0, signal.SIGKILL)

    assert eventually(lambda: launcher.get("t").restart_count == 1 and launcher.get("t").state == "running")
    launcher.kill("t", signal.SIGKILL)
    launcher.wait("t", 10)
    assert launcher.get("t").starts_at is None


@pytest.mark.kernel
def test_removal_wins_over_the_restart_policy(place: Place, launcher: Launcher, run: Run) -> None:
    launcher.resume()
    run("sleep 60", restart="always")
    run("exit 1", name="u", restart="always")

    launcher.remove("t", force=True)
    launcher.remove("u", force=True)

    assert (place.remains("t"), place.remains("u")) == ([], [])


@pytest.mark.kernel
def test_what_ends_while_no_daemon_runs_is_started_again_by_the_next(
    place: Place, busybox_root: Path
) -> None:
    owner = start_all(place, busybox_root, {"t": "sleep 0.3; exit 7", "u": "sleep 0.3"}, restart="on-failure")
    owner.kill()
    assert eventually((place.state_of("t") / "exit.json").exists)
    assert eventually((place.state_of("u") / "exit.json").exists)

    launcher = place.launcher()
    launcher.resume()

    assert eventually(lambda: launcher.get("t").restart_count == 1)
    assert (launcher.get("u").state, launcher.get("u").restart_count) == ("exited", 0)
    launcher.stop("t")


def pretend_a_reboot(place: Place, *names: str) -> None:
    """All processes gone, and the boot ids on record another boot's."""
    for name in names:
        init = read_init(place, name)
        for pid in (init["supervisor_pid"], init["pid"]):
            if (Path("/proc") / str(pid)).exists():
                os.kill(pid, signal.SIGKILL)
        record = place.state_of(name) / "init.json"
        record.write_text(json.dumps(init | {"boot_id": "another", "pid": os.getpid()}))
    (place.state_dir / "boot.json").write_text('{"boot_id": "another"}')


@pytest.mark.kernel
def test_when_the_host_was_booted_what_is_always_to_run_runs_again(place: Place, busybox_root: Path) -> None:
    policies = {"a": "always", "s": "always", "u": "unless-stopped", "v": "unless-stopped", "n": "no"}
    launcher = place.launcher()
    for name, policy in policies.items():
        launcher.run(spec_of(busybox_root, "sleep 60", name=name, restart=policy))
    for name in ("s", "v"):
        launcher.stop(name, 0)
    place.spawner.close()
    pretend_a_reboot(place, *policies)
    place.renew_spawner()

    second = place.launcher()
    second.resume()

    running = {"a", "s", "u"}
    assert eventually(lambda: {one.name for one in second.containers() if one.state == "running"} == running)
    assert {one.name for one in second.containers() if one.starts_at is not None} == set()
    third = place.launcher()
    assert {one.name for one in third.containers() if one.state == "running"} == running


def test_a_container_that_is_removed_at_its_end_cannot_be_restarted() -> None:
    with pytest.raises(BadSpec, match="restart: a container that is removed at its end"):
        spec_of(Path("/"), "true", restart="always", auto_remove=True)
