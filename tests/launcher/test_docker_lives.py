"""What users expect beside the table of the talk: the lives of containers, one short test for each; details
are tested elsewhere.
"""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import Container, ContainerSpec, Launcher
from tests.launcher.conftest import Place, eventually

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
MIB = 1 << 20


def lines_of(launcher: Launcher, name: str, *command: str) -> list[str]:
    """What a program says that is started inside by `exec`."""
    return b"".join(data for _stream, data in launcher.exec(name, command)).decode().splitlines()


def test_create_start_restart(launcher: Launcher, busybox_root: Path) -> None:
    wish = {"name": "t", "rootfs": str(busybox_root), "command": ["sleep", "60"], "stop_timeout_sec": 0}
    assert launcher.create(ContainerSpec.from_wire(wish)).state == "created"

    assert launcher.start("t") is True
    first = launcher.get("t")
    launcher.exec("t", ["touch", "/root/kept"]).wait()
    launcher.restart("t")

    assert launcher.get("t").pid != first.pid
    assert lines_of(launcher, "t", "ls", "/root") == ["kept"]


def test_restart_policies_with_back_off(place: Place, launcher: Launcher, run: Run) -> None:
    launcher.resume()

    run("exit 1", restart="on-failure:2")

    assert eventually(lambda: any("given up after 2 restarts" in event.reason for event in place.events))
    delays = [event.detail.get("delay_sec") for event in place.events if event.type == "container.restart"]
    assert delays == [0.1, 0.2, None]


def test_restart_of_always_containers_when_the_host_boots(place: Place, busybox_root: Path) -> None:
    wish = {"name": "t", "rootfs": str(busybox_root), "command": ["sleep", "60"], "proc": "plain"}
    first = place.launcher()
    first.run(ContainerSpec.from_wire(wish | {"restart": "always"}))
    first.stop("t", 0)
    (place.state_dir / "boot.json").write_text('{"boot_id": "the one before"}')

    second = place.launcher()
    second.resume()

    assert eventually(lambda: second.get("t").state == "running")


def test_init_reaper(launcher: Launcher, run: Run) -> None:
    container = run("for i in 1 2 3; do sh -c 'sleep 0.05 &'; done; exec sleep 60", init=True)

    assert container.cgroup is not None
    cgroup = container.cgroup
    assert eventually(lambda: len(cgroup.procs()) == 2)
    assert lines_of(launcher, "t", "readlink", "/proc/1/exe") == ["/dev/init"]
    assert not [line for line in lines_of(launcher, "t", "ps", "-o", "stat") if "Z" in line]


def test_health_command(launcher: Launcher, run: Run) -> None:
    command = ["test", "-e", "/root/ok"]
    run("sleep 60", health={"command": command, "interval_sec": 0.1, "timeout_sec": 5, "retries": 1})

    def health() -> str:
        told = launcher.get("t").health
        return "" if told is None else told.state

    assert eventually(lambda: health() == "unhealthy")
    launcher.exec("t", ["touch", "/root/ok"]).wait()
    assert eventually(lambda: health() == "healthy")


def test_oom_and_signal_shown_in_the_exit_status(launcher: Launcher, run: Run) -> None:
    run("dd if=/dev/zero of=/dev/null bs=64M", limits={"memory_max_bytes": 8 * MIB})
    assert launcher.wait("t", 20) == 137 or launcher.get("t").exit_code == 1
    assert launcher.get("t").oom_killed is True

    run("sleep 60", name="u")
    launcher.kill("u", signal.SIGHUP)
    launcher.kill("u", signal.SIGKILL)
    assert launcher.wait("u", 10) == 137
    assert (launcher.get("u").signal, launcher.get("u").oom_killed) == (signal.SIGKILL, False)


def test_class_guaranteed_burstable_besteffort(run: Run) -> None:
    guarantee = {"memory_max_bytes": 64 * MIB, "cpu_max_cores": 0.5}
    held = run("sleep 60", **{"class": "guaranteed", "limits": guarantee})
    spare = run("sleep 60", name="u", **{"class": "besteffort"})

    assert held.cgroup is not None
    assert spare.cgroup is not None
    limits = [one.read_limits() for one in (held.cgroup, spare.cgroup)]
    weights = [(one.cpu_shares, one.cpu_weight) for one in limits]
    assert weights in ([(512, None), (2, None)], [(None, 59), (None, 1)])
    assert spare.oom_score_adj == 1000
    assert held.oom_score_adj == -997 or "not permitted" in " ".join(held.notes)


def test_groups_with_shared_limits_by_nesting(launcher: Launcher, run: Run) -> None:
    group = launcher.groups.create("batch", {"cpu_max_cores": 1, "memory_max_bytes": 64 * MIB})

    container = run("sleep 60", group="batch")

    assert group.cgroup is not None
    assert container.cgroup is not None
    assert container.cgroup.path == f"{group.cgroup.path}/t"
    assert group.cgroup.read_limits().memory_max_bytes == 64 * MIB
    launcher.remove("t", force=True)
    launcher.groups.remove("batch")
