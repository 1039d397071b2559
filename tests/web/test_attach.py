"""Input by requests of their own: for the attachment that an answer has named, and only while that flows."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.web.client import wait_until
from tests.web.rig import Rig

WEB = "/api/v1/containers/web"


@contextmanager
def flowing(rig: Rig, path: str, body: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The id of the attachment, and the lines that came with it."""
    text = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with rig.connect() as connection:
        connection.sendall(f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode())
        received = b""
        while b"data_b64" not in received:
            received += connection.recv(9999)
        lines = [json.loads(line) for line in received.split(b"\n") if line.startswith(b"{")]
        yield lines[0]["attachment"], lines


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_what_is_typed_reaches_the_program_in_order_and_its_size_and_end_too(rig: Rig) -> None:
    rig.launcher.add("web")
    with flowing(rig, f"{WEB}/exec", {"command": ["hangs"], "stdin": True}) as (key, _lines):
        path = f"/api/v1/attachments/{key}"
        answer = rig.ask("POST", path, {"data_b64": encoded(b"hello\xff"), "rows": 20, "columns": 30})
        assert answer.json == {"taken_bytes": 6, "ended": False}
        rig.ask("POST", path, {"data_b64": encoded(b"!"), "eof": True})

        assert rig.launcher.sessions[0].typed == b"<20 x 30>hello\xff!<end>"

    wait_until(lambda: rig.launcher.sessions[0].killed.is_set())
    wait_until(lambda: rig.ask("POST", path, {}).slug == "unknown-attachment")


@pytest.mark.parametrize(
    "body",
    [{"data_b64": "?"}, {"data_b64": "YQ"}, {"rows": 0.5, "columns": "x"}, {"eof": 1}, {"data": "a"}],
)
def test_input_that_cannot_be_meant_is_refused_and_nothing_of_it_taken(rig: Rig, body: Any) -> None:
    rig.launcher.add("web")
    with flowing(rig, f"{WEB}/exec", {"command": ["hangs"], "tty": True}) as (key, _lines):
        assert rig.ask("POST", f"/api/v1/attachments/{key}", body).slug == "bad-request"
        assert rig.launcher.sessions[0].typed == b""


def test_attached_one_sees_output_and_the_end(rig: Rig) -> None:
    rig.launcher.add("web")

    answer = rig.ask("POST", f"{WEB}/attach")

    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert (lines[0]["tty"], lines[0]["stdin"]) == (True, True)
    assert base64.b64decode(lines[1]["data_b64"]) == b"on the air\xff"
    assert lines[2] == {"exit_code": 9}


def test_one_who_is_cut_off_hears_why(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.launcher.cut = "too slow"

    answer = rig.ask("POST", f"{WEB}/attach")

    assert json.loads(answer.body.splitlines()[-1]) == {"cut": "too slow"}


def test_a_terminal_begins_with_its_container_and_is_typed_into(rig: Rig) -> None:
    body = {"name": "web", "rootfs": "/srv/root", "command": ["hangs"], "tty": True, "stdin": True}
    with flowing(rig, "/api/v1/containers?attach=true&rows=10&columns=20", body) as (key, lines):
        assert lines[0]["container"]["name"] == "web"
        rig.ask("POST", f"/api/v1/attachments/{key}", {"data_b64": encoded(b"x")})
        live = rig.launcher.runs[0].live
        assert live is not None
        assert live.typed == b"x"


def test_an_archive_comes_out_in_one_answer_and_goes_in_as_input_does(rig: Rig) -> None:
    rig.launcher.add("web")

    assert rig.ask("GET", f"{WEB}/archive?path=/etc").body == b"archive of /etc"
    assert rig.ask("GET", f"{WEB}/archive?path=/nothing").slug == "cannot-copy"
    answer = rig.ask("POST", f"{WEB}/archive?path=/tmp&kind=tree")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert lines[1] == {"entries": 2, "skipped": 0}
    assert rig.ask("POST", f"{WEB}/archive?path=/tmp&kind=house").slug == "bad-request"
