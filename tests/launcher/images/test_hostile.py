"""Archives that want out of their layer, or more of the host than a layer may have."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from launcher.images import ImageStore
from launcher.images.errors import BadImage, OverLimit
from launcher.images.streams import Limits
from tests.launcher.images.archives import (
    Member,
    device,
    directory,
    file,
    hard_link,
    layer,
    symlink,
)
from tests.launcher.images.unpacked import add, nothing_is_kept, offers_user_attributes

pytestmark = pytest.mark.kernel


@pytest.fixture
def outside(short_dir: Path) -> Iterator[Path]:
    """A directory beside the store that no archive may touch; checked after the test."""
    path = short_dir / "outside"
    path.mkdir()
    (path / "secret").write_text("untouched")
    os.utime(path / "secret", (1, 1))
    os.utime(path, (1, 1))
    before = look(path)
    yield path
    assert look(path) == before


def look(path: Path) -> list[object]:
    """Everything about a directory and what is in it that an archive could have changed."""
    found: list[object] = []
    for place in (path, *sorted(path.iterdir())):
        told = place.lstat()
        content = place.read_bytes() if stat.S_ISREG(told.st_mode) else b""
        found.append((str(place), told.st_mode, told.st_uid, told.st_nlink, told.st_mtime, content))
    return found


def test_an_absolute_name_is_below_the_root_of_the_layer(store: ImageStore, outside: Path) -> None:
    tree = add(store, layer(file(f"{outside}/secret", b"changed"), file("//etc//passwd", b"x")))

    assert (tree / str(outside)[1:] / "secret").read_bytes() == b"changed"
    assert (tree / "etc" / "passwd").read_bytes() == b"x"


@pytest.mark.parametrize(
    "name", ["../outside/secret", "a/../../outside/secret", "a/..", "..", "./../outside/new", "/../outside/x"]
)
def test_a_name_with_two_dots_is_refused(store: ImageStore, outside: Path, name: str) -> None:
    with pytest.raises(BadImage, match=r"has a part \.\. in it"):
        add(store, layer(file(name, b"changed")))

    assert nothing_is_kept(store)


def through_links(outside: Path) -> dict[str, list[Member]]:
    """Each plants a link first and writes through it afterwards."""
    up = "../" * 12
    return {
        "absolute": [symlink("l", str(outside)), file("l/secret", b"changed")],
        "relative": [symlink("l", up + str(outside)[1:]), file("l/secret", b"changed")],
        "chain": [
            symlink("a", "b"),
            symlink("b", "c"),
            symlink("c", str(outside)),
            file("a/secret", b"changed"),
        ],
        "deep chain": [
            directory("d"),
            symlink("d/up", ".."),
            symlink("e", "d/up/" + up + str(outside)[1:]),
            file("e/new", b"changed"),
        ],
        "the file itself": [symlink("f", f"{outside}/secret"), file("f", b"changed")],
        "directory over link": [symlink("l", str(outside)), directory("l", mode=0o777), file("l/x", b"y")],
        "time and mode": [symlink("l", str(outside)), directory("l/.", mode=0o777, mtime=99)],
        "whiteout": [symlink("l", str(outside)), file("l/.wh.secret")],
        "opaque": [symlink("l", str(outside)), file("l/.wh..wh..opq")],
        "swapped": [
            directory("d"),
            file("d/a", b"1"),
            symlink("d", str(outside)),
            file("d/secret", b"changed"),
        ],
        "device": [symlink("l", str(outside)), device("l/null", 1, 3)],
        "fifo": [symlink("l", str(outside)), file("l/pipe", type=tarfile.FIFOTYPE)],
        "link": [symlink("l", str(outside)), symlink("l/new", "/etc")],
        "proc": [symlink("l", "/proc/self/root" + str(outside)), file("l/secret", b"changed")],
        "proc cwd": [symlink("l", "/proc/self/cwd"), file("l/secret", b"changed")],
        "fd": [symlink("l", "/proc/self/fd/0"), file("l", b"changed")],
    }


@pytest.mark.parametrize("attack", through_links(Path("/x")))
def test_nothing_is_written_through_a_link(store: ImageStore, outside: Path, attack: str) -> None:
    try:
        tree = add(store, layer(*through_links(outside)[attack]))
    except BadImage:
        assert nothing_is_kept(store)
    else:
        assert tree.is_relative_to(store.state_dir)
    # `outside` is looked at by its fixture


@pytest.mark.parametrize("target", ["../outside/secret", "a/../../outside/secret", "..", "", "/", "missing"])
def test_a_hard_link_to_what_is_no_file_of_the_layer_is_refused(
    store: ImageStore, outside: Path, target: str
) -> None:
    with pytest.raises(BadImage):
        add(store, layer(hard_link("l", target)))

    assert nothing_is_kept(store)


def test_a_hard_link_that_goes_through_a_link_stays_inside(store: ImageStore, outside: Path) -> None:
    with pytest.raises(BadImage, match="which is no file of the layer"):
        add(store, layer(symlink("l", str(outside)), hard_link("h", "l/secret")))
    with pytest.raises(BadImage, match="which is no file of the layer"):
        add(store, layer(hard_link("h", f"{outside}/secret")))

    assert nothing_is_kept(store)


def test_a_hard_link_to_a_symbolic_link_is_to_the_link_itself(store: ImageStore, outside: Path) -> None:
    tree = add(store, layer(symlink("l", f"{outside}/secret"), hard_link("h", "l"), file("h", b"changed")))

    assert os.readlink(tree / "l") == f"{outside}/secret"
    assert (tree / "h").read_bytes() == b"changed"


@pytest.mark.parametrize(
    "member", [device("null", 1, 3), device("disk", 8, 0, tarfile.BLKTYPE), device("deleted", 0, 0)]
)
def test_device_nodes_are_left_out(store: ImageStore, member: Member) -> None:
    tree = add(store, layer(file("kept", b"x"), member))

    assert os.listdir(tree) == ["kept"]
    assert store.layers.meta(f"sha256:{tree.parent.name}")["dropped"] == 1


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "a/.wh..."])
def test_a_whiteout_of_what_is_no_name_is_refused(store: ImageStore, name: str) -> None:
    with pytest.raises(BadImage, match="deletes a name that no file can have"):
        add(store, layer(directory("a"), file(name)))

    assert nothing_is_kept(store)


def test_a_huge_sparse_file_is_refused_at_the_limit(strict_store: ImageStore) -> None:
    content = sparse_header(b"huge", real_size=1 << 62)

    with pytest.raises(OverLimit, match="larger than 8388608 bytes, the limit"):
        add(strict_store, content)

    assert nothing_is_kept(strict_store)


def sparse_header(name: bytes, real_size: int) -> bytes:
    """GNU's old form: no data at all, and a size as large as one likes."""
    info = tarfile.TarInfo(os.fsdecode(name))
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[156:157] = b"S"
    block[483:495] = b"\x80" + real_size.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


