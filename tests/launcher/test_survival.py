"""Processes of ours are killed with -9 at every place, and what was acknowledged still stands
(docs/launcher.md).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher import Container, Launcher, SupervisorLost
from launcher.processes import is_alive
from launcher.records import read_start_ticks
from tests.launcher.conftest import Place, eventually

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
REPOSITORY = Path(__file__).parents[2]
COUNTING = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"


class Owner:
    """A process that started containers and can be killed like a daemon."""

    def __init__(self, place: Place, root: Path, scripts: dict[str, str], **fields: object) -> None:
        specs = [
            {"name": name, "rootfs": str(root), "command": ["sh", "-c", script]} | fields
            for name, script in scripts.items()
        ]
        order = {
            "cgroup_parent": place.cgroup_parent,
            "run_dir": str(place.run_dir),
            "state_dir": str(place.state_dir),
            "specs": specs,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.launcher.owner"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order))
        self.process.stdin.close()

    def wait_until_all_run(self) -> "Owner":
        assert self.process.stdout is not None
        assert int(self.process.stdout.readline()) > 0
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        # Nothing that outlives the daemon holds its output open.
        self.process.stdout.read()
        self.process.stdout.close()


def start_all(place: Place, root: Path, scripts: dict[str, str], **fields: object) -> Owner:
    return Owner(place, root, scripts, **fields).wait_until_all_run()


def read_init(place: Place, name: str = "t") -> dict[str, Any]:
    record: dict[str, Any] = json.loads((place.state_of(name) / "init.json").read_text())
    return record


def log_of(launcher: Launcher, name: str = "t") -> list[bytes]:
    return [line.data for line in launcher.read_log(name)]


def test_containers_outlive_the_daemon_and_are_adopted(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": COUNTING, "u": "sleep 60"}, limits={"pids_max": 33})
    before = read_init(place)

    owner.kill()
    launcher = place.launcher()

    adopted = launcher.get("t")
    assert (adopted.pid, adopted.start_ticks) == (before["pid"], before["start_ticks"])
    assert (adopted.state, adopted.supervised) == ("running", True)
    assert adopted.cgroup is not None
    assert adopted.cgroup.read_limits().pids_max == 33
    assert {event.type for event in place.events} == {"container.adopt"}
    assert launcher.exec("t", ["true"]).wait() == 0
    assert launcher.stop("u", 0.1) is True
    assert launcher.wait("u", 10) == 137


def test_output_is_kept_while_no_daemon_runs(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": COUNTING})
    owner.kill()
    log = place.state_of("t") / "log"
    assert eventually(log.exists)
    seen = log.stat().st_size

    assert eventually(lambda: log.stat().st_size > seen + 300)

    lines = log_of(place.launcher())
    assert lines == [b"%d" % number for number in range(len(lines))]


def test_an_exit_while_no_daemon_runs_is_known_afterwards(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": "sleep 0.3; echo last words; exit 7"})
    owner.kill()
    assert eventually((place.state_of("t") / "exit.json").exists)

    launcher = place.launcher()

    assert launcher.wait("t", 0) == 7
    assert log_of(launcher) == [b"last words"]
    assert place.cgroup_dirs("t") == []


def test_a_frozen_container_is_still_frozen_after_the_daemons_death(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": "sleep 60"})
    cgroup = place.hierarchies.cgroup(f"/{place.cgroup_parent}/t")
    cgroup.freeze()
    cgroup.close()

    owner.kill()

    assert place.launcher().state_of("t") == "frozen"


def test_a_killed_spawner_is_replaced_and_no_container_notices(
    place: Place, launcher: Launcher, run: Run
) -> None:
    first = run("sleep 60")

    killed = place.spawner.pid
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: read_start_ticks(killed) is None)
    second = run("sleep 60", name="u")

    assert is_alive(first.pid, first.start_ticks)
    assert is_alive(second.pid, second.start_ticks)
    assert launcher.get("t").supervised is True


def kill_supervisor(place: Place, launcher: Launcher) -> None:
    os.kill(read_init(place)["supervisor_pid"], signal.SIGKILL)
    assert eventually(lambda: launcher.get("t").supervised is False)


def test_a_container_outlives_its_supervisor_and_can_still_be_limited(
    place: Place, launcher: Launcher, run: Run
) -> None:
    container = run("sleep 60")

    kill_supervisor(place, launcher)

    orphan = launcher.get("t")
    assert (orphan.state, orphan.pid) == ("running", container.pid)
    assert orphan.cgroup is not None
    orphan.cgroup.apply(orphan.cgroup.plan_limits({"pids_max": 20}))
    assert orphan.cgroup.read_limits().pids_max == 20
    with pytest.raises(SupervisorLost):
        launcher.exec("t", ["true"])


def test_the_end_of_an_orphan_is_seen_with_its_exit_code(place: Place, launcher: Launcher, run: Run) -> None:
    run("trap 'exit 9' TERM; while :; do sleep 0.05; done")
    kill_supervisor(place, launcher)

    assert launcher.stop("t", 10) is True

    assert launcher.wait("t", 0) == 9
    assert place.cgroup_dirs("t") == []


def test_an_orphan_is_killed_and_removed_without_a_trace(place: Place, launcher: Launcher, run: Run) -> None:
    run("sleep 60")
    kill_supervisor(place, launcher)

    launcher.remove("t", force=True)

    assert place.remains("t") == []


def test_an_orphan_may_go_on_writing(place: Place, launcher: Launcher, run: Run) -> None:
    run(COUNTING)
    kill_supervisor(place, launcher)
    seen = len(log_of(launcher))

    assert eventually(lambda: len(log_of(launcher)) > seen + 10)

    lines = [int(line) for line in log_of(launcher)]
    assert lines == sorted(set(lines))


def test_an_orphan_is_adopted_as_one(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": COUNTING})
    owner.kill()
    os.kill(read_init(place)["supervisor_pid"], signal.SIGKILL)
    assert eventually(
        lambda: not is_alive(read_init(place)["supervisor_pid"], read_init(place)["supervisor_start_ticks"])
    )

    launcher = place.launcher()

    assert (launcher.get("t").state, launcher.get("t").supervised) == ("running", False)
    assert launcher.stop("t", 0.1) is True
    assert launcher.wait("t", 10) == 137


def test_everything_dead_at_once_is_exited_with_an_unknown_code(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": "sleep 60"})
    init = read_init(place)
    owner.kill()
    os.kill(init["supervisor_pid"], signal.SIGKILL)
    os.kill(init["pid"], signal.SIGKILL)
    assert eventually(lambda: not is_alive(init["pid"], init["start_ticks"]))

    launcher = place.launcher()

    assert (launcher.get("t").state, launcher.get("t").exit_code) == ("exited", None)
    assert place.cgroup_dirs("t") == []


@pytest.mark.parametrize("begun", [1, 2, 4, 7])
def test_a_daemon_killed_amid_launches_leaves_whole_containers_or_nothing(
    place: Place, busybox_root: Path, begun: int
) -> None:
    names = [f"t{number}" for number in range(9)]
    owner = Owner(place, busybox_root, dict.fromkeys(names, "sleep 60"))
    states = place.state_dir / "containers"
    assert eventually(lambda: states.is_dir() and len(os.listdir(states)) >= begun)

    owner.kill()
    launcher = place.launcher()

    whole = {container.name for container in launcher.containers()}
    assert whole == set(os.listdir(states))
    assert {container.state for container in launcher.containers()} <= {"running"}
    assert all(launcher.exec(name, ["true"]).wait() == 0 for name in whole)
    assert [name for name in names if name not in whole and place.remains(name)] == []


def test_after_a_reboot_a_container_has_ended(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": "sleep 60"})
    owner.kill()
    init = read_init(place)
    os.kill(init["supervisor_pid"], signal.SIGKILL)
    os.kill(init["pid"], signal.SIGKILL)
    (place.state_of("t") / "init.json").write_text(
        json.dumps(init | {"boot_id": "another", "pid": os.getpid()})
    )

    launcher = place.launcher()

    assert launcher.get("t").state == "exited"
    assert [event.reason for event in place.events] == ["it ended meanwhile: the host was rebooted"]


def test_an_intent_without_a_container_is_rolled_back(place: Place) -> None:
    place.launcher()
    directory = place.state_of("t")
    directory.mkdir()
    (directory / "spec.json").write_text(json.dumps({"spec": {"name": "t"}, "created_at": "x"}))
    place.hierarchies.create(f"/{place.cgroup_parent}/t").close()

    second = place.launcher()

    assert second.containers() == ()
    assert place.remains("t") == []


def test_an_unfinished_removal_is_finished(place: Place) -> None:
    place.launcher()
    hidden = place.state_dir / "containers" / ".removed-t-12345678"
    (hidden / "upper").mkdir(parents=True)

    place.launcher()

    assert not hidden.exists()


def test_an_empty_cgroup_without_a_record_is_removed_and_a_populated_one_is_not_touched(place: Place) -> None:
    place.launcher()
    for name in ("empty", "foreign"):
        place.hierarchies.create(f"/{place.cgroup_parent}/{name}").close()
    stranger = subprocess.Popen(["sleep", "60"])
    procs = next(path for path in place.cgroup_dirs("foreign") if "memory" in str(path)) / "cgroup.procs"
    unified = [path / "cgroup.procs" for path in place.cgroup_dirs("foreign") if "unified" in str(path)]
    for file in (procs, *unified):
        file.write_text(str(stranger.pid))

    place.launcher()

    assert place.cgroup_dirs("empty") == []
    assert place.cgroup_dirs("foreign") != []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    place.hierarchies.remove(f"/{place.cgroup_parent}/foreign")


def test_a_damaged_record_does_not_hide_a_running_container(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": "sleep 60"})
    owner.kill()
    (place.state_of("t") / "spec.json").write_text('{"spec": {"na')

    launcher = place.launcher()

    assert launcher.get("t").state == "running"
    launcher.remove("t", force=True)
    assert place.remains("t") == []


def test_a_lost_run_directory_does_not_end_a_container(place: Place, busybox_root: Path) -> None:
    owner = start_all(place, busybox_root, {"t": COUNTING})
    owner.kill()
    shutil.rmtree(place.run_dir / "containers")

    launcher = place.launcher()

    assert launcher.get("t").state == "running"
    seen = len(log_of(launcher))
    assert eventually(lambda: len(log_of(launcher)) > seen)
