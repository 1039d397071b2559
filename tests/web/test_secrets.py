"""Marked secrets are sent through every door; afterwards they are nowhere but where they belong."""

import logging

import pytest

from tests.web.rig import Rig
from web.scopes import OPERATE


def test_no_secret_turns_up_in_answers_metrics_events_logs_or_files(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.launcher.add("web")
    good = rig.token(OPERATE)
    code = rig.ask("POST", "/api/v1/login-codes").json["code"]
    cookie = rig.ask("POST", "/api/v1/login", {"code": code}, tcp=True).headers["set-cookie"].split(";")[0]
    secrets = [good.split("_", 2)[2], code, cookie.partition("=")[2], "marked-and-wrong"]
    paths = ("/metrics", "/api/v1/host", "/api/v1/tokens", "/api/v1/events", "/api/v1/login", "/nothing")

    with caplog.at_level(logging.DEBUG):
        answers = [rig.get(path) for path in paths]
        for path in paths:
            answers.append(rig.get(path, tcp=True, token=good))
            answers.append(rig.get(path, tcp=True, headers={"Cookie": cookie}))
            answers.append(rig.get(path, tcp=True, token="cgw_0000_marked-and-wrong"))
        answers.append(rig.ask("POST", "/api/v1/login", {"code": "marked-and-wrong"}, tcp=True))
        answers.append(rig.ask("POST", "/api/v1/login", {"cod": code}, tcp=True))
    malformed = rig.raw(f"GET / HTTP/1.1\r\nAuthorization : Bearer {good}\r\n\r\n".encode(), tcp=True)

    seen = b"".join([*(str(answer).encode() for answer in answers), malformed, caplog.text.encode()])
    kept = b"".join(path.read_bytes() for path in rig.directory.rglob("*") if path.is_file())
    for secret in secrets:
        assert secret.encode() not in seen
        assert secret.encode() not in kept
