"""The verbs that start and end containers, against a stub: what they ask, print and exit with."""

import base64
import json
from pathlib import Path

import pytest

from cgwarden.cli import main
from tests.cli.conftest import Cli
from tests.cli.stub import Stub, container

WEB = "/api/v1/containers/web"


def test_run_detached_sends_the_whole_wish_and_prints_the_name(stub: Stub, cli: Cli) -> None:
    stub.on("POST /api/v1/containers", container("t"), 201)

    said = cli(
        *(
            "run",
            "-d",
            "--name",
            "t",
            "--rootfs",
            "/",
            "-e",
            "A=1",
            "-l",
            "tier=core",
            "--class",
            "besteffort",
        ),
        *(
            "--memory",
            "64M",
            "--read-only",
            "--rm",
            "--stop-signal",
            "int",
            "--cap-drop",
            "net_raw",
            "-w",
            "/srv",
        ),
        *("--", "sleep", "-x", "100"),
    )

    assert said == (0, "t\n", "")
    assert stub.asked[-1].body == {
        "name": "t",
        "rootfs": "/",
        "command": ["sleep", "-x", "100"],
        "env": {"A": "1"},
        "limits": {"memory_max_bytes": 64 << 20},
        "labels": {"tier": "core"},
        "workdir": "/srv",
        "class": "besteffort",
        "stop_signal": "SIGINT",
        "cap_drop": ["CAP_NET_RAW"],
        "read_only": True,
        "auto_remove": True,
    }


def test_run_invents_a_name_where_none_is_given(stub: Stub, cli: Cli) -> None:
    stub.on("POST /api/v1/containers", container("calm-otter-3f2a"), 201)

    cli("run", "-d", "--rootfs", "/", "--", "true")

    assert len(stub.asked[-1].body["name"].split("-")) == 3


def test_run_shows_output_apart_and_ends_with_the_program_s_code(stub: Stub, cli: Cli) -> None:
    line = {"time": "2026-01-31T08:00:00Z", "partial": False}
    out, err = line | {"stream": "stdout", "data": "out"}, line | {"stream": "stderr", "data": "err"}
    stub.on("POST /api/v1/containers", [{"container": container("t")}, out, err, {"exit_code": 143}], 201)

    assert cli("run", "--rm", "--name", "t", "--rootfs", "/", "true") == (143, "out\n", "err\n")
    assert stub.asked[0].query == "attach=true"
    assert stub.asked[0].body["auto_remove"] is True


def test_run_whose_exit_code_was_lost_fails(stub: Stub, cli: Cli) -> None:
    stub.on("POST /api/v1/containers", [{"container": container("t")}, {"exit_code": None}], 201)

    assert cli("run", "--rootfs", "/", "true").code == 1


def test_run_says_so_when_the_daemon_ends_before_the_container(stub: Stub, cli: Cli) -> None:
    stub.on("POST /api/v1/containers", [{"container": container("t")}], 201)

    said = cli("run", "--name", "t", "--rootfs", "/", "true")

    assert said.code == 6
    assert "container 't' runs on" in said.err