def test_a_million_entries_stop_at_the_limit(strict_store: ImageStore) -> None:
    info, _ = file("x")
    bomb = gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) * 1_000_000, 1)

    with pytest.raises(OverLimit, match="more than 2000 entries in it, the limit"):
        add(strict_store, bomb)

    assert nothing_is_kept(strict_store)


def test_as_many_headers_about_one_entry_stop_at_the_limit(strict_store: ImageStore) -> None:
    out = io.BytesIO()
    pax = tarfile.TarInfo("x")
    pax.type = b"x"
    for _ in range(5000):
        out.write(pax.tobuf(tarfile.USTAR_FORMAT))

    with pytest.raises(OverLimit, match="more than 1048576 bytes about one entry, the limit"):
        add(strict_store, out.getvalue())


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_a_compression_bomb_stops_at_the_limit(strict_store: ImageStore, name: str) -> None:
    bomb = COMPRESSORS[name](layer(file("zeros", bytes(6 << 20))))
    assert len(bomb) < 60_000

    with pytest.raises(OverLimit, match="more than 100 times as large when it is decompressed"):
        add(strict_store, bomb)

    assert nothing_is_kept(strict_store)


def test_a_bomb_behind_the_archives_end_stops_as_well(strict_store: ImageStore) -> None:
    bomb = gzip.compress(layer(file("a", b"b")) + bytes(6 << 20))

    with pytest.raises(OverLimit, match="more than 100 times"):
        add(strict_store, bomb)


