"""The dashboard's files: what was built is served as it is, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.client import Answer
from tests.web.rig import Rig
from web.dashboard import Dashboard, read_assets


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>built")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / ".stamp").write_text("hash")
    (folder / "assets" / "main-BcD3fGh1.js").write_text("let a")
    (folder / "assets" / "main-BcD3fGh1.js.gz").write_bytes(b"packed")
    (folder / "assets" / "plain.css").write_text("a{}")
    (folder / "assets" / "secret.txt").symlink_to("/proc/version")
    return folder


@pytest.fixture
def get(rig: Rig, dist: Path) -> Callable[..., Answer]:
    rig.app.state.dashboard = Dashboard(dist)
    return lambda path, **headers: rig.get(path, tcp=True, headers=headers)


def test_the_page_is_open_to_everyone_and_asked_for_again_each_time(get: Callable[..., Answer]) -> None:
    answer = get("/")

    assert (answer.status, answer.body) == (200, b"<!doctype html>built")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert get("/index.html").body == answer.body
    assert get("/", **{"If-None-Match": answer.headers["etag"]}).status == 304


def test_files_with_a_hash_in_their_name_are_kept_for_ever(get: Callable[..., Answer]) -> None:
    answer = get("/assets/main-BcD3fGh1.js")

    assert answer.body == b"let a"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert get("/assets/plain.css").headers["cache-control"] == "no-cache"
    assert get("/favicon.svg").headers["content-type"] == "image/svg+xml"


def test_a_compressed_twin_is_sent_to_those_who_take_it(get: Callable[..., Answer]) -> None:
    answer = get("/assets/main-BcD3fGh1.js", **{"Accept-Encoding": "br, gzip"})

    assert (answer.body, answer.headers["content-encoding"]) == (b"packed", "gzip")


@pytest.mark.parametrize(
    "path", ["/assets/secret.txt", "/.stamp", "/assets/", "/assets", "/nothing", "/assets/x/y"]
)
def test_nothing_else_can_be_had_not_even_by_a_link_in_the_folder(
    get: Callable[..., Answer], path: str
) -> None:
    assert get(path).status == 404


def test_without_a_build_a_plain_page_says_what_to_do(tmp_path: Path) -> None:
    page = read_assets(tmp_path / "absent")["index.html"].body

    assert b"make ui" in page
    assert b"<script" not in page
    assert b"http" not in page
