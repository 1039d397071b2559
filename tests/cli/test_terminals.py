"""Terminals of containers, as a person has them: a real pty, the command line, and a real daemon."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.real import CLI, ROOT, START_SEC, Running, running, wait_for
from tests.cli.screen import Screen, screen

pytestmark = pytest.mark.kernel
DETACH = b"\x10\x11"
FLAGS = ("--name", "t", "--rootfs")


@pytest.fixture
def daemon() -> Iterator[Running]:
    with running() as daemon:
        yield daemon


def at_a_prompt(one: Screen) -> Screen:
    one.type(b"PS1='$ '; echo rea''dy\n")
    one.expect(b"ready\r\n")
    return one


def test_a_terminal_has_our_size_is_the_programs_own_and_ends_with_its_code(
    daemon: Running, busybox_root: Path
) -> None:
    with screen(
        daemon, "run", "-it", "--rm", *FLAGS, str(busybox_root), "--", "sh", rows=33, columns=77
    ) as one:
        at_a_prompt(one)
        assert not one.is_cooked()
        one.type(b"stty size; tty; test -c /dev/console && echo console\n")
        one.expect(b"33 77\r\n/dev/pts/0\r\nconsole\r\n")
        one.resize(12, 34)
        one.type(b"while [ \"$(stty size)\" != '12 34' ]; do sleep 0.05; done; echo small''er\n")
        one.expect(b"smaller\r\n")
        one.type(b"sleep 4321\n")
        wait_for(lambda: any("4321" in process["command"] for process in daemon.json("procs", "t")))
        one.type(b"\x03")
        one.type(b"echo interr''upted\n")
        one.expect(b"interrupted\r\n")
        one.type(b"exit 7\n")

        assert one.end() == 7
        assert one.is_cooked()


def test_detached_a_container_runs_on_and_is_attached_to_again(daemon: Running, busybox_root: Path) -> None:
    with screen(daemon, "run", "-it", *FLAGS, str(busybox_root), "--", "sh") as one:
        at_a_prompt(one)
        one.type(b"kept=here\n\x10")
        one.type(b"\x11")
        assert one.end() == 0
        assert b"detached: container 't' runs on" in one.shown
        assert one.is_cooked()

    with screen(daemon, "attach", "--detach-keys", "ctrl-x,d", "t") as one:
        one.type(b"echo still $kept\n")
        one.expect(b"still here\r\n")
        one.type(b"\x18d")
        assert one.end() == 0

    with screen(daemon, "attach", "t") as one:
        one.type(b"exit 4\n")
        assert one.end() == 4


def test_several_are_attached_and_see_the_same(daemon: Running, busybox_root: Path) -> None:
    with screen(daemon, "run", "-it", *FLAGS, str(busybox_root), "--", "sh") as first:
        at_a_prompt(first)
        with screen(daemon, "attach", "t") as second:
            at_a_prompt(second)
            first.type(b"echo from the fir''st\n")
            second.expect(b"from the first\r\n")
            second.type(b"echo from the seco''nd; exit 3\n")
            first.expect(b"from the second\r\n")

            assert (first.end(), second.end()) == (3, 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_whatever_ends_the_client_puts_the_terminal_back(
    daemon: Running, busybox_root: Path, number: signal.Signals
) -> None:
    with screen(daemon, "run", "-it", *FLAGS, str(busybox_root), "--", "sh") as one:
        at_a_prompt(one)

        one.process.send_signal(number)

        assert one.end() == 128 + number
        assert one.is_cooked()
    assert daemon.json("ps")[0]["state"] == "running"


def test_exec_has_a_terminal_of_its_own(daemon: Running, busybox_root: Path) -> None:
    daemon.run("t", "sleep", "100")
    with screen(daemon, "exec", "-it", "t", "--", "sh", rows=20, columns=40) as one:
        at_a_prompt(one)
        one.type(b"stty size; ls -l /proc/self/fd/0\n")
        one.expect(b"20 40\r\n")
        one.expect(b"/dev/pts/0")
        one.resize(21, 41)
        one.type(b"while [ \"$(stty size)\" != '21 41' ]; do sleep 0.05; done; exit 9\n")

        assert one.end() == 9
        assert one.is_cooked()


def test_what_exec_started_goes_on_when_it_is_detached_from(daemon: Running) -> None:
    daemon.run("t", "sleep", "100")
    with screen(daemon, "exec", "-it", "t", "--", "sh") as one:
        at_a_prompt(one)
        one.type(b"exec sleep 4321\n")
        wait_for(lambda: any("4321" in process["command"] for process in daemon.json("procs", "t")))
        one.type(DETACH)
        assert one.end() == 0

    assert any("4321" in process["command"] for process in daemon.json("procs", "t"))


def test_what_is_piped_in_reaches_the_program_whole_and_ends(daemon: Running) -> None:
    data = b"".join(b"%d\n" % number for number in range(400_000))

    def pipe(*argv: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*CLI, *argv], cwd=ROOT, env=daemon.env(), input=data, capture_output=True, check=False
        )

    assert pipe("run", "-i", "--rm", "--rootfs", "/", "--", "cat").stdout == data
    daemon.run("t", "sleep", "100")
    assert pipe("exec", "-i", "t", "cat").stdout == data
    assert pipe("exec", "-i", "t", "head", "-c", "3").stdout == data[:3]
    assert pipe("exec", "t", "cat").stdout == b""
    refused = pipe("run", "-it", "--rootfs", "/", "--", "cat")
    assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 1)


def test_input_stays_open_for_whoever_attaches(daemon: Running) -> None:
    daemon.run("t", "sh", "-c", "read a; echo got $a; cat; echo end", flags=("-i",))
    argv = [*CLI, "attach", "t"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=ROOT, env=daemon.env(), stdin=pipe, stdout=pipe) as one:
        assert one.stdin is not None and one.stdout is not None
        one.stdin.write(b"word\n")
        one.stdin.flush()
        assert one.stdout.readline() == b"got word\n"
        one.stdin.write(b"more\n")
        one.stdin.close()
        assert one.stdout.read() == b"more\nend\n"
        assert one.wait() == 0


def test_a_daemon_that_is_killed_is_told_in_one_line_and_the_terminal_is_there_for_the_next(
    daemon: Running, busybox_root: Path
) -> None:
    with screen(daemon, "run", "-it", *FLAGS, str(busybox_root), "--", "sh") as one:
        at_a_prompt(one)
        one.type(b"kept=here; echo o''k\n")
        one.expect(b"ok\r\n")

        daemon.process.kill()
        daemon.process.wait()

        assert one.end() == 6
        assert one.is_cooked()
        last = one.shown.strip().splitlines()[-1]
        assert last.startswith(b"cgwarden: the daemon ended; container 't' runs on")

    daemon.start_again()
    with screen(daemon, "attach", "t") as one:
        one.type(b"echo still $kept; exit 5\n")
        one.expect(b"still here\r\n")
        assert one.end() == 5


def test_a_run_with_rm_whose_reader_has_gone_ends(daemon: Running) -> None:
    argv = [*CLI, "run", "--rm", "--name", "t", "--rootfs", "/", "--", "yes"]
    run = subprocess.Popen(argv, cwd=ROOT, env=daemon.env(), stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdout.read(4) == b"y\ny\n"

    run.stdout.close()

    assert run.wait(START_SEC) == 141
    wait_for(lambda: daemon.json("ps", "-a") == [])


def test_a_client_that_does_not_read_is_cut_off_and_the_container_does_not_notice(
    daemon: Running, busybox_root: Path
) -> None:
    script = "until [ -e /tmp/go ]; do sleep 0.05; done; seq 600000; echo last; read stop"
    daemon.cli("run", "-dit", *FLAGS, str(busybox_root), "--", "sh", "-c", script)
    with screen(daemon, "attach", "t") as stuck:
        wait_for(lambda: not stuck.is_cooked())
        stuck.process.send_signal(signal.SIGSTOP)
        daemon.cli("exec", "t", "touch", "/tmp/go")
        wait_for(lambda: daemon.cli("logs", "--tail", "1", "t").stdout.strip() == "last")

        stuck.process.send_signal(signal.SIGCONT)

        stuck.expect(b"some was skipped")
        stuck.type(b"\n")
        assert stuck.end() == 0


def test_keys_pushed_into_a_terminal_inside_do_not_come_out(daemon: Running) -> None:
    push = (
        "import fcntl, termios\n"
        "for c in b'echo pushed\\n':\n"
        "    fcntl.ioctl(0, termios.TIOCSTI, bytes([c]))\n"
    )
    with screen(daemon, "run", "-it", "--rm", "--rootfs", "/", "--", "python3", "-c", push) as one:
        one.end()
        one.type(b"after\n")
        one.expect(b"after")
        assert b"pushed\r\nafter" not in one.shown


def test_the_input_of_a_run_ends_with_its_client_and_not_with_the_daemon(daemon: Running) -> None:
    argv = [*CLI, "run", "-i", "--name", "t", "--rootfs", "/", "--", "cat"]

    def begin() -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        run = subprocess.Popen(argv, cwd=ROOT, env=daemon.env(), stdin=pipe, stdout=pipe, stderr=pipe)
        assert run.stdin is not None and run.stdout is not None
        run.stdin.write(b"hello\n")
        run.stdin.flush()
        assert run.stdout.readline() == b"hello\n"
        return run

    with begin() as run:
        daemon.process.kill()
        daemon.process.wait()
        assert run.wait(START_SEC) == 6
    daemon.start_again()
    assert daemon.json("inspect", "t")["state"] == "running"
    assert daemon.cli("rm", "-f", "t").returncode == 0

    with begin() as run:
        run.kill()
        wait_for(lambda: daemon.json("inspect", "t")["state"] == "exited")
