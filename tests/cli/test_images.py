"""The verbs of `image`: what they ask and print, and a whole life of an image with a real daemon."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.real import CLI, ROOT, Running, running
from tests.cli.stub import Stub
from tests.launcher.images.archives import digest, layer, symlink
from tests.launcher.images.archives import file as regular

API = "/api/v1/images"


def image(*references: str, **fields: Any) -> dict[str, Any]:
    told = {"id": "sha256:" + "ab" * 32, "references": list(references), "size_bytes": 2 << 20}
    return told | {"created_at": "2026-11-24T08:00:00Z", "layers": []} | fields


def test_ls_prints_a_line_for_each_name(stub: Stub, cli: Cli) -> None:
    both = image("docker.io/library/tool:1", "example.org/x/tool:1")
    stub.on(f"GET {API}", {"images": [both, image(created_at=None)]})

    lines = cli("image", "ls").out.splitlines()

    assert [line.split()[0] for line in lines] == ["IMAGE", "tool:1", "example.org/x/tool:1", "<none>"]
    assert lines[1].split()[1:3] == ["abababababab", "2.0M"]
    assert json.loads(cli("image", "ls", "--json").out) == [both, image(created_at=None)]


def test_pull_asks_for_each_and_waits_as_long_as_it_takes(stub: Stub, cli: Cli) -> None:
    stub.on(f"POST {API}/pull", image("docker.io/library/tool:1"))

    said = cli("image", "pull", "--insecure", "--authfile", "/auth.json", "tool:1", "tool:2")

    assert said.out == "tool:1  abababababab\n" * 2
    assert [asked.body for asked in stub.asked] == [
        {"insecure": True, "auth_file": "/auth.json", "reference": name} for name in ("tool:1", "tool:2")
    ]


def test_import_sends_an_absolute_path(
    stub: Stub, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stub.on(f"POST {API}/import", {"images": [image("docker.io/library/tool:1")]})
    monkeypatch.chdir(tmp_path)

    said = cli("image", "import", "--kind", "docker", "some/archive.tar", "tool:1")

    assert said.out == "tool:1  abababababab\n"
    assert stub.asked[0].body == {
        "path": f"{tmp_path}/some/archive.tar",
        "kind": "docker",
        "reference": "tool:1",
    }


def test_rm_says_what_went(stub: Stub, cli: Cli) -> None:
    removed = {
        "references": ["docker.io/library/tool:1"],
        "images": ["sha256:" + "ab" * 32],
        "layers": ["sha256:" + "cd" * 32],
    }
    stub.on(f"DELETE {API}/example.org:5000/tool:1", removed)

    said = cli("image", "rm", "-f", "example.org:5000/tool:1")

    assert said.out.splitlines() == [
        "untagged tool:1",
        "removed image abababababab",
        "removed layer cdcdcdcdcdcd",
    ]
    assert stub.asked[0].query == "force=true"


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["image"], 2, "something is missing: cgwarden image VERB"),
        (["image", "lss"], 2, "did you mean ls?"),
        (["image", "rm", "a b"], 2, "is not a reference to an image"),
        (["image", "inspect", "../../etc"], 2, "is not a reference to an image"),
        (["image", "inspect", "a?force=1"], 2, "is not a reference to an image"),
        (["image", "import", "--kind", "zip", "x"], 2, "'zip' is none of auto, oci, docker, root"),
        (["image", "tag", "a"], 2, "something is missing"),
    ],
)
def test_a_line_that_cannot_be_meant_never_reaches_the_daemon(
    stub: Stub, cli: Cli, argv: list[str], code: int, said: str
) -> None:
    done = cli(*argv)

    assert (done.code, stub.asked) == (code, [])
    assert said in done.err


def test_an_unknown_image_has_its_own_exit_code(stub: Stub, cli: Cli) -> None:
    stub.problem(f"GET {API}/tool", "unknown-image", 404)

    assert cli("image", "inspect", "tool").code == 3


def test_the_overview_names_every_verb_of_image(cli: Cli) -> None:
    from cgwarden.cli.image import SUBVERBS

    told = cli("image", "--help").out
    assert [name for name in SUBVERBS if f"image {name}" not in told] == []
    for name in SUBVERBS:
        assert f"Usage: cgwarden image {name}" in cli("image", name, "--help").out


@pytest.fixture
def daemon() -> Iterator[Running]:
    with running() as daemon:
        yield daemon


@pytest.fixture
def root(busybox_root: Path) -> bytes:
    program = (busybox_root / "bin" / "busybox").read_bytes()
    return layer(regular("bin/busybox", program, mode=0o755), symlink("bin/echo", "busybox"))


@pytest.mark.kernel
def test_the_life_of_an_image(daemon: Running, root: bytes, tmp_path: Path) -> None:
    (tmp_path / "root.tar.gz").write_bytes(gzip.compress(root))

    assert daemon.cli("image", "import", str(tmp_path / "root.tar.gz"), "tool:1").stdout.startswith(
        "tool:1  "
    )
    assert daemon.json("image", "inspect", "tool:1")["layers"] == [digest(root)]
    run = daemon.cli("run", "--name", "t", "--image", "tool:1", "--", "echo", "hello")
    assert (run.returncode, run.stdout) == (0, "hello\n"), run.stderr

    refused = daemon.cli("image", "rm", "tool:1")
    assert refused.returncode == 4
    assert "is used by container 't'" in refused.stderr
    assert daemon.cli("image", "verify", "tool:1").returncode == 0
    assert daemon.cli("image", "tag", "tool:1", "tool:2").returncode == 0
    assert daemon.cli("image", "rm", "tool:2").stdout == "untagged tool:2\n"
    daemon.cli("rm", "t")
    assert daemon.cli("image", "rm", "tool:1").stdout.splitlines()[2].startswith("removed layer ")
    assert daemon.cli("image", "gc").stdout == ""
    told = [event["type"] for event in daemon.json("events") if event["type"].startswith("image.")]
    assert told == ["image.import", "image.tag", "image.remove", "image.remove"]
    assert daemon.json("image", "ls") == []
    missing = daemon.cli("run", "--image", "tool:1", "--", "echo")
    assert (missing.returncode, missing.stderr.count("\n")) == (125, 1)


@pytest.mark.kernel
def test_an_archive_can_come_through_a_pipe(daemon: Running, root: bytes) -> None:
    done = subprocess.run(
        [*CLI, "image", "import", "-", "tool:1"],
        cwd=ROOT,
        env=daemon.env(),
        input=root,
        capture_output=True,
        check=False,
    )

    assert done.stdout.startswith(b"tool:1  "), done.stderr