def test_output_that_is_no_text_arrives_as_it_was(
    stub: Stub, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    line = {"time": "2026-01-31T08:00:00Z", "stream": "stdout", "partial": True, "data": "\ufffd"}
    stub.on(f"GET {WEB}/logs", [line | {"data_b64": base64.b64encode(b"\xff\x00").decode()}])

    assert main(["logs", "web"]) == 0
    assert capfdbinary.readouterr().out == b"\xff\x00"


@pytest.mark.parametrize(
    ("slug", "status", "more", "code"),
    [
        ("missing-root", 422, {}, 125),
        ("launch-failed", 500, {}, 125),
        ("internal", 500, {}, 125),
        ("cannot-invoke", 422, {"exit_code": 126}, 126),
        ("command-not-found", 422, {"exit_code": 127}, 127),
        ("name-taken", 409, {}, 4),
        ("bad-request", 422, {}, 2),
        ("forbidden", 403, {}, 5),
    ],
)
def test_run_fails_with_docker_s_exit_codes(
    slug: str, status: int, more: dict[str, object], code: int, stub: Stub, cli: Cli
) -> None:
    stub.problem("POST /api/v1/containers", slug, status, **more)

    assert cli("run", "-d", "--rootfs", "/nowhere", "--", "true").code == code


def test_run_dry_prints_the_plan(stub: Stub, cli: Cli) -> None:
    stub.on("POST /api/v1/containers", {"plan": ["make a directory", "mount it"]})

    assert cli("run", "--rootfs", "/", "--dry-run", "--", "true").out == "make a directory\nmount it\n"
    assert stub.asked[-1].query == "dry_run=true"


def test_exec_passes_streams_and_exit_code_through(stub: Stub, cli: Cli) -> None:
    told = [
        {"stream": "stdout", "data_b64": base64.b64encode(b"\xff\n").decode()},
        {"stream": "stderr", "data_b64": base64.b64encode(b"oh\n").decode()},
        {"exit_code": 7},
    ]
    stub.on(f"POST {WEB}/exec", told)

    said = cli("exec", "-e", "A=1", "web", "ls", "-l")

    assert (said.code, said.err) == (7, "oh\n")
    assert stub.asked[-1].body == {"command": ["ls", "-l"], "env": {"A": "1"}}


def test_a_variable_that_the_caller_does_not_have_is_left_out(
    stub: Stub, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MINE", "m=1")
    monkeypatch.delenv("NOPE", raising=False)
    (tmp_path / "env").write_text("# theirs\n\nA=1\nMINE\nNOPE\nB=\n")
    stub.on("POST /api/v1/containers", container("t"), 201)
    stub.on(f"POST {WEB}/exec", [{"exit_code": 0}])

    flags = ("-e", "MINE", "-e", "NOPE", "-e", "EMPTY=")
    assert cli("exec", *flags, "web", "true").code == 0
    executed = stub.asked[-1].body
    assert (
        cli("run", "-d", "--rootfs", "/", "--env-file", str(tmp_path / "env"), *flags, "--", "true").code == 0
    )

    assert executed is not None and executed["env"] == {"MINE": "m=1", "EMPTY": ""}
    ran = stub.asked[-1].body
    assert ran is not None and ran["env"] == {"A": "1", "MINE": "m=1", "B": "", "EMPTY": ""}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("BAD KEY=1", "white space in the name 'BAD KEY'"),
        ("KEY =1", "white space in the name 'KEY '"),
        ("export\tA=1", r"white space in the name 'export\tA'"),
        ("two words", "white space in the name 'two words'"),
        ("=1", "'=1' is not KEY=VALUE"),
    ],
)
def test_a_line_of_an_env_file_that_is_no_variable_is_refused_by_its_number(
    stub: Stub, cli: Cli, tmp_path: Path, line: str, why: str
) -> None:
    (tmp_path / "env").write_text(f"A=b c\n\n{line}\n")

    said = cli("run", "-d", "--rootfs", "/", "--env-file", str(tmp_path / "env"), "--", "true")

    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[0].endswith(f"--env-file {tmp_path}/env, line 3: {why}")
    assert stub.asked == []


def test_stop_kill_wait_and_rm_ask_what_they_say(stub: Stub, cli: Cli) -> None:
    stub.on(f"POST {WEB}/stop", {"changed": True, "state": "exited", "exit_code": 0})
    stub.on(f"POST {WEB}/kill", {"changed": True, "state": "running"})
    stub.on(f"POST {WEB}/wait", {"exit_code": 137})
    stub.on(f"DELETE {WEB}", None, 204)

    assert cli("stop", "-t", "3", "web").out == "web\n"
    assert stub.asked[-1].body == {"timeout_sec": 3.0}
    assert cli("kill", "-s", "SIGHUP", "web").out == "web\n"
    assert stub.asked[-1].body == {"signal": "HUP"}
    assert cli("wait", "web") == (0, "137\n", "")
    assert json.loads(cli("rm", "-f", "web", "--json").out) == {"name": "web", "changed": True}
    assert stub.asked[-1].query == "force=true"


def test_wait_gives_up_with_124_and_a_lost_exit_code_is_told_as_unknown(stub: Stub, cli: Cli) -> None:
    stub.problem(f"POST {WEB}/wait", "timeout", 504)
    stub.on(f"GET {WEB}", container("web", state="exited"))

    assert cli("wait", "--timeout", "1s", "web").code == 124
    assert cli("wait", "web") == (0, "unknown\n", "")


def test_removing_what_is_not_there_is_3_or_nothing_to_do(stub: Stub, cli: Cli) -> None:
    stub.problem(f"DELETE {WEB}", "unknown-container", 404)

    assert cli("rm", "web").code == 3
    assert cli("rm", "--if-exists", "web").code == 0


def test_logs_come_apart_and_with_times_if_wished(stub: Stub, cli: Cli) -> None:
    line = {"time": "2026-01-31T08:00:00Z", "stream": "stdout", "partial": False, "data": "hello"}
    stub.on(f"GET {WEB}/logs", [line, line | {"partial": True, "data": "no end"}])

    assert cli("logs", "web").out == "hello\nno end"
    assert cli("logs", "-t", "--tail", "5", "web").out.startswith("2026-01-31T08:00:00Z hello\n")
    assert stub.asked[-1].query == "format=jsonl&tail=5"


def test_no_label_asks_nothing_of_a_host_without_selinux(stub: Stub, cli: Cli) -> None:
    stub.on("POST /api/v1/containers", container("t"), 201)

    for word in ("label=disable", "label:disable"):
        done = cli("run", "-d", "--name", "t", "--rootfs", "/", "--security-opt", word, "--", "true")
        assert done.code == 0
        assert stub.asked[-1].body["selinux"] == ""
