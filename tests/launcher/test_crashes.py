"""Daemon, spawner, supervisor and first process are killed with -9 at every step of a container's life, and
the next daemon adopts what runs, finishes what has ended, rolls back what never was, and leaks nothing.
"""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from launcher import Launcher
from launcher.failpoints import STEPS, parse_failpoints
from tests.launcher.conftest import Place, Run, eventually
from tests.launcher.dying import REPOSITORY, failing_at, killed_at, order_for

LIFE: Final = (
    ("create", "spec"),
    ("start", "t"),
    ("stop", "t"),
    ("start", "t"),
    ("remove", "t"),
    ("run", "spec"),
    ("remove", "t"),
)
"""Every step is passed in one of these. The program is deaf to TERM, so that `stop` has to kill it."""
OF_OTHER_TESTS: Final = ("network.", "launch.network", "image.", "root.")
OTHERS: Final = ("spawner.", "supervisor.", "first.")
"""Not the daemon's: it goes on when one of these is killed, and may come to the end of that life."""


def order_of(place: Place, root: Path) -> dict[str, Any]:
    command = ["sh", "-c", "echo up; trap '' TERM; while :; do sleep 0.05; done"]
    spec: dict[str, Any] = {"name": "t", "rootfs": str(root), "command": command, "stop_timeout_sec": 0.05}
    spec["limits"] = {"pids_max": 30}
    spec |= {"userns": "auto", "volumes": [{"source": "v", "target": "/v"}], "tmpfs": [{"target": "/t"}]}
    return order_for(place, [(verb, spec if argument == "spec" else argument) for verb, argument in LIFE])


def is_settled(place: Place, launcher: Launcher) -> bool:
    """Whole or gone: each container on record is one of the launcher's, and nothing is left of another."""
    known = {container.name for container in launcher.containers()}
    on_disk = set(os.listdir(place.state_dir / "containers"))
    running = {one.name for one in launcher.containers() if one.state == "running"}
    groups = {name for name in ("t",) if place.cgroup_dirs(name)}
    run_dirs = set(os.listdir(place.run_dir / "containers"))
    return known == on_disk and groups == running and run_dirs == running


@pytest.mark.kernel
@pytest.mark.parametrize("step", [step for step in STEPS if not step.startswith(OF_OTHER_TESTS)])
def test_whoever_is_killed_at_this_step_the_next_daemon_puts_it_right(
    place: Place, busybox_root: Path, step: str
) -> None:
    reached_in = killed_at(step, order_of(place, busybox_root))

    launcher = place.launcher()

    assert step.startswith(OTHERS) or not reached_in.isdigit(), f"{step} is passed by nobody"
    assert eventually(lambda: is_settled(place, launcher))
    for container in launcher.containers():
        assert (container.spec.limits, container.state in ("created", "running", "exited")) == (
            {"pids_max": 30},
            True,
        )
        if container.state == "running":
            assert launcher.exec("t", ["true"]).wait() == 0
            launcher.stop("t", 5)
        launcher.start("t")
        assert launcher.get("t").state == "running"
        assert launcher.exec("t", ["true"]).wait() == 0
        launcher.remove("t", force=True)
    assert place.remains("t") == []


@pytest.mark.kernel
@pytest.mark.parametrize(
    "step", ["rm.noted", "rm.killed", "end.read", "end.recorded", "end.cgroups", "rm.hidden"]
)
@pytest.mark.parametrize("restart", ["no", "always"])
def test_a_removal_is_finished_by_the_next_daemon(
    place: Place, busybox_root: Path, step: str, restart: str
) -> None:
    spec = {"name": "t", "rootfs": str(busybox_root), "command": ["sleep", "60"], "restart": restart}
    assert killed_at(step, order_for(place, [("run", spec), ("remove", "t")])) == "remove"

    launcher = place.launcher()
    launcher.resume()

    assert launcher.containers() == ()
    assert place.remains("t") == []


@pytest.mark.kernel
def test_a_removal_that_failed_takes_nothing_that_was_started_again(
    place: Place, run: Run, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(step: str) -> None:
        if step == "rm.killed":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    run("sleep 60")
    with monkeypatch.context() as failing:
        failing.setattr("launcher.launcher.reach", fail)
        with pytest.raises(OSError, match="Input/output"):
            launcher.remove("t", force=True)
    launcher.wait("t", 20)
    assert [one.name for one in place.launcher().containers()] == ["t"]
    launcher.start("t")

    assert place.launcher().get("t").state == "running"


@pytest.mark.kernel
@pytest.mark.parametrize(
    "step",
    [
        "create.intent",
        "launch.cgroups",
        "launch.limits",
        "supervisor.pipes",
        "supervisor.cloned",
        "first.scene",
    ],
)
def test_a_failure_at_a_step_leaves_nothing(place: Place, busybox_root: Path, step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.launcher.owner"],
        cwd=REPOSITORY,
        env=failing_at(step, "enospc"),
        input=json.dumps(order_of(place, busybox_root)).replace('["create", ', '["run", ', 1),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert eventually(lambda: place.remains("t") == [])


@pytest.mark.kernel
@pytest.mark.parametrize(
    "step", ["launch.sent", "supervisor.recorded", "supervisor.opened", "supervisor.told"]
)
def test_a_program_that_ends_at_once_has_been_started_however_slow_its_launch_is_at_a_step(
    place: Place, busybox_root: Path, step: str
) -> None:
    spec = {"name": "t", "rootfs": str(busybox_root), "command": ["true"]}

    assert killed_at(step, order_for(place, [("run", spec)]), "delay=300").isdigit()

    launcher = place.launcher()
    assert eventually(lambda: launcher.get("t").state == "exited")
    assert launcher.get("t").exit_code == 0
    launcher.remove("t")


def test_every_step_that_is_passed_is_named_and_every_name_is_passed() -> None:
    sources = (REPOSITORY / "launcher").rglob("*.py")
    passed = {step for path in sources for step in re.findall(r'\breach\("([^"]+)"\)', path.read_text())}

    assert passed == set(STEPS)


def test_failpoints_need_test_mode() -> None:
    armed: dict[str, Any] = {"CGWARDEN_FAILPOINT": "rm.hidden:kill,end.read:delay=5"}

    assert parse_failpoints(armed) == {}
    assert parse_failpoints(armed | {"CGWARDEN_TEST_MODE": "1"}) == {
        "rm.hidden": "kill",
        "end.read": "delay=5",
    }