def test_a_layer_larger_than_the_limit_stops_there(strict_store: ImageStore) -> None:
    with pytest.raises(OverLimit, match="larger than 8388608 bytes, the limit"):
        add(strict_store, layer(*(file(f"{number}", os.urandom(1 << 20)) for number in range(9))))

    assert nothing_is_kept(strict_store)


@pytest.mark.parametrize("length", [256, 1000])
def test_a_part_of_a_name_that_no_file_can_have_is_refused(store: ImageStore, length: int) -> None:
    with pytest.raises(BadImage, match="is none that a file can have"):
        add(store, layer(file("a" * length)))


def test_a_name_longer_than_a_path_can_be_is_refused(store: ImageStore) -> None:
    with pytest.raises(OverLimit, match="has 4098 bytes, more than 4095, the limit"):
        add(store, layer(file("a/" * 2048 + "ab")))


def test_a_path_that_only_links_make_too_long_is_refused(store: ImageStore) -> None:
    deep = "d/" * 1900
    members = [directory(deep), symlink("l", deep), directory("l/" + "e/" * 1000)]

    with pytest.raises(BadImage):
        add(store, layer(*members))

    assert nothing_is_kept(store)


def test_directories_that_only_names_ask_for_count_as_entries(strict_store: ImageStore) -> None:
    with pytest.raises(OverLimit, match="more than 2000 entries in it, the limit"):
        add(strict_store, layer(*(file(f"{number}/" + "d/" * 1000 + "x") for number in range(4))))

    assert nothing_is_kept(strict_store)


def test_links_in_a_circle_are_refused(store: ImageStore) -> None:
    with pytest.raises(BadImage, match="too many levels of symbolic links"):
        add(store, layer(symlink("a", "b"), symlink("b", "a"), file("a/x", b"y")))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", None),
        (b"hello", "ends in the middle of a header"),
        (os.urandom(4096), "is no tar archive"),
        (layer(file("a", b"x" * 5000))[:2048], "ends in the middle of a file"),
        (gzip.compress(layer(file("a", b"x" * 5000)))[:40], "cannot be decompressed"),
        (gzip.compress(layer(file("a", b"x")))[:-4] + b"abcd", "cannot be decompressed"),
        (b"\x28\xb5\x2f\xfd" + b"garbage" * 100, "cannot be decompressed"),
        (b"BZh9" + b"garbage" * 100, "cannot be decompressed"),
        (b"\xfd7zXZ\0" + b"garbage" * 100, "cannot be decompressed"),
    ],
)
def test_what_is_no_archive_is_refused(store: ImageStore, content: bytes, why: str | None) -> None:
    if why is None:
        assert os.listdir(add(store, content)) == []
        return
    with pytest.raises(BadImage, match=why):
        add(store, content)
    assert nothing_is_kept(store)


def test_the_attributes_of_overlay_and_of_the_host_are_dropped(store: ImageStore, short_dir: Path) -> None:
    headers = {
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.security.selinux": "system_u:object_r:bin_t:s0",
        "SCHILY.xattr.trusted.other": "x",
        "SCHILY.xattr.user.kept": "value",
    }

    tree = add(store, layer(directory("d", pax_headers=headers), file("f", b"x", pax_headers=headers)))

    kept = {"user.kept": b"value"} if offers_user_attributes(short_dir) else {}
    for name in ("d", "f"):
        assert {key: os.getxattr(tree / name, key) for key in os.listxattr(tree / name)} == kept


def test_the_default_limits_are_those_of_the_documents() -> None:
    assert Limits() == Limits(
        layer_bytes=32 << 30, entries=500_000, name_bytes=4095, ratio=100, ratio_from_bytes=1 << 30
    )
