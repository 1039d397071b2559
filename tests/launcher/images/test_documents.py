"""Documents, paths and archives around an image that cannot be, or that mean harm: refused in one line."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from launcher.images import ImageStore
from launcher.images.errors import BadImage, MissingFile, OverLimit
from launcher.images.importing import import_image
from tests.launcher.images.archives import LAYER, MANIFEST, Layout, config, file, layer
from tests.launcher.images.unpacked import nothing_is_kept

pytestmark = pytest.mark.kernel
LOWER = layer(file("etc/os-release", b"ID=test\n"))


HOSTILE_DOCUMENTS: dict[str, object] = {
    "not json": "{",
    "a list": [],
    "no manifests": {},
    "manifests of another kind": {"manifests": {"a": 1}},
    "a text for a descriptor": {"manifests": ["x"]},
    "no digest": {"manifests": [{"mediaType": MANIFEST}]},
    "a digest with a path": {"manifests": [{"mediaType": MANIFEST, "digest": "sha256:../../../etc/passwd"}]},
    "another hash": {"manifests": [{"mediaType": MANIFEST, "digest": "sha512:" + "0" * 128}]},
    "another kind": {"manifests": [{"mediaType": "text/html", "digest": "sha256:" + "0" * 64}]},
    "a missing blob": {"manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64}]},
    "a platform that is a text": {
        "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "platform": "x"}]
    },
    "too many": {"manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64}] * 1001},
}


@pytest.mark.parametrize("what", HOSTILE_DOCUMENTS)
def test_an_index_that_cannot_be_is_refused(store: ImageStore, short_dir: Path, what: str) -> None:
    wire = HOSTILE_DOCUMENTS[what]
    (short_dir / "oci").mkdir()
    (short_dir / "oci" / "index.json").write_text(wire if isinstance(wire, str) else json.dumps(wire))

    with pytest.raises(BadImage) as e:
        import_image(store, str(short_dir / "oci"))

    assert "\n" not in str(e.value)


def test_indexes_that_hold_each_other_come_to_an_end(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    index = layout.image([LOWER])
    for _ in range(6):
        index = layout.index(index)
    layout.add(index, "tool:1")

    with pytest.raises(BadImage, match="nested more than 4 times"):
        import_image(store, str(layout.path))


def test_a_document_that_is_too_large_is_not_read(store: ImageStore, short_dir: Path) -> None:
    (short_dir / "oci").mkdir()
    with (short_dir / "oci" / "index.json").open("wb") as out:
        out.truncate(1 << 40)

    with pytest.raises(BadImage, match="larger than the 4 MiB"):
        import_image(store, str(short_dir / "oci"))


def test_links_of_a_layout_do_not_lead_out_of_it(store: ImageStore, short_dir: Path) -> None:
    (short_dir / "secret").write_text('{"manifests": []}')
    (short_dir / "oci").mkdir()
    (short_dir / "oci" / "index.json").symlink_to(short_dir / "secret")

    with pytest.raises(BadImage, match="neither an OCI layout"):
        import_image(store, str(short_dir / "oci"))


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "a/../../../etc/passwd"])
def test_names_in_dockers_manifest_are_no_paths_of_the_host(
    store: ImageStore, short_dir: Path, name: str
) -> None:
    for key in ("Config", "Layers"):
        wire = config([LOWER])
        image = {"Config": "c.json", "Layers": ["l.tar"], "RepoTags": ["t:1"]}
        image[key] = name if key == "Config" else [name]
        members = [
            file("c.json", wire),
            file("l.tar", LOWER),
            file("manifest.json", json.dumps([image]).encode()),
        ]
        (short_dir / "d.tar").write_bytes(layer(*members))

        with pytest.raises(BadImage, match="the archive lacks the"):
            import_image(store, str(short_dir / "d.tar"))
    assert nothing_is_kept(store)


def test_layers_beyond_what_can_be_mounted_are_refused(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image([LOWER] * 129), "tool:1")

    with pytest.raises(BadImage, match="at most 128 layers"):
        import_image(store, str(layout.path))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("relative", "an absolute path is needed"),
        ("/nowhere/at/all", "no such file or directory"),
        ("/dev/null", "neither a directory nor a file"),
    ],
)
def test_a_path_that_leads_to_no_file_is_refused(store: ImageStore, path: str, why: str) -> None:
    with pytest.raises(MissingFile, match=why):
        import_image(store, path)


def test_a_pipe_in_the_place_of_an_archive_is_not_waited_for(store: ImageStore, short_dir: Path) -> None:
    os.mkfifo(short_dir / "pipe")

    with pytest.raises(MissingFile, match="neither a directory nor a file"):
        import_image(store, str(short_dir / "pipe"))


def test_an_artifact_that_is_no_image_is_refused(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    manifest = {
        "schemaVersion": 2,
        "config": layout.blob(b"{}", "application/vnd.cncf.helm.config.v1+json"),
        "layers": [layout.blob(gzip.compress(LOWER), LAYER)],
    }
    layout.add(layout.blob(json.dumps(manifest).encode(), MANIFEST), "chart:1")

    with pytest.raises(BadImage, match="has no image for this machine"):
        import_image(store, str(layout.path))


def test_an_archive_that_is_a_bomb_stops_at_the_limit(strict_store: ImageStore, short_dir: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info, content = file("manifest.json", bytes(6 << 20))
        archive.addfile(info, io.BytesIO(content))
    (short_dir / "bomb.tar.gz").write_bytes(out.getvalue())

    with pytest.raises(OverLimit, match="more than 100 times"):
        import_image(strict_store, str(short_dir / "bomb.tar.gz"))
    assert nothing_is_kept(strict_store)
