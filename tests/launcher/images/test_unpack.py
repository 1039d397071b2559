"""What a layer becomes on disk: every format of tar, every compression, whiteouts in overlay's form."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from launcher.images import ImageStore
from launcher.images.errors import BadImage
from tests.launcher.images.archives import digest, directory, file, hard_link, layer, symlink
from tests.launcher.images.unpacked import add, offers_user_attributes

pytestmark = pytest.mark.kernel
OPAQUE = "trusted.overlay.opaque"
LONG = "d" * 120 + "/" + "e" * 120 + "/" + "f" * 200


def is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_file_comes_out_as_it_went_in(store: ImageStore, format: int) -> None:
    names = "bin/tool" if format == tarfile.USTAR_FORMAT else LONG
    members = [
        directory("bin", mode=0o1777, uid=7, gid=8, mtime=1_000_000),
        file(names, b"content" * 1000, mode=0o4755, uid=1000, gid=2000, mtime=1_500_000_000),
        symlink("link", "/etc/nowhere"),
        hard_link("second", names),
        file("pipe", type=tarfile.FIFOTYPE, mode=0o620),
        file("empty"),
    ]

    tree = add(store, layer(*members, format=format))

    tool = (tree / names).lstat()
    assert (tool.st_mode, tool.st_uid, tool.st_gid, tool.st_mtime) == (0o104755, 1000, 2000, 1_500_000_000)
    assert (tree / names).read_bytes() == b"content" * 1000
    assert (tree / "second").lstat().st_ino == tool.st_ino
    assert os.readlink(tree / "link") == "/etc/nowhere"
    assert stat.S_ISFIFO((tree / "pipe").lstat().st_mode)
    assert (tree / "empty").read_bytes() == b""
    made = (tree / "bin").lstat()
    assert (made.st_mode, made.st_uid, made.st_gid, made.st_mtime) == (0o41777, 7, 8, 1_000_000)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip in two members": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
    "gzip with padding": lambda data: gzip.compress(data) + bytes(512),
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd in two frames": lambda data: (
        zstandard.ZstdCompressor().compress(data[:700]) + zstandard.ZstdCompressor().compress(data[700:])
    ),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_every_compression_gives_the_same_layer(store: ImageStore, name: str) -> None:
    plain = layer(file("a", os.urandom(5000)))

    tree = add(store, COMPRESSORS[name](plain))

    assert f"sha256:{tree.parent.name}" == digest(plain)
    assert (tree / "a").stat().st_size == 5000


@pytest.mark.parametrize("form", ["gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix"])
def test_sparse_files_of_gnu_tar_stay_sparse(store: ImageStore, short_dir: Path, form: str) -> None:
    source = short_dir / "sparse"
    with source.open("wb") as out:
        for place in range(0, 40 << 20, 4 << 20):
            out.seek(place)
            out.write(b"data at %d" % place)
        out.truncate(64 << 20)
    archive = short_dir / "a.tar"
    command = ["tar", "--sparse", *f"--format={form}".split(), "-cf", str(archive), "-C", str(short_dir)]
    subprocess.run([*command, "sparse"], check=True)

    tree = add(store, archive.read_bytes())

    assert (tree / "sparse").read_bytes() == source.read_bytes()
    assert (tree / "sparse").stat().st_blocks * 512 < 2 << 20


def test_extended_attributes_and_fractions_of_a_second_are_kept(store: ImageStore, short_dir: Path) -> None:
    headers = {"SCHILY.xattr.user.note": "näh = ja\nzwei", "mtime": "1500000000.123456789"}

    tree = add(store, layer(file("f", b"x", mode=0o755, pax_headers=headers)))

    if offers_user_attributes(short_dir):
        assert os.getxattr(tree / "f", "user.note") == "näh = ja\nzwei".encode()
    assert (tree / "f").stat().st_mtime_ns == 1_500_000_000_123_456_789


def test_the_capabilities_of_a_program_are_kept(store: ImageStore) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_raw, as setcap writes it
    record = b"SCHILY.xattr.security.capability=" + capability + b"\n"
    record = b"%d %s" % (len(record) + 3, record)
    pax, program = tarfile.TarInfo("pax"), tarfile.TarInfo("ping")
    pax.type, pax.size = b"x", len(record)
    blocks = [pax.tobuf(tarfile.USTAR_FORMAT), record.ljust(512, b"\0"), program.tobuf(tarfile.USTAR_FORMAT)]

    tree = add(store, b"".join(blocks))

    assert os.getxattr(tree / "ping", "security.capability") == capability


def test_names_that_are_not_utf8_stay_as_they_are(store: ImageStore, short_dir: Path) -> None:
    root = short_dir / "root"
    root.mkdir()
    (Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe"))).write_bytes(b"x")
    subprocess.run(["tar", "-cf", short_dir / "a.tar", "-C", root, "."], check=True)

    tree = add(store, (short_dir / "a.tar").read_bytes())

    assert os.listdir(os.fsencode(tree)) == [b"\xff\xfe"]


def test_a_whole_root_of_gnu_tar_is_the_same_afterwards(
    store: ImageStore, busybox_root: Path, short_dir: Path
) -> None:
    subprocess.run(["tar", "-cf", short_dir / "a.tar", "-C", busybox_root, "."], check=True)

    tree = add(store, (short_dir / "a.tar").read_bytes())

    assert shutil.which("diff")
    done = subprocess.run(
        ["diff", "--recursive", "--no-dereference", busybox_root, tree],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert tree.stat().st_mtime_ns // 10**9 == busybox_root.stat().st_mtime_ns // 10**9


def test_what_a_layer_deletes_becomes_a_whiteout(store: ImageStore) -> None:
    tree = add(store, layer(directory("etc"), file("etc/.wh.passwd"), file(".wh.gone")))

    assert is_whiteout(tree / "etc" / "passwd")
    assert is_whiteout(tree / "gone")


@pytest.mark.parametrize("first", ["whiteout", "content"])
def test_an_opaque_directory_keeps_what_the_layer_itself_brings(store: ImageStore, first: str) -> None:
    members = [file("d/.wh..wh..opq"), file("d/mine", b"x")]

    tree = add(store, layer(directory("d"), *(members if first == "whiteout" else reversed(members))))

    assert os.getxattr(tree / "d", OPAQUE) == b"y"
    assert (tree / "d" / "mine").read_bytes() == b"x"


@pytest.mark.parametrize("order", ["deleted first", "brought first"])
def test_a_directory_that_is_deleted_and_made_anew_hides_the_old_one(store: ImageStore, order: str) -> None:
    deleted, brought = file(".wh.d"), [directory("d"), file("d/new", b"x")]
    members = [deleted, *brought] if order == "deleted first" else [*brought, deleted]

    tree = add(store, layer(*members))

    assert os.getxattr(tree / "d", OPAQUE) == b"y"
    assert os.listdir(tree / "d") == ["new"]


def test_a_file_that_is_deleted_and_made_anew_is_the_new_one(store: ImageStore) -> None:
    tree = add(store, layer(file(".wh.f"), file("f", b"new"), file("g", b"new"), file(".wh.g")))

    assert (tree / "f").read_bytes() == (tree / "g").read_bytes() == b"new"


def test_the_book_keeping_of_aufs_is_left_out(store: ImageStore) -> None:
    tree = add(store, layer(file(".wh..wh.aufs"), directory(".wh..wh.plnk"), file(".wh..wh.orph")))

    assert os.listdir(tree) == []


def test_the_last_of_several_entries_of_one_name_counts(store: ImageStore) -> None:
    members = [
        directory("a"),
        file("a/deep/er", b"1"),
        file("a", b"now a file"),
        file("b", b"1"),
        directory("b", mode=0o700),
        file("c", b"1"),
        symlink("c", "a"),
        hard_link("c", "a"),
        hard_link("c", "c"),
    ]

    tree = add(store, layer(*members))

    assert (tree / "a").read_bytes() == (tree / "c").read_bytes() == b"now a file"
    assert (tree / "b").is_dir()


def test_a_parent_may_be_a_link_that_the_layer_brought(store: ImageStore) -> None:
    tree = add(store, layer(directory("usr/lib"), symlink("lib", "/usr/lib"), file("lib/so", b"x")))

    assert (tree / "usr" / "lib" / "so").read_bytes() == b"x"
    assert (tree / "lib").is_symlink()


def test_a_kind_that_is_not_known_is_refused(store: ImageStore) -> None:
    with pytest.raises(BadImage, match="is of the kind 'V', which is not unpacked here"):
        add(store, layer(file("label", type=b"V")))


def test_what_git_says_in_a_global_header_is_passed_over(store: ImageStore) -> None:
    out = io.BytesIO()
    headers = {"comment": "0" * 40, "path": "elsewhere"}
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as archive:
        archive.addfile(file("f", b"x")[0], io.BytesIO(b"x"))

    assert os.listdir(add(store, out.getvalue())) == ["f"]
