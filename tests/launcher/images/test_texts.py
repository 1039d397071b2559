"""References, configurations, manifests and tar headers as texts: what they mean; no text breaks them."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import BadSpec
from launcher.images import docker_archive, layout, model, tarball
from launcher.images.errors import BadImage, BadReference
from launcher.images.model import ImageConfig, parse_config
from launcher.images.reference import Reference, familiar, parse_reference
from launcher.images.sparse import check_segments, parse_pax_map, read_map
from launcher.images.unpack import split_name
from launcher.images.uses import parse_layers
from launcher.images.whiteouts import Mark, parse_mark

HEX = "0123456789abcdef" * 4
HUB = "docker.io/library/"


@pytest.mark.parametrize(
    ("text", "name", "tag", "digest"),
    [
        ("busybox", HUB + "busybox", "latest", ""),
        ("busybox:1.36", HUB + "busybox", "1.36", ""),
        ("team/app", "docker.io/team/app", "latest", ""),
        ("docker.io/busybox", HUB + "busybox", "latest", ""),
        ("index.docker.io/library/busybox", HUB + "busybox", "latest", ""),
        ("localhost/app", "localhost/app", "latest", ""),
        ("localhost:5000/app:2", "localhost:5000/app", "2", ""),
        ("127.0.0.1:5000/a/b/c:x_Y.z-1", "127.0.0.1:5000/a/b/c", "x_Y.z-1", ""),
        ("[::1]:5000/app", "[::1]:5000/app", "latest", ""),
        ("Example/app", "Example/app", "latest", ""),
        ("ghcr.io/a__b/c-d.e", "ghcr.io/a__b/c-d.e", "latest", ""),
        (f"busybox@sha256:{HEX}", HUB + "busybox", "", f"sha256:{HEX}"),
        (f"busybox:1@sha256:{HEX}", HUB + "busybox", "1", f"sha256:{HEX}"),
    ],
)
def test_a_reference_means_what_docker_takes_it_for(text: str, name: str, tag: str, digest: str) -> None:
    assert parse_reference(text) == Reference(name, tag, digest)
    assert parse_reference(str(parse_reference(text))) == parse_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "@", "a:", ":a", "A", "a b", "a//b", "/a", "a/", "-a", "a_", "a..b", "a___b", "../a"),
        *("a/../b", "a:b c", "a:" + "t" * 129, "a" * 256, HEX, f"a@sha256:{HEX[1:]}", f"a@sha512:{HEX * 2}"),
        *("a@b", "a\n", "ho st/a", "host:port/a", "host:123456/a", "é", "http://host/a", "a\0"),
    ],
)
def test_what_is_no_reference_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadReference) as e:
        parse_reference(text)
    assert "\n" not in str(e.value).replace("\\n", "")


@given(st.text(max_size=300))
def test_any_text_is_a_reference_or_is_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except BadReference:
        return
    assert parse_reference(str(reference)) == reference
    assert parse_reference(familiar(str(reference))) == reference


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
KEYS = st.sampled_from(
    [
        *("manifests", "config", "layers", "mediaType", "digest", "platform", "annotations", "rootfs"),
        *("diff_ids", "Config", "Layers", "RepoTags", "Env", "Cmd", "Entrypoint", "Labels", "User"),
        *("architecture", "os"),
    ]
)
VALUES = st.recursive(
    JSON | st.sampled_from([f"sha256:{HEX}", layout.INDEXES[0], "linux", "amd64"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)


@given(VALUES)
def test_any_document_is_understood_or_refused(value: Any) -> None:
    text = json.dumps(value).encode()
    with refused():
        model.parse_config(text)
    with refused():
        docker_archive.parse_archive_manifest(text)
    with refused():
        layout.parse_manifests(text, "x")
    with refused():
        layout.parse_manifest(model.parse_object(text, "x"))


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Either no error, or one of one line."""
    try:
        yield
    except BadImage as e:
        assert "\n" not in str(e)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_are_refused(text: bytes) -> None:
    for parse in (model.parse_config, docker_archive.parse_archive_manifest):
        with pytest.raises(BadImage):
            parse(text)


def test_a_document_nested_without_end_is_refused() -> None:
    with pytest.raises(BadImage, match="is not JSON"):
        parse_config(b'{"a":' * 100_000)


