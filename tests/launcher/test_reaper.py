"""`--init`: orphans are reaped, signals and exit codes pass through, and the program itself is the host's."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import BadSpec, CommandNotFound, Container, Launcher
from launcher.scene.reaper import find_reaper, is_static
from tests.launcher.conftest import eventually

Run = Callable[..., Container]
ORPHANS = "for i in 1 2 3; do sh -c 'sleep 0.05 &'; done; exec sleep 60"


def states_inside(launcher: Launcher) -> list[str]:
    """The state letter of each process in the container, but of the one that looks."""
    text = b"".join(data for _, data in launcher.exec("t", ["sh", "-c", "cat /proc/[0-9]*/stat"])).decode()
    return [line.rpartition(")")[2].split()[0] for line in text.splitlines() if "(cat)" not in line]


@pytest.mark.kernel
def test_orphans_are_reaped_with_an_init_and_stay_without(launcher: Launcher, run: Run) -> None:
    run(ORPHANS)
    assert eventually(lambda: states_inside(launcher).count("Z") == 3)
    launcher.remove("t", force=True)

    run(ORPHANS, init=True)

    cgroup = launcher.get("t").cgroup
    assert cgroup is not None
    assert eventually(lambda: "Z" not in states_inside(launcher) and len(cgroup.procs()) == 2)


@pytest.mark.kernel
def test_signals_go_through_and_the_exit_code_comes_back(launcher: Launcher, run: Run) -> None:
    run("trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done", init=True, stop_timeout_sec=10)
    assert eventually(lambda: list(launcher.read_log("t")) != [])

    launcher.stop("t")

    assert launcher.wait("t", 10) == 9


@pytest.mark.kernel
def test_a_program_that_does_not_handle_term_ends_at_once_behind_an_init(
    launcher: Launcher, run: Run
) -> None:
    run("echo up; exec sleep 60", init=True, stop_timeout_sec=60)
    assert eventually(lambda: list(launcher.read_log("t")) != [])

    launcher.stop("t")

    assert launcher.wait("t", 10) == 143


@pytest.mark.kernel
def test_the_init_cannot_be_written_and_exec_does_without(launcher: Launcher, run: Run) -> None:
    run(["sleep", "60"], init=True)

    def said(script: str) -> bytes:
        return b"".join(data for _, data in launcher.exec("t", ["sh", "-c", script]))

    assert said("readlink /proc/1/exe") == b"/dev/init\n"
    assert b"Read-only file system" in said("echo x > /dev/init")
    assert b"Device or resource busy" in said("rm -f /dev/init")
    assert said("cat /proc/$$/cmdline | tr '\\0' ' '").startswith(b"sh -c")


@pytest.mark.kernel
def test_what_is_not_there_is_told_before_the_container_counts(launcher: Launcher, run: Run) -> None:
    with pytest.raises(CommandNotFound):
        run(["no-such-program"], init=True)

    assert launcher.containers() == ()


@pytest.mark.kernel
def test_the_plan_shows_the_init(launcher: Launcher, run: Run) -> None:
    spec = dataclasses.replace(run(["true"], init=True).spec, name="u")

    assert any("tini" in step or "catatonit" in step for step in launcher.describe(spec))


def test_a_host_without_a_static_init_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="init: this host has no static init: install tini"):
        find_reaper((str(tmp_path / "none"), "/usr/bin/env", __file__))


def test_programs_that_need_a_loader_are_told_from_those_that_do_not() -> None:
    assert is_static(shutil.which("busybox") or "")
    assert not is_static(shutil.which("env") or "")
    assert not is_static("/etc/passwd")
