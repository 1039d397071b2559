"""Every way to fail: one line that names the thing and says what to do, and the right exit code."""

import os
import socket
import threading
from pathlib import Path

import pytest

from cgwarden.cli.failures import exit_code, one_line
from cgwarden.client import Daemon, NoDaemon, Problem
from tests.cli.conftest import Cli
from tests.cli.stub import Stub

SLUGS = [
    ("unknown-container", 404, 3),
    ("name-taken", 409, 4),
    ("not-running", 409, 4),
    ("frozen", 409, 4),
    ("owner-conflict", 409, 4),
    ("below-usage", 409, 4),
    ("conflict", 409, 4),
    ("forbidden", 401, 5),
    ("forbidden", 403, 5),
    ("timeout", 504, 124),
    ("bad-request", 400, 2),
    ("bad-request", 422, 2),
    ("internal", 500, 1),
    ("something-new", 409, 4),
]


@pytest.mark.parametrize(("slug", "status", "code"), SLUGS)
def test_a_problem_of_the_daemon_becomes_an_exit_code(slug: str, status: int, code: int) -> None:
    assert exit_code(Problem(status, {"type": f"/problems/{slug}", "detail": "no"})) == code


@pytest.mark.parametrize(
    ("error", "code"), [(NoDaemon("none"), 6), (PermissionError(), 5), (TimeoutError(), 124)]
)
def test_a_daemon_that_cannot_be_asked_becomes_an_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_a_no_that_comes_before_all_was_read_is_heard(tmp_path: Path) -> None:
    document = b'{"type": "/problems/too-large", "detail": "no more"}'

    def refuse(listener: socket.socket) -> None:
        connection = listener.accept()[0]
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 413 No\r\nContent-Length: %d\r\n\r\n%s" % (len(document), document))

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        with pytest.raises(Problem, match="no more"):
            Daemon(f"unix://{tmp_path}/s").call("POST", "/", {"data": "x" * 4_000_000})
        thread.join()


def test_detail_and_hint_are_one_line_on_stderr_and_nothing_is_on_stdout(stub: Stub, cli: Cli) -> None:
    stub.problem(
        "POST /api/v1/containers/web/freeze", "unknown-container", 404, hint="see\ncgwarden ps\x1b[2J"
    )

    said = cli("freeze", "web")

    assert said == (3, "", "cgwarden: unknown-container it is (see cgwarden ps\\x1b[2J)\n")


IN_FLAGS = [
    ("cpuset_cpus: there is no CPU 99", None, "--cpuset-cpus: there is no CPU 99"),
    ("limits.cpu_max_cores: too many", None, "--cpus: too many"),
    ("?lease_sec: must be a number", None, "--for: must be a number"),
    ("io_max: no such disk", None, "io_max: no such disk"),
    (
        "pids_max is held by policy:x; use force to take it over",
        "use force to take it over",
        "pids_max is held by policy:x; use --force to take it over",
    ),
    ("below usage", "use force to set it all the same", "below usage (use --force to set it all the same)"),
]


@pytest.mark.parametrize(("detail", "hint", "told"), IN_FLAGS)
def test_the_apis_fields_are_told_as_flags(detail: str, hint: str | None, told: str) -> None:
    error = Problem(422, {"detail": detail, "hint": hint})

    assert one_line(error, "unix:///s") == told


