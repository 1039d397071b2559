"""`cp` between here and a container, with the names that docker's rules give."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.real import CLI, ROOT, Running, running

pytestmark = pytest.mark.kernel


@pytest.fixture
def daemon(busybox_root: Path) -> Iterator[Running]:
    with running() as daemon:
        flags = ("--name", "t", "--rootfs", str(busybox_root), "--")
        daemon.cli("run", "-d", *flags, "sh", "-c", "mkdir /d; ln -s f /d/l; echo one > /d/f; sleep 100")
        assert daemon.cli("exec", "t", "sh", "-c", "until [ -s /d/f ]; do sleep 0.01; done").returncode == 0
        yield daemon


def inside(daemon: Running, *command: str) -> str:
    return daemon.cli("exec", "t", *command).stdout


def test_out_of_a_container(daemon: Running, tmp_path: Path) -> None:
    def cp(*argv: str) -> int:
        return daemon.cli("cp", *argv).returncode

    assert cp("t:/d/f", f"{tmp_path}/new") == 0
    assert cp("t:/d/f", str(tmp_path)) == 0
    assert cp("t:/d", str(tmp_path)) == 0
    assert cp("t:/d", f"{tmp_path}/tree") == 0
    assert cp("t:/d/.", f"{tmp_path}/content") == 0
    assert cp("-L", "t:/d/l", f"{tmp_path}/followed") == 0
    for name in ("new", "f", "d/f", "tree/f", "content/f", "followed"):
        assert (tmp_path / name).read_text() == "one\n"
    assert os.readlink(tmp_path / "tree/l") == "f"
    assert cp("t:/d/f", f"{tmp_path}/nowhere/") == 2
    assert cp("t:/nothing", str(tmp_path)) == 1
    assert cp("ghost:/d", str(tmp_path)) == 3
    assert cp(str(tmp_path), "/tmp") == 2


def test_into_a_container(daemon: Running, tmp_path: Path) -> None:
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/a").write_text("two\n")
    (tmp_path / "src/sub/big").write_bytes(b"x" * 3_000_000)
    os.chown(tmp_path / "src/a", 1234, 1234)

    def cp(*argv: str) -> int:
        return daemon.cli("cp", *argv).returncode

    assert cp(f"{tmp_path}/src", "t:/new") == 0
    assert cp(f"{tmp_path}/src", "t:/new") == 0
    assert cp(f"{tmp_path}/src/.", "t:/content") == 0
    assert cp("-a", f"{tmp_path}/src/a", "t:/kept") == 0
    assert cp(f"{tmp_path}/src/a", "t:/d/l") == 0
    assert cp(f"{tmp_path}/src/a", "t:/nowhere/") == 1
    refused = daemon.cli("cp", f"{tmp_path}/src", "t:/d/f")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "/d/f: is a file in the container, and this is a directory" in refused.stderr
    names = inside(daemon, "sh", "-c", "find /new /content /kept -type f | sort")
    assert names.split() == [
        *("/content/a", "/content/sub/big", "/kept"),
        *("/new/a", "/new/src/a", "/new/src/sub/big", "/new/sub/big"),
    ]
    assert inside(daemon, "stat", "-c", "%u %s", "/new/a", "/kept", "/new/sub/big").splitlines() == [
        *("0 4", "1234 4", "0 3000000")
    ]
    assert inside(daemon, "cat", "/d/f") == "two\n"


def test_archives_through_pipes(daemon: Running) -> None:
    def run(*argv: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [*CLI, "cp", *argv]
        return subprocess.run(
            command, cwd=ROOT, env=daemon.env(), input=data, capture_output=True, check=False
        )

    taken = run("t:/d", "-").stdout
    with tarfile.open(fileobj=io.BytesIO(taken)) as archive:
        assert archive.getnames() == ["d", "d/f", "d/l"]

    assert run("-", "t:/tmp", data=taken).returncode == 0
    assert inside(daemon, "cat", "/tmp/d/f") == "one\n"
    refused = run("-", "t:/tmp", data=b"no archive" * 100)
    assert (refused.returncode, refused.stderr.count(b"\n")) == (1, 1)
