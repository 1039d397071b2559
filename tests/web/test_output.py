"""What containers write, over the API: logs, attached runs, exec."""

import base64
import json
from typing import Any

import pytest

from launcher import LogLine
from tests.web.client import read_all, wait_until
from tests.web.rig import Rig

CONTAINER = "/api/v1/containers/web"


def test_logs_are_the_bytes_that_were_written_or_lines_with_their_time(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.launcher.lines = [
        LogLine("2026-11-24T04:00:00.000Z", "stdout", False, b"one \xff\x1b[31m"),
        LogLine("2026-11-24T04:00:01.000Z", "stderr", True, b"tw"),
        LogLine("2026-11-24T04:00:01.000Z", "stderr", False, b"o"),
    ]

    text = rig.get(f"{CONTAINER}/logs")
    lines = [json.loads(line) for line in rig.get(f"{CONTAINER}/logs?format=jsonl&tail=3").body.splitlines()]

    assert text.body == b"one \xff\x1b[31m\ntwo\n"
    assert text.headers["content-type"].startswith("text/plain")
    assert [line["stream"] for line in lines] == ["stdout", "stderr", "stderr"]
    assert lines[0]["data"] == "one \ufffd\x1b[31m"
    assert lines[1]["partial"] is True
    assert rig.get(f"{CONTAINER}/logs?tail=0").body == b""


def test_many_lines_come_whole(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.launcher.lines = [LogLine("t", "stdout", False, b"%d" % number) for number in range(20_000)]

    assert rig.get(f"{CONTAINER}/logs").body == b"".join(b"%d\n" % number for number in range(20_000))


def test_an_attached_run_is_answered_with_the_container_its_output_and_its_exit_code(rig: Rig) -> None:
    rig.launcher.lines = [LogLine("t", "stdout", False, b"hello")]
    body = json.dumps({"name": "web", "rootfs": "/", "command": ["true"]})
    head = "POST /api/v1/containers?attach=true HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with rig.connect() as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        received = b""
        while b"hello" not in received:
            received += connection.recv(9999)

        rig.launcher.end("web")
        received += read_all(connection)

    told = [json.loads(line) for line in received.splitlines() if line.startswith(b"{")]
    assert received.startswith(b"HTTP/1.1 201")
    assert told[0]["container"]["name"] == "web"
    assert told[1:] == [
        {"time": "t", "stream": "stdout", "partial": False, "data": "hello"},
        {"exit_code": 5},
    ]


def test_an_attached_run_that_cannot_be_is_refused_as_any_other(rig: Rig) -> None:
    answer = rig.ask("POST", "/api/v1/containers?attach=true", {"rootfs": "/", "command": ["absent"]})

    assert (answer.status, answer.slug) == (422, "command-not-found")


def test_a_flood_leaves_in_large_pieces(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.launcher.lines = [LogLine("t", "stdout", False, b"x" * 99) for _ in range(20_000)]
    rig.launcher.end("web")

    answer = rig.get(f"{CONTAINER}/logs?follow=true")

    assert len(answer.body) == 2_000_000


def test_following_ends_when_the_container_does(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.launcher.lines = [LogLine("t", "stdout", False, b"hello")]
    with rig.connect() as connection:
        connection.sendall(
            f"GET {CONTAINER}/logs?follow=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        received = b""
        while b"hello" not in received:
            received += connection.recv(9999)

        rig.launcher.end("web")

        assert (received + read_all(connection)).endswith(b"0\r\n\r\n")


def test_a_follower_who_hangs_up_leaves_no_thread_behind(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.launcher.lines = [LogLine("t", "stdout", False, b"hello")]
    with rig.connect() as connection:
        connection.sendall(f"GET {CONTAINER}/logs?follow=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while b"hello" not in connection.recv(9999):
            pass

    wait_until(lambda: rig.launcher.followed == 1)


def test_exec_streams_output_and_then_the_exit_code(rig: Rig) -> None:
    rig.launcher.add("web")

    answer = rig.ask("POST", f"{CONTAINER}/exec", {"command": ["echo", "hi"], "env": {"A": "b"}, "user": "0"})

    output, end = [json.loads(line) for line in answer.body.splitlines()]
    assert output["stream"] == "stdout"
    assert base64.b64decode(output["data_b64"]) == b"echo hi\xff"
    assert end == {"exit_code": 7}


def test_an_exec_whose_client_hangs_up_is_killed(rig: Rig) -> None:
    rig.launcher.add("web")
    body = json.dumps({"command": ["hangs"]})
    head = f"POST {CONTAINER}/exec HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with rig.connect() as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        while b"data_b64" not in connection.recv(9999):
            pass

    wait_until(lambda: rig.launcher.sessions[0].killed.is_set())
    wait_until(lambda: rig.launcher.sessions[0].exit_code == 7)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({}, "bad-request"),
        ({"command": []}, "bad-request"),
        ({"command": "ls"}, "bad-request"),
        ({"command": ["a\0b"]}, "bad-request"),
        ({"command": [1]}, "bad-request"),
        ({"command": ["ls"], "env": {"A": 1}}, "bad-request"),
        ({"command": ["ls"], "tty": "yes"}, "bad-request"),
        ({"command": ["ls"], "tty": True, "rows": -1, "columns": 1}, "bad-request"),
        ({"command": ["absent"]}, "command-not-found"),
    ],
)
def test_an_exec_that_cannot_be_is_refused_before_anything_runs(rig: Rig, body: Any, slug: str) -> None:
    rig.launcher.add("web")

    answer = rig.ask("POST", f"{CONTAINER}/exec", body)

    assert (answer.status, answer.slug) == (422, slug)
    assert rig.launcher.sessions == []
