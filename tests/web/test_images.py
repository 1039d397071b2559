"""Images over the API: a real store behind it, in a directory of the test's own."""

import contextlib
import gzip
import json
import os
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.launcher.images.archives import Layout, digest, docker_archive, file, layer
from tests.web.client import PATIENCE_SEC, wait_until
from tests.web.rig import Rig, running

LAYER = layer(file("bin/tool", b"x", mode=0o755))


@pytest.fixture
def layout(rig: Rig) -> Layout:
    made = Layout(rig.directory / "oci")
    return made.add(made.image([LAYER], Cmd=["tool"], Env=["A=b"]), "example.org/x/tool:1")


@pytest.mark.kernel
def test_an_image_is_imported_listed_inspected_named_verified_and_removed(rig: Rig, layout: Layout) -> None:
    imported = rig.ask("POST", "/api/v1/images/import", {"path": str(layout.path)}).json["images"]

    assert rig.get("/api/v1/images").json == {"images": imported}
    image = rig.get("/api/v1/images/example.org/x/tool:1").json
    assert [image] == imported
    assert image["references"] == ["example.org/x/tool:1"]
    assert image["layers"] == [digest(LAYER)]
    assert (image["config"]["command"], image["config"]["env"]) == (["tool"], {"A": "b"})

    named = rig.ask("POST", "/api/v1/images/tag", {"reference": image["id"], "name": "tool"}).json
    assert named["references"] == ["docker.io/library/tool:latest", "example.org/x/tool:1"]
    assert rig.ask("POST", "/api/v1/images/verify", {"reference": "tool"}).json == named
    assert rig.ask("DELETE", "/api/v1/images/tool").json["images"] == []
    removed = rig.ask("DELETE", "/api/v1/images/example.org/x/tool:1").json
    assert removed == {
        "references": ["example.org/x/tool:1"],
        "images": [image["id"]],
        "layers": [digest(LAYER)],
    }
    assert rig.ask("POST", "/api/v1/images/collect", {}).json == {
        "references": [],
        "images": [],
        "layers": [],
    }


@pytest.mark.kernel
def test_a_root_directory_is_imported_with_a_configuration(rig: Rig) -> None:
    archive = rig.directory / "root.tar.gz"
    archive.write_bytes(gzip.compress(LAYER))
    wish = {"path": str(archive), "reference": "tool", "command": ["tool"], "env": {"A": "b"}, "user": "7"}

    image = rig.ask("POST", "/api/v1/images/import", wish).json["images"][0]

    assert image["config"]["command"] == ["tool"]
    assert image["config"]["user"] == "7"


@pytest.mark.kernel
def test_a_damaged_layer_is_told_as_what_it_is(rig: Rig, layout: Layout) -> None:
    rig.ask("POST", "/api/v1/images/import", {"path": str(layout.path)})
    tool = Path(rig.launcher.images.layer_dir(digest(LAYER)), "bin", "tool")
    tool.write_bytes(b"y")

    answer = rig.ask("POST", "/api/v1/images/verify", {"reference": "example.org/x/tool:1"})

    assert (answer.status, answer.slug) == (422, "bad-image")
    assert "is damaged or was changed" in answer.json["detail"]


@pytest.mark.parametrize(
    ("verb", "wish", "status", "slug", "pointer"),
    [
        ("import", {}, 422, "bad-request", "/path"),
        ("import", {"path": "relative"}, 422, "missing-file", None),
        ("import", {"path": "/nowhere"}, 422, "missing-file", None),
        ("import", {"path": "/etc", "kind": "zip"}, 422, "bad-request", "/kind"),
        ("import", {"path": "/etc", "reference": "A B"}, 422, "bad-request", "/reference"),
        ("import", {"path": "/etc", "other": 1}, 422, "bad-request", "/other"),
        ("pull", {}, 422, "bad-request", "/reference"),
        ("pull", {"reference": "A B"}, 422, "bad-request", "/reference"),
        ("pull", {"reference": "a", "insecure": "yes"}, 422, "bad-request", "/insecure"),
        ("tag", {"reference": "a"}, 422, "bad-request", "/name"),
        ("tag", {"reference": "a", "name": "b"}, 404, "unknown-image", None),
        ("verify", {"reference": "a"}, 404, "unknown-image", None),
        ("collect", {"all": True}, 422, "bad-request", "/all"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused_with_its_place(
    shared: Rig, verb: str, wish: dict[str, object], status: int, slug: str, pointer: str | None
) -> None:
    answer = shared.ask("POST", f"/api/v1/images/{verb}", wish)

    assert (answer.status, answer.slug) == (status, slug), answer.json
    assert [error["pointer"] for error in answer.json["errors"]] == ([] if pointer is None else [pointer])


@pytest.mark.parametrize("reference", ["nothing", "example.org/a/b:1", "sha256:" + "0" * 64, "abcdef"])
def test_an_image_that_is_not_here_is_unknown(shared: Rig, reference: str) -> None:
    for method in ("GET", "DELETE"):
        answer = shared.ask(method, f"/api/v1/images/{reference}")

        assert (answer.status, answer.slug) == (404, "unknown-image")


@pytest.mark.parametrize("reference", ["a%20b", "..%2f..%2fetc", "%00", "a//b", "A:b:c"])
def test_what_is_no_reference_reaches_no_file(shared: Rig, reference: str) -> None:
    answer = shared.get(f"/api/v1/images/{reference}")

    assert answer.status in (400, 404, 422)
    assert b"passwd" not in answer.body


@pytest.mark.kernel
def test_an_import_that_holds_no_image_for_us_changes_nothing(rig: Rig) -> None:
    path = docker_archive(rig.directory / "d.tar", [LAYER], "tool:1", architecture="mips")

    answer = rig.ask("POST", "/api/v1/images/import", {"path": str(path)})

    assert (answer.status, answer.slug) == (422, "bad-image")
    assert rig.get("/api/v1/images").json == {"images": []}
    assert json.loads(answer.body)["detail"].count("\n") == 0


def long_import(rig: Rig) -> dict[str, str]:
    """What asks for the import of a root with a file that takes many seconds to read."""
    archive, info = rig.directory / "long.tar", tarfile.TarInfo("big")
    info.size = 6 << 30
    archive.write_bytes(info.tobuf())
    os.truncate(archive, info.size + 2048)
    return {"path": str(archive), "kind": "root", "reference": "long:1"}


def is_at_work() -> bool:
    """Is a process of ours reading an archive?"""
    with contextlib.suppress(psutil.NoSuchProcess):
        return any("launcher.images.worker" in " ".join(one.cmdline()) for one in psutil.Process().children())
    return False


def is_over() -> bool:
    return not is_at_work() and all(thread.name != "web wait" for thread in threading.enumerate())


@pytest.mark.kernel
def test_an_import_ends_when_its_client_hangs_up(rig: Rig) -> None:
    body = json.dumps(long_import(rig))
    head = "POST /api/v1/images/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection = rig.connect()
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    wait_until(is_at_work)

    connection.close()

    wait_until(is_over)
    assert rig.get("/api/v1/images").json == {"images": []}


@pytest.mark.kernel
def test_the_end_of_the_daemon_does_not_wait_for_an_import() -> None:
    with running() as rig, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(rig.ask, "POST", "/api/v1/images/import", long_import(rig))
        wait_until(is_at_work)

        rig.server.stop()

        assert asked.result(PATIENCE_SEC).status == 503
        assert not is_at_work()