def test_without_a_daemon_the_line_says_where_and_what_to_do(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CGWARDEN_HOST", "unix:///run/nowhere/s")

    said = cli("ps")

    assert said.code == 6
    assert said.err.count("\n") == 1
    assert "unix:///run/nowhere/s" in said.err
    assert "cgwarden serve" in said.err


@pytest.mark.parametrize("host", ["tcp://localhost:1", "/run/x", "unix://relative"])
def test_an_address_that_is_none_is_named(host: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGWARDEN_HOST", host)

    said = cli("ps")

    assert said.code == 2
    assert host in said.err


BAD = [
    (["freeze", "../x"], "'../x'"),
    (["freeze", "a" * 300], "300 characters"),
    (["freeze", "a\0b"], r"'a\x00b'"),
    (["limit", "t", "--memory", "-1"], "--memory: '-1' is negative"),
    (["limit", "t", "--cpus", "nan"], "--cpus: 'nan'"),
    (["limit", "t", "--pids-limit", "-2"], "--pids-limit: '-2'"),
    (["limit", "t", "--memory", "1g", "--for", "0s"], "--for: '0s' is out of range: from 0.1s to 30d"),
    (["freeze", "t", "--for", "31d"], "--for: '31d' is out of range: from 0.1s to 30d"),
    (["limit", "t", "--force"], "--force needs a limit"),
    (["limit", "t", "--memory-swap", "1g"], "--memory"),
    (["run", "--rootfs", "/", "--name", "../x", "--", "true"], "'../x'"),
    (["run", "--rootfs", "/", "--memory", "-1", "--", "true"], "--memory"),
    (["run", "--", "true"], "--rootfs DIR or --image REF is needed"),
    (["run", "--rootfs", "/"], "something is missing"),
    (["run", "--rootfs", "/", "--image", "debian", "--", "true"], "one of them"),
    (["run", "--rootfs", "/", "-v", "/a", "--", "true"], "'/a' is not SRC:DST"),
    (["run", "--rootfs", "/", "--mount", "type=nfs,target=/b", "--", "true"], "type=nfs"),
    (["run", "--rootfs", "/", "--network", "mesh", "--", "true"], "'mesh' is not one of"),
    (["run", "--rootfs", "/", "-p", "0:80:80:80", "--", "true"], "'0:80:80:80'"),
    (["run", "--rootfs", "/", "--device", "fuse", "--", "true"], "'fuse' is not DEVICE"),
    (["run", "--rootfs", "/", "--ulimit", "nofile=x", "--", "true"], "'nofile=x'"),
    (["run", "--rootfs", "/", "--security-opt", "seccomp=/no/file", "--", "true"], "/no/file"),
    (["run", "--rootfs", "/", "--tmpfs", "/t:mode=999", "--", "true"], "'999' is not an octal"),
    (["run", "--rootfs", "/", "--health-retries", "2", "--", "true"], "--health-cmd"),
    (["run", "--rootfs", "/", "--privileged", "--", "true"], "--privileged is not offered"),
    (["run", "--rootfs", "/", "--oom-score-adj", "1001", "--", "true"], "--oom-score-adj"),
    (["run", "--rootfs", "/", "--class", "gold", "--", "true"], "guaranteed"),
    (["run", "--rootfs", "/", "--device-read-bps", "/dev/nothing:1m", "--", "true"], "/dev/nothing"),
    (["kill", "-s", "WHAT", "t"], "'WHAT' is not a signal"),
    (["freez", "t"], "did you mean freeze?"),
    (["freeze"], "name a container"),
    (["events", "--since", "10"], "did you mean 10s?"),
    (["stop", "a", "b/c"], "'b/c'"),
    (["demo", "--for", "1s"], "at least 5s"),
]


@pytest.mark.parametrize(("argv", "named"), BAD)
def test_a_slip_is_refused_before_the_daemon_is_asked(
    argv: list[str], named: str, stub: Stub, cli: Cli
) -> None:
    said = cli(*argv)

    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("cgwarden: ")
    assert said.err.count("\n") == 1
    assert named in said.err
    assert stub.asked == []


def test_a_reader_that_goes_away_is_no_error(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    from tests.cli.stub import container
    from tests.cli.test_startup import ROOT

    stub.on("GET /api/v1/containers", {"containers": [container(f"web{number}") for number in range(3000)]})

    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m cgwarden ps | head -1"],
        cwd=ROOT,
        env={"CGWARDEN_HOST": stub.host, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("NAME")
    assert done.stderr == ""
