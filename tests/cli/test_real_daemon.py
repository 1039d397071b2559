"""The command line against a real daemon and the real kernel."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.real import CLI, ROOT, Running, read_kernel, running, wait_for

pytestmark = pytest.mark.kernel
MIB = 1 << 20


@pytest.fixture
def daemon() -> Iterator[Running]:
    with running() as daemon:
        yield daemon


def memory_limit(daemon: Running, name: str = "t") -> int:
    return int(read_kernel(daemon.json("inspect", name), "memory", "memory.limit_in_bytes", "memory.max"))


def test_limits_freezing_and_inspection_agree_with_the_kernel(daemon: Running) -> None:
    daemon.run("t", "sleep", "100", flags=("--memory", "64M", "--cpus", "0.5", "--pids-limit", "50"))

    inspected = daemon.json("inspect", "t")
    quota = read_kernel(inspected, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0]
    assert memory_limit(daemon) == 64 * MIB
    assert int(quota) == 50_000
    assert read_kernel(inspected, "pids", "pids.max") == "50"
    limits = inspected["limits"]
    told = limits["memory_max_bytes"], limits["cpu_max_cores"], limits["pids_max"]
    assert told == (64 * MIB, 0.5, 50)
    assert inspected["owners"]["memory_max_bytes"] == "spec"

    assert daemon.json("freeze", "t")["changed"] is True
    assert daemon.json("freeze", "t")["changed"] is False
    assert daemon.json("ps")[0]["state"] == "frozen"
    assert daemon.json("thaw", "t")["changed"] is True
    assert daemon.json("thaw", "t")["changed"] is False
    assert daemon.json("ps")[0]["state"] == "running"

    assert daemon.json("limit", "t", "--memory", "128M")["changed"] is True
    assert memory_limit(daemon) == 128 * MIB
    planned = daemon.json("limit", "t", "--memory", "96M", "--dry-run")
    assert [write["value"] for write in planned["writes"]].count(str(96 * MIB)) >= 1
    assert planned["status"] == "planned"
    assert all(write["read_back"] is None for write in planned["writes"])
    assert memory_limit(daemon) == 128 * MIB
    assert daemon.json("limit", "t", "--memory", "128M")["changed"] is False
    assert "memory_max_bytes" in daemon.cli("limit", "t").stdout
    assert daemon.json("limit", "t", "--reset")["changed"] is True
    assert memory_limit(daemon) == 64 * MIB
    assert daemon.json("limit", "t", "--reset")["changed"] is False
    assert "memory_max_bytes" in daemon.cli("why", "t").stdout


def test_run_ends_as_its_program_does(daemon: Running) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return daemon.cli("run", "--rm", "--rootfs", "/", "--", *command)

    both = run("sh", "-c", "echo out; echo err >&2; exit 3")

    assert (both.returncode, both.stdout, both.stderr) == (3, "out\n", "err\n")
    assert len(run("seq", "1", "3000").stdout.split()) == 3000
    assert run("/etc/passwd").returncode == 126
    assert run("/nowhere/program").returncode == 127
    assert daemon.cli("run", "--rootfs", "/nowhere/root", "--", "true").returncode == 125
    wait_for(lambda: daemon.json("ps") == [])


def test_all_output_of_a_run_arrives_byte_for_byte_though_it_is_removed_at_its_end(daemon: Running) -> None:
    done = daemon.cli("run", "--rm", "--rootfs", "/", "--", "seq", "1", "200000")

    assert done.returncode == 0
    assert done.stdout == "".join(f"{number}\n" for number in range(1, 200_001))
    assert daemon.json("ps") == []


def test_output_is_followed_over_rotations_of_the_log(daemon: Running) -> None:
    script = "head -c 25000000 /dev/zero | tr '\\0' x | fold -w 1000; echo; echo end"

    done = daemon.cli("run", "--rm", "--rootfs", "/", "--", "sh", "-c", script)

    assert done.stdout == ("x" * 1000 + "\n") * 25_000 + "end\n"


def test_a_killed_command_line_leaves_no_container_that_has_ended(daemon: Running) -> None:
    argv = [*CLI, "run", "--rm", "--name", "t", "--rootfs", "/", "--", "sh", "-c", "echo ready; sleep 100"]
    process = subprocess.Popen(argv, cwd=ROOT, env=daemon.env(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    process.kill()
    process.communicate(timeout=20)

    assert daemon.json("ps")[0]["state"] == "running"
    assert daemon.cli("stop", "-t", "0", "t").returncode == 0
    wait_for(lambda: daemon.json("ps", "-a") == [])


def test_run_of_a_killed_program_ends_with_137(daemon: Running) -> None:
    argv = [*CLI, "run", "--name", "t", "--rootfs", "/", "--", "sleep", "100"]
    process = subprocess.Popen(argv, cwd=ROOT, env=daemon.env())
    wait_for(lambda: daemon.cli("kill", "t").returncode == 0)

    assert process.wait(20) == 137


def test_run_hands_signals_to_the_program(daemon: Running) -> None:
    script = "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    argv = [*CLI, "run", "--name", "t", "--rootfs", "/", "--", "sh", "-c", script]
    process = subprocess.Popen(argv, cwd=ROOT, env=daemon.env(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signal.SIGTERM)

    assert process.communicate(timeout=20)[0] == "caught\n"
    assert process.returncode == 7


def test_the_life_of_a_container_from_a_script(daemon: Running) -> None:
    script = "trap 'exit 143' TERM; echo hello; while :; do sleep 0.1; done"
    daemon.run("t", "sh", "-c", script, flags=("-l", "tier=core"))

    assert daemon.cli("run", "-d", "--name", "t", "--rootfs", "/", "--", "true").returncode == 4
    assert daemon.cli("exec", "t", "sh", "-c", "echo in; exit 5").stdout == "in\n"
    assert daemon.cli("exec", "t", "sh", "-c", "exit 5").returncode == 5
    assert daemon.cli("exec", "t", "/nowhere").returncode == 127
    wait_for(lambda: daemon.cli("logs", "t").stdout == "hello\n")
    assert any("sleep" in process["command"] for process in daemon.json("procs", "t"))
    assert daemon.cli("ps", "-q", "-l", "tier=core").stdout == "t\n"
    assert daemon.cli("rm", "t").returncode == 4
    assert daemon.cli("wait", "--timeout", "100ms", "t").returncode == 124
    assert daemon.json("stop", "-t", "5", "t")["changed"] is True
    assert daemon.json("stop", "t")["changed"] is False
    assert daemon.cli("kill", "t").returncode == 4
    assert daemon.cli("wait", "t").stdout == "143\n"
    assert daemon.json("ps")[0]["state"] == "exited"
    assert daemon.cli("rm", "t").returncode == 0
    assert daemon.cli("rm", "t").returncode == 3
    assert daemon.cli("rm", "--if-exists", "t").returncode == 0
    types = [event["type"] for event in daemon.json("events", "--container", "t")]
    assert types.index("container.start") < types.index("container.exit") < types.index("container.remove")


def test_a_frozen_container_refuses_exec_and_can_be_removed(daemon: Running) -> None:
    daemon.run("t", "sleep", "100")
    daemon.cli("freeze", "t")

    assert daemon.cli("exec", "t", "true").returncode == 4
    assert daemon.cli("rm", "-f", "t").returncode == 0


def test_unknown_names_and_bad_wishes_change_nothing(daemon: Running) -> None:
    daemon.run("t", "sleep", "100", flags=("--memory", "64M"))

    for verb in ("freeze", "thaw", "stop", "kill", "rm", "wait", "inspect", "limit", "logs", "procs", "why"):
        done = daemon.cli(verb, "nobody")
        assert (done.returncode, done.stdout) == (3, ""), verb
        assert done.stderr.count("\n") == 1
        assert "nobody" in done.stderr
    below = daemon.cli("limit", "t", "--memory", "4K")
    assert below.returncode in (2, 4)
    assert memory_limit(daemon) == 64 * MIB


def test_one_without_rights_is_told_so(daemon: Running) -> None:
    for directory in (daemon.directory, daemon.directory / "run"):
        directory.chmod(0o755)

    code, said = as_nobody(daemon, "ps")

    assert code == 5
    assert said.count("\n") == 1
    assert daemon.host in said


def as_nobody(daemon: Running, *argv: str) -> tuple[int, str]:
    """Run a command in a forked child without rights, who may not be able to read this checkout."""
    from cgwarden.cli import main, ps  # noqa: F401  loaded before the rights are gone

    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.dup2(writing, 2)
            os.environ["CGWARDEN_HOST"] = daemon.host
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with open(2, "w", closefd=False) as sys.stderr:
                code = main(list(argv))
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading) as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def test_a_second_daemon_on_the_same_directories_is_refused(daemon: Running) -> None:
    run, state = f"--run-dir={daemon.directory}/run", f"--state-dir={daemon.directory}/state"

    done = daemon.cli("serve", run, state, "--listen=", f"--cgroup-parent={daemon.parent}")

    assert done.returncode == 4
    assert done.stderr.count("\n") == 1


def test_the_dashboard_link_stats_and_doctor_answer(daemon: Running) -> None:
    daemon.run("t", "sleep", "100")

    assert daemon.cli("dashboard").stdout.startswith("http://127.0.0.1:")
    wait_for(lambda: daemon.json("stats")[0]["usage"])
    assert daemon.cli("stats").stdout.splitlines()[1].split()[0] == "t"
    assert daemon.cli("doctor").returncode == 0


def test_events_are_followed_as_they_happen(daemon: Running) -> None:
    argv = [*CLI, "events", "-f", "--jsonl", "--type", "container.start"]
    process = subprocess.Popen(argv, cwd=ROOT, env=daemon.env(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    daemon.run("t", "sleep", "100")

    event = json.loads(process.stdout.readline())

    assert event["container"]["name"] == "t"
    process.kill()
    process.communicate()


def test_containers_outlive_a_killed_daemon_and_are_found_again(daemon: Running) -> None:
    daemon.run("t", "sleep", "100", flags=("--memory", "64M"))
    pid = daemon.json("inspect", "t")["pid"]
    os.kill(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait()

    assert daemon.cli("ps").returncode == 6
    restart(daemon)

    inspected = daemon.json("inspect", "t")
    assert (inspected["pid"], inspected["state"], inspected["supervised"]) == (pid, "running", True)
    assert memory_limit(daemon) == 64 * MIB


def restart(daemon: Running) -> None:
    """Start the same daemon again."""
    argv = list(map(str, daemon.process.args))  # type: ignore[arg-type]
    with (daemon.directory / "log").open("ab") as log:
        daemon.process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_for(lambda: daemon.cli("ps").returncode == 0, 30)