@dataclass
class Bytes:
    """A stream in memory."""

    content: bytes
    position: int = 0

    def read(self, count: int) -> bytes:
        found = self.content[self.position : self.position + count]
        self.position += len(found)
        return found

    def skip(self, count: int) -> None:
        if self.position + count > len(self.content):
            raise BadImage("ends")
        self.position += count


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)
MEMBERS = st.lists(
    st.tuples(
        NAMES,
        st.sampled_from(
            [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
        ),
        st.integers(0, 0o7777),
        st.integers(0, 2**31),
        st.integers(0, 2**33),
        st.binary(max_size=1500),
    ),
    max_size=6,
)


@given(MEMBERS, st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_headers_are_read_as_tarfile_reads_them(members: list[Any], format: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, encoding="utf-8") as archive:
        for name, kind, mode, uid, mtime, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid, info.mtime, info.linkname = kind, mode, uid, mtime, "t" * 120
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(content))
    out.seek(0)
    stream = Bytes(out.getvalue())

    found = [
        (
            entry.name.rstrip(b"/"),
            entry.mode,
            entry.uid,
            entry.mtime_ns // 10**9,
            stream.read(entry.data_size),
        )
        for entry in tarball.read_entries(stream, 100)
    ]

    assert found == [
        (name.encode(), mode, uid, mtime, content if kind == tarfile.REGTYPE else b"")
        for name, kind, mode, uid, mtime, content in members
    ]


SEED = io.BytesIO()
with tarfile.open(fileobj=SEED, mode="w", format=tarfile.PAX_FORMAT) as _archive:
    _info = tarfile.TarInfo("é" * 80)
    _info.pax_headers = {"SCHILY.xattr.user.a": "b", "mtime": "1.5", "GNU.sparse.map": "0,1"}
    _info.size = 600
    _archive.addfile(_info, io.BytesIO(bytes(600)))


@given(st.integers(0, 4095), st.binary(min_size=1, max_size=40), st.booleans())
def test_a_damaged_archive_is_read_or_refused(at: int, garbage: bytes, with_checksum: bool) -> None:
    content = bytearray(SEED.getvalue()[:4096])
    content[at : at + len(garbage)] = garbage
    if with_checksum:
        for block in (0, 1536):
            content[block + 148 : block + 156] = b" " * 8
            content[block + 148 : block + 156] = b"%06o\0 " % sum(content[block : block + 512])
    read_whole(bytes(content))


@given(st.binary(max_size=3000))
def test_any_bytes_are_an_archive_or_are_refused(content: bytes) -> None:
    read_whole(content)


def read_whole(content: bytes) -> None:
    stream = Bytes(content)
    try:
        for entry in tarball.read_entries(stream, 100):
            parts = split_name(entry.name, 4095)
            assert b".." not in parts
    except BadImage as e:
        assert "\n" not in str(e)


@given(st.binary(max_size=120))
def test_any_bytes_are_records_of_pax_or_are_refused(text: bytes) -> None:
    with contextlib.suppress(BadImage):
        tarball.parse_pax(text)
    with contextlib.suppress(BadImage):
        tarball.parse_number(text)


@given(
    st.lists(st.tuples(st.sampled_from([b"GNU.sparse.offset", b"GNU.sparse.map"]), st.binary(max_size=20)))
)
def test_any_map_of_a_sparse_file_fits_or_is_refused(records: list[tuple[bytes, bytes]]) -> None:
    values = Bytes(b"".join(value for _, value in records))
    with contextlib.suppress(BadImage):
        check_segments(parse_pax_map(records), 10, 100)
    with contextlib.suppress(BadImage):
        check_segments(read_map(values.read), 10, 100)


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        (b"file", (Mark.NONE, b"file")),
        (b".wh", (Mark.NONE, b".wh")),
        (b".wh.file", (Mark.DELETED, b"file")),
        (b".wh..hidden", (Mark.DELETED, b".hidden")),
        (b".wh..wh..opq", (Mark.OPAQUE, b"")),
        (b".wh..wh.plnk", (Mark.IGNORED, b"")),
    ],
)
def test_what_a_name_says_of_the_layers_below(name: bytes, mark: tuple[Mark, bytes]) -> None:
    assert parse_mark(name) == mark


@pytest.mark.parametrize(
    ("wire", "health"),
    [
        ({}, {}),
        ({"Test": ["NONE"]}, {}),
        ({"Test": []}, {}),
        ({"Test": ["CMD", "true"], "Interval": 0}, {"command": ["true"]}),
        (
            {
                "Test": ["CMD-SHELL", "a | b"],
                "Interval": 5_000_000_000,
                "Timeout": 1_500_000_000,
                "Retries": 4,
            },
            {"command": ["/bin/sh", "-c", "a | b"], "interval_sec": 5.0, "timeout_sec": 1.5, "retries": 4},
        ),
    ],
)
def test_a_check_of_health_is_read_as_docker_writes_it(wire: dict[str, Any], health: dict[str, Any]) -> None:
    assert model.parse_health(wire) == health
    assert model.parse_health(model.health_to_oci(health)) == health


def test_the_layers_of_a_container_are_those_in_our_directory() -> None:
    ours = f"/state/layers/{HEX}/tree"

    assert parse_layers([ours, "/srv/root", "/state/layers/short/tree", 7], "/state/layers/") == (
        f"sha256:{HEX}",
    )
    assert parse_layers("x", "/state/layers/") == parse_layers(None, "/") == ()


@given(
    st.builds(
        ImageConfig,
        entrypoint=st.none() | st.lists(st.text(), min_size=1).map(tuple),
        command=st.lists(st.text()).map(tuple),
        env=st.dictionaries(st.text(min_size=1).filter(lambda name: "=" not in name), st.text()),
        workdir=st.text(),
        user=st.text(),
        labels=st.dictionaries(st.text(), st.text()),
    )
)
def test_a_configuration_survives_being_written(config: ImageConfig) -> None:
    written = json.dumps({"config": config.to_oci(), "rootfs": {"diff_ids": []}}).encode()

    assert parse_config(written).config == written_again(config)


def written_again(config: ImageConfig) -> ImageConfig:
    """An empty entrypoint is written as none at all."""
    return replace(config, entrypoint=config.entrypoint or None)


def test_a_reference_is_refused_as_a_field_of_a_container() -> None:
    with pytest.raises(BadSpec, match=r"^image: 'A B' is not a reference"):
        parse_reference("A B")
