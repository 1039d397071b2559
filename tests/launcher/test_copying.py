"""Copying in and out of containers that do what they can against it."""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher import Container, Launcher
from launcher.errors import CannotCopy, NotRunning
from launcher.files.copying import CopyIn
from launcher.files.untar import BadArchive, Unpacker
from tests.launcher.conftest import eventually

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
ROUNDS = 25


def archive_of(*members: tuple[str, bytes | str], kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar archive: a file for bytes, a link of that kind, symbolic if none is told, for a text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type = tarfile.SYMTYPE if kind == tarfile.REGTYPE else kind
                info.linkname = content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def files_in(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {member.name: archive.extractfile(member) for member in archive if member.isreg()}
        return {name: file.read() for name, file in found.items() if file is not None}


def copy_in(launcher: Launcher, path: str, data: bytes, kind: str = "archive") -> dict[str, int]:
    copying: CopyIn = launcher.copier.copy_in("t", path, kind=kind)
    while data:
        data = data[copying.write(data) :]
    copying.end_input()
    return copying.finish()


@pytest.fixture
def outside(short_dir: Path) -> Path:
    """A directory of the host that no container may reach."""
    place = short_dir / "outside"
    place.mkdir()
    (place / "secret").write_text("outside")
    return place


@pytest.fixture
def flipping(run: Run, launcher: Launcher, outside: Path) -> None:
    """/dir is a directory, and a moment later a link to the host's, again and again."""
    run(
        "mkdir /dir; echo -n inside > /dir/secret; touch /ready\n"
        f"while :; do mv /dir /d; ln -s {outside} /dir; rm /dir; mv /d /dir; done"
    )
    assert eventually(lambda: launcher.exec("t", ["ls", "/ready"]).wait() == 0)


def test_a_directory_that_becomes_a_link_leads_no_copy_out_of_the_container(
    launcher: Launcher, flipping: None
) -> None:
    seen = set()
    for path in ("/dir/secret", "/dir"):
        for _ in range(ROUNDS):
            try:
                seen |= set(files_in(b"".join(launcher.copier.copy_out("t", path))).values())
            except CannotCopy:
                continue

    assert seen <= {b"inside"}
    assert seen


def test_a_directory_that_becomes_a_link_leads_no_copy_to_the_outside(
    launcher: Launcher, flipping: None, outside: Path
) -> None:
    done = 0
    for _ in range(ROUNDS):
        for path, kind in (("/dir", "archive"), ("/dir/secret", "file")):
            try:
                done += copy_in(launcher, path, archive_of(("secret", b"changed")), kind)["entries"]
            except CannotCopy:
                continue

    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "outside"
    assert done


def test_what_the_kernels_own_links_lead_to_is_not_copied(run: Run, launcher: Launcher) -> None:
    run("sleep 60")

    for path in ("/proc/1/root/etc", "/proc/1/cwd/etc", "/proc/1/exe"):
        with pytest.raises(CannotCopy):
            b"".join(launcher.copier.copy_out("t", path, follow=True))


def test_a_pipe_and_a_device_are_told_and_not_read(run: Run, launcher: Launcher) -> None:
    run("mkfifo /p; sleep 60")
    assert eventually(lambda: launcher.exec("t", ["ls", "/p"]).wait() == 0)

    for path in ("/p", "/dev/zero"):
        assert files_in(b"".join(launcher.copier.copy_out("t", path))) == {}


def test_files_belong_to_the_containers_root_whatever_its_ids_are(run: Run, launcher: Launcher) -> None:
    for name, userns in (("host", "host"), ("own", "auto")):
        run("mkdir /d; chown 5:6 /d; sleep 60", userns=userns)
        assert eventually(lambda: launcher.exec("t", ["ls", "/d"]).wait() == 0)

        copy_in(launcher, "/d", archive_of((name, b"content")))

        (told,) = [data for _stream, data in launcher.exec("t", ["stat", "-c", "%u:%g", f"/d/{name}"])]
        assert told == b"0:0\n"
        data = b"".join(launcher.copier.copy_out("t", "/d"))
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            assert [(one.name, one.uid, one.gid) for one in archive] == [("d", 5, 6), (f"d/{name}", 0, 0)]
        launcher.remove("t", force=True)


def test_a_container_that_has_ended_can_be_copied_from_and_not_to(run: Run, launcher: Launcher) -> None:
    run("echo last > /words")
    launcher.wait("t", 10)

    assert files_in(b"".join(launcher.copier.copy_out("t", "/words"))) == {"words": b"last\n"}
    with pytest.raises(NotRunning):
        launcher.copier.copy_in("t", "/", kind="archive")


@pytest.mark.parametrize("data", [b"x" * 10_000, b""], ids=["no archive", "nothing"])
def test_what_is_no_archive_is_refused_in_one_line(run: Run, launcher: Launcher, data: bytes) -> None:
    run("echo kept > /f; sleep 60")
    assert eventually(lambda: launcher.exec("t", ["ls", "/f"]).wait() == 0)

    for path, kind in (("/tmp", "archive"), ("/f", "file")):
        with pytest.raises(CannotCopy, match="archive") as refused:
            copy_in(launcher, path, data, kind)
        assert "\n" not in str(refused.value)
        assert "Traceback" not in str(refused.value)

    assert files_in(b"".join(launcher.copier.copy_out("t", "/f"))) == {"f": b"kept\n"}


@contextmanager
def unpacker(directory: Path, owner: tuple[int, int] | None = (0, 0)) -> Iterator[Unpacker]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    yield Unpacker(fd, owner=owner)
    os.close(fd)


def odd(records: dict[str, str], kind: bytes = tarfile.REGTYPE) -> bytes:
    """An archive of one entry, of which a pax header tells that."""
    info = tarfile.TarInfo("odd")
    info.type, info.pax_headers = kind, records
    return info.tobuf(tarfile.PAX_FORMAT) + bytes(1024)


HOSTILE = {
    "a name that leads out": archive_of(("../secret", b"changed")),
    "a file behind a link": archive_of(("link", "../outside"), ("link/secret", b"changed")),
    "a link behind a link": archive_of(("link", "../outside"), ("link/more", "x")),
    "a file below a file": archive_of(("f", b""), ("f/secret", b"changed")),
    "a hard link out": archive_of(("h", "../outside/secret"), kind=tarfile.LNKTYPE),
    "a hard link to nothing": archive_of(("h", "."), kind=tarfile.LNKTYPE),
    "deeper than deep": archive_of(("d/" * 600 + "f", b"")),
    "a time that no clock has": odd({"mtime": "1e30"}),
    "a directory since ever": odd({"mtime": "-1e400"}, tarfile.DIRTYPE),
    "a time that is no number": odd({"mtime": "nan"}),
    "an owner that nobody can be": odd({"uid": str(1 << 40)}),
    "an owner below nobody": odd({"gid": "-5"}, tarfile.DIRTYPE),
    "a name with a zero byte": odd({"path": "a\0b"}),
    "a link to a zero byte": odd({"linkpath": "a\0b"}, tarfile.SYMTYPE),
    "a map of holes that is none": odd({"GNU.sparse.map": "x", "GNU.sparse.size": "y"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_changes_nothing_outside(short_dir: Path, outside: Path, name: str) -> None:
    target = short_dir / "target"
    target.mkdir()

    with unpacker(target, owner=None) as one, pytest.raises((BadArchive, OSError)) as refused:
        one.unpack(io.BytesIO(HOSTILE[name]))

    assert "\n" not in str(refused.value)
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "outside"
    assert (outside / "secret").stat().st_nlink == 1
    assert sorted(os.listdir(short_dir)) == ["outside", "target"]


def test_an_absolute_name_is_one_below_and_a_link_is_replaced_not_followed(
    short_dir: Path, outside: Path
) -> None:
    target = short_dir / "target"
    target.mkdir()
    (target / "secret").symlink_to(outside / "secret")

    with unpacker(target) as one:
        one.unpack(io.BytesIO(archive_of(("/secret", b"changed"), ("/etc/x", b"below"))))

    assert (target / "secret").read_bytes() == b"changed"
    assert (target / "etc/x").read_bytes() == b"below"
    assert (outside / "secret").read_text() == "outside"


def test_devices_are_left_out_and_special_bits_come_with_the_owners_alone(short_dir: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        disk = tarfile.TarInfo("disk")
        disk.type, disk.devmajor, disk.devminor = tarfile.BLKTYPE, 8, 0
        archive.addfile(disk)
        tool = tarfile.TarInfo("tool")
        tool.mode = 0o4755
        archive.addfile(tool)

    with unpacker(short_dir) as one:
        one.unpack(io.BytesIO(out.getvalue()))

    assert (one.entries, one.skipped) == (2, 1)
    assert os.listdir(short_dir) == ["tool"]
    assert (short_dir / "tool").stat().st_mode & 0o7777 == 0o755
