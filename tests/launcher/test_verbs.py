"""The verbs on containers, on the real kernel: exit codes, stop, kill, exec, logs, wait, remove."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import (
    BadSpec,
    CannotInvoke,
    CommandNotFound,
    Container,
    ContainerFrozen,
    ContainerSpec,
    Launcher,
    NameTaken,
    NotRunning,
    StillRunning,
    UnknownContainer,
)
from tests.launcher.conftest import Place, eventually

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
DEAF = "trap '' TERM; echo up; while :; do sleep 1; done"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -9 $$; exit 4", 4),  # the first process of a pid namespace cannot kill itself
        ("no-such-program", 127),
        ("/etc/passwd", 126),
    ],
)
def test_the_exit_code_is_the_programs_own(launcher: Launcher, run: Run, script: str, code: int) -> None:
    run(script)

    assert launcher.wait("t", 10) == code
    assert launcher.get("t").state == "exited"
    assert launcher.get("t").finished_at is not None


def test_a_death_by_signal_counts_128_more(launcher: Launcher, run: Run) -> None:
    run("sleep 60")

    launcher.kill("t", signal.SIGKILL)

    assert launcher.wait("t", 10) == 137
    assert launcher.get("t").signal == signal.SIGKILL


def test_a_program_that_hears_the_stop_signal_ends_by_itself(launcher: Launcher, run: Run) -> None:
    run("trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done")
    assert eventually(lambda: [line.data for line in launcher.read_log("t")] == [b"up"])

    assert launcher.stop("t", 10) is True

    assert launcher.wait("t", 0) == 5


def test_a_program_that_ignores_the_stop_signal_is_killed(launcher: Launcher, run: Run) -> None:
    run(DEAF)

    assert launcher.stop("t", 0.1) is True

    assert launcher.wait("t", 0) == 137


def test_stopping_what_has_ended_changes_nothing(launcher: Launcher, run: Run) -> None:
    run("exit 0")
    launcher.wait("t", 10)

    assert launcher.stop("t") is False


def test_a_frozen_container_can_be_stopped_killed_and_removed(launcher: Launcher, run: Run) -> None:
    for end in (lambda: launcher.stop("t", 0.1), lambda: launcher.kill("t", 9)):
        container = run(DEAF)
        assert container.cgroup is not None
        container.cgroup.freeze()
        assert launcher.state_of("t") == "frozen"

        end()

        assert launcher.wait("t", 10) == 137
        launcher.remove("t", force=True)


def test_nothing_is_left_after_a_removal(launcher: Launcher, run: Run, place: Place) -> None:
    run("sleep 60")
    assert len(place.remains("t")) > 5

    launcher.remove("t", force=True)

    assert place.remains("t") == []
    with pytest.raises(UnknownContainer):
        launcher.get("t")


def test_the_cgroups_go_with_the_end_and_the_record_stays(launcher: Launcher, run: Run, place: Place) -> None:
    run("echo bye")

    launcher.wait("t", 10)

    assert place.cgroup_dirs("t") == []
    assert [line.data for line in launcher.read_log("t")] == [b"bye"]
    assert launcher.get("t").to_wire()["exit_code"] == 0


def test_a_running_container_is_not_removed_without_force(launcher: Launcher, run: Run) -> None:
    run("sleep 60")

    with pytest.raises(StillRunning):
        launcher.remove("t")

    assert launcher.get("t").state == "running"


def test_a_container_that_was_to_go_goes_with_its_end(launcher: Launcher, run: Run, place: Place) -> None:
    run("sleep 0.1", auto_remove=True)

    assert eventually(lambda: place.remains("t") == [])
    assert eventually(
        lambda: [event.type for event in place.events][-2:] == ["container.exit", "container.remove"]
    )


def test_an_attached_run_has_the_whole_output_of_what_is_gone_already(
    launcher: Launcher, busybox_root: Path, place: Place
) -> None:
    wire = {"name": "t", "rootfs": str(busybox_root), "command": ["sh", "-c", "seq 1 20000; exit 3"]}
    attached = launcher.run_attached(ContainerSpec.from_wire(wire | {"auto_remove": True}))
    assert eventually(lambda: place.remains("t") == [])

    lines = [line.data for line in attached.output()]

    assert lines == [b"%d" % number for number in range(1, 20_001)]
    assert attached.exit_code == 3


def test_a_name_is_given_once(launcher: Launcher, run: Run) -> None:
    first = run("sleep 60")

    with pytest.raises(NameTaken):
        run("sleep 60")

    assert launcher.get("t").pid == first.pid


def test_a_signal_for_what_has_ended_is_refused(launcher: Launcher, run: Run) -> None:
    run("exit 0")
    launcher.wait("t", 10)

    with pytest.raises(NotRunning):
        launcher.kill("t", signal.SIGTERM)


@pytest.mark.parametrize("verb", ["get", "stop", "remove", "wait", "state_of"])
def test_an_unknown_container_is_named(launcher: Launcher, verb: str) -> None:
    with pytest.raises(UnknownContainer, match="'nobody'"):
        getattr(launcher, verb)("nobody")


def test_waiting_has_an_end(launcher: Launcher, run: Run) -> None:
    run("sleep 60")

    assert launcher.wait("t", 0.01) is None


def test_both_streams_are_logged_with_their_names(launcher: Launcher, run: Run) -> None:
    run("echo out; echo err >&2; printf 'no newline'")
    launcher.wait("t", 10)

    lines = list(launcher.read_log("t"))

    assert sorted((line.stream, line.data) for line in lines if not line.partial) == [
        ("stderr", b"err"),
        ("stdout", b"out"),
    ]
    assert [(line.stream, line.data) for line in lines if line.partial] == [("stdout", b"no newline")]
    assert [line.data for line in launcher.read_log("t", tail=1)] == [lines[-1].data]
    assert list(launcher.read_log("t", since="9999")) == []


def test_following_a_log_ends_with_the_container(launcher: Launcher, run: Run) -> None:
    run("for i in 1 2 3; do echo $i; sleep 0.05; done")

    assert [line.data for line in launcher.read_log("t", follow=True)] == [b"1", b"2", b"3"]


def test_a_flood_of_output_is_kept_whole(launcher: Launcher, run: Run) -> None:
    run("yes 0123456789 | head -n 200000")
    launcher.wait("t", 60)

    assert sum(line.data == b"0123456789" for line in launcher.read_log("t")) == 200000


def test_exec_runs_in_the_same_namespaces_and_cgroup_and_as_confined(launcher: Launcher, run: Run) -> None:
    container = run("sleep 60", cap_drop=["KILL"])
    script = (
        "cat /proc/self/cgroup; grep -E 'Cap|NoNew|Seccomp' /proc/self/status; hostname; ls /proc/self/fd"
    )

    session = launcher.exec("t", ["sh", "-c", script])
    got = b"".join(data for _stream, data in session).decode().splitlines()

    first = [line for line in got if ":" in line and line[0].isdigit()]
    assert first
    assert all(line.endswith(":/") for line in first)
    theirs = [line for line in got if line.startswith(("Cap", "NoNew", "Seccomp"))]
    with open(f"/proc/{container.pid}/status") as status:
        assert theirs == [line.rstrip() for line in status if line.startswith(("Cap", "NoNew", "Seccomp"))]
    assert got[-5:] == ["t", "0", "1", "2", "3"]
    assert session.exit_code == 0


def test_exec_has_its_own_exit_code_streams_and_environment(launcher: Launcher, run: Run) -> None:
    run("sleep 60", env={"A": "1"})

    session = launcher.exec(
        "t", ["sh", "-c", "echo $A$B; pwd >&2; id -u; exit 7"], env={"B": "2"}, workdir="/tmp", user="nobody"
    )
    chunks = list(session)

    assert b"".join(data for stream, data in chunks if stream == "stdout") == b"12\n65534\n"
    assert b"".join(data for stream, data in chunks if stream == "stderr") == b"/tmp\n"
    assert session.exit_code == 7


def test_exec_is_charged_to_the_container(launcher: Launcher, run: Run) -> None:
    container = run("sleep 60")

    session = launcher.exec("t", ["sleep", "60"])

    assert container.cgroup is not None
    assert session.pid in container.cgroup.procs()
    session.kill()
    assert session.wait() == 137


def test_a_caller_that_loses_interest_leaves_no_descriptors(launcher: Launcher, run: Run) -> None:
    run("sleep 60")
    before = len(os.listdir("/proc/self/fd"))

    session = launcher.exec("t", ["sh", "-c", "echo first; sleep 60"])
    output = session.__iter__()
    assert next(output) == ("stdout", b"first\n")
    session.kill()
    output.close()

    assert len(os.listdir("/proc/self/fd")) == before


def test_an_exec_ends_with_its_container(launcher: Launcher, run: Run) -> None:
    run("sleep 60")
    session = launcher.exec("t", ["sleep", "60"])

    launcher.kill("t", signal.SIGKILL)

    assert session.wait() == 137
    assert launcher.wait("t", 10) == 137


@pytest.mark.parametrize(
    ("command", "error"),
    [(["nope"], CommandNotFound), (["/etc/passwd"], CannotInvoke), (["/tmp"], CannotInvoke)],
)
def test_exec_of_what_cannot_run_says_so(
    launcher: Launcher, run: Run, command: list[str], error: type[Exception]
) -> None:
    run("sleep 60")

    with pytest.raises(error):
        launcher.exec("t", command)


def test_exec_checks_what_it_is_given(launcher: Launcher, run: Run) -> None:
    run("sleep 60")

    with pytest.raises(BadSpec):
        launcher.exec("t", ["true"], user="0 or so")


def test_exec_into_a_frozen_container_is_refused_at_once(launcher: Launcher, run: Run) -> None:
    container = run("sleep 60")
    assert container.cgroup is not None
    container.cgroup.freeze()

    with pytest.raises(ContainerFrozen):
        launcher.exec("t", ["true"])


def test_exec_in_what_has_ended_is_refused(launcher: Launcher, run: Run) -> None:
    run("exit 0")
    launcher.wait("t", 10)

    with pytest.raises(NotRunning):
        launcher.exec("t", ["true"])


def test_a_process_killed_for_memory_shows_in_the_record(launcher: Launcher, run: Run, place: Place) -> None:
    run("x=0123456789; while :; do x=$x$x; done", limits={"memory_max_bytes": 8 << 20})

    assert launcher.wait("t", 30) == 137

    assert launcher.get("t").oom_killed is True
    assert "container.oom" in [event.type for event in place.events]


def test_a_life_is_told_in_order(launcher: Launcher, run: Run, place: Place) -> None:
    run("exit 2")
    launcher.wait("t", 10)
    launcher.remove("t")

    assert [event.type for event in place.events] == [
        "container.create",
        "container.start",
        "container.exit",
        "container.remove",
    ]
    assert place.events[2].detail["exit_code"] == 2


def test_many_launches_at_once_all_succeed(launcher: Launcher, run: Run) -> None:
    failures: list[BaseException] = []

    def start(number: int) -> None:
        try:
            run("sleep 60", name=f"t{number}")
        except Exception as e:  # noqa: BLE001 - reported below
            failures.append(e)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert {container.state for container in launcher.containers()} == {"running"}
    assert len(launcher.containers()) == 20


def test_the_set_of_containers_is_replaced_and_never_changed(launcher: Launcher, run: Run) -> None:
    before = launcher.containers()

    run("sleep 60")

    assert before == ()
    assert [container.name for container in launcher.containers()] == ["t"]


def test_a_joining_process_cannot_be_looked_into(launcher: Launcher, run: Run) -> None:
    spy = "while :; do for p in /proc/[0-9]*; do ls $p/fd >/dev/null 2>&1 && readlink $p/exe; done; done"
    run(["sh", "-c", spy])

    for _ in range(30):
        assert launcher.exec("t", ["true"]).wait() == 0

    seen = {line.data for line in launcher.read_log("t")}
    assert seen == {b"/bin/busybox"}
