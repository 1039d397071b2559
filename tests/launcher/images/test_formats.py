"""Images as they come: OCI layouts, docker's archives, root directories; written here and by skopeo."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.images import Image, ImageStore
from launcher.images.errors import BadImage, DigestMismatch
from launcher.images.importing import import_image
from launcher.images.platforms import MACHINE
from tests.launcher.images.archives import (
    CONFIG,
    MANIFEST,
    Layout,
    config,
    digest,
    docker_archive,
    file,
    layer,
)

pytestmark = pytest.mark.kernel
LOWER = layer(file("etc/os-release", b"ID=test\n"))
UPPER = layer(file("bin/tool", b"x", mode=0o755))
OTHER_MACHINE = "s390x" if MACHINE != "s390x" else "amd64"


def nothing_is_kept(store: ImageStore) -> bool:
    return not store.images() and not store.layers.all() and not _staged(store)


def _staged(store: ImageStore) -> list[str]:
    return [name for name in os.listdir(f"{store.state_dir}/layers") if name.startswith(".")]


def one(found: list[Image]) -> Image:
    assert len(found) == 1
    return found[0]


def test_a_layout_in_a_directory(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image([LOWER, UPPER], Cmd=["tool"], Env=["A=b=c"], User="7"), "example.org/x/tool:1")

    image = one(import_image(store, str(layout.path)))

    assert image.references == ("example.org/x/tool:1",)
    assert image.layers == (digest(LOWER), digest(UPPER))
    assert (image.config.command, image.config.env, image.config.user) == (("tool",), {"A": "b=c"}, "7")
    assert Path(store.layer_dir(image.layers[1]), "bin/tool").read_bytes() == b"x"
    assert store.resolve("example.org/x/tool:1") == image
    exact = f"example.org/x/tool@{layout.manifests[0]['digest']}"
    assert image.digests == (exact,)
    assert store.resolve(exact) == image

    store.add_name(exact, "other:1")
    assert store.remove(exact) == (("example.org/x/tool:1",), (), ())
    assert store.remove("other:1").images == (image.id,)


@pytest.mark.parametrize("pack", ["tar", "tar.gz"])
def test_a_layout_in_an_archive(store: ImageStore, short_dir: Path, pack: str) -> None:
    layout = Layout(short_dir / "oci")
    packed = layout.add(layout.image([LOWER, UPPER]), "tool:1").packed(short_dir / "oci.tar")
    if pack == "tar.gz":
        packed.write_bytes(gzip.compress(packed.read_bytes()))

    image = one(import_image(store, str(packed)))

    assert image.layers == (digest(LOWER), digest(UPPER))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_what_docker_save_wrote_before_version_25(store: ImageStore, short_dir: Path, mode: str) -> None:
    path = docker_archive(
        short_dir / "d.tar", [LOWER, UPPER], "tool:1", "tool:latest", mode=mode, Cmd=["tool"]
    )

    image = one(import_image(store, str(path)))

    assert image.references == ("docker.io/library/tool:1", "docker.io/library/tool:latest")
    assert image.layers == (digest(LOWER), digest(UPPER))
    assert image.config.command == ("tool",)


def test_what_docker_save_writes_since_version_25(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    descriptor = layout.image([LOWER])
    descriptor["annotations"] = {
        "io.containerd.image.name": "docker.io/library/tool:1",
        "org.opencontainers.image.ref.name": "1",
    }
    layout.add(descriptor)
    blobs = [f"blobs/sha256/{path.name}" for path in (layout.path / "blobs" / "sha256").iterdir()]
    old = [{"Config": blobs[0], "RepoTags": ["wrong:1"], "Layers": blobs[1:]}]
    (layout.path / "manifest.json").write_text(json.dumps(old))

    image = one(import_image(store, str(layout.packed(short_dir / "d.tar"))))

    assert image.references == ("docker.io/library/tool:1",)
    assert image.digests == (f"docker.io/library/tool@{descriptor['digest']}",)


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive"])
def test_skopeo_and_this_store_agree(store: ImageStore, short_dir: Path, form: str) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image([LOWER, UPPER], Cmd=["tool"]), "tool:1")
    target = f"{form}:{short_dir}/copy:docker.io/library/tool:1"
    skopeo = shutil.which("skopeo")
    assert skopeo, "make test installs it"
    command = [skopeo, "--insecure-policy", "copy", "--quiet", f"oci:{layout.path}:tool:1", target]
    subprocess.run(command, check=True)

    copied, original = (
        one(import_image(store, str(short_dir / "copy"))),
        one(import_image(store, str(layout.path))),
    )

    assert copied.id == original.id
    assert original.references == ("docker.io/library/tool:1",)


def test_the_archive_of_a_root_directory(store: ImageStore, short_dir: Path) -> None:
    (short_dir / "root.tar.gz").write_bytes(gzip.compress(UPPER))

    image = one(import_image(store, str(short_dir / "root.tar.gz"), "tool"))

    assert image.references == ("docker.io/library/tool:latest",)
    assert image.layers == (digest(UPPER),)


def test_a_root_with_more_files_than_an_archive_of_images_may_have(
    store: ImageStore, short_dir: Path
) -> None:
    content = layer(*(file(f"d/{number}", b"") for number in range(10_050)))
    (short_dir / "root.tar").write_bytes(content)

    image = one(import_image(store, str(short_dir / "root.tar"), "many"))

    assert image.layers == (digest(content),)


def test_of_an_index_this_machines_image_is_taken(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    attestation = layout.image([layer(file("a"))]) | {
        "platform": {"os": "unknown", "architecture": "unknown"}
    }
    index = layout.index(
        layout.image([LOWER], architecture=OTHER_MACHINE), attestation, layout.image([UPPER])
    )
    layout.add(layout.index(index), "tool:1")

    image = one(import_image(store, str(layout.path)))

    assert image.layers == (digest(UPPER),)
    assert store.layers.all() == {digest(UPPER)}


@pytest.mark.parametrize("with_platform", [True, False])
def test_an_image_for_another_machine_alone_is_refused(
    store: ImageStore, short_dir: Path, with_platform: bool
) -> None:
    layout = Layout(short_dir / "oci")
    descriptor = layout.image([LOWER], architecture=OTHER_MACHINE)
    if not with_platform:
        del descriptor["platform"]
    layout.add(descriptor, "tool:1")

    with pytest.raises(BadImage, match=f"no image for this machine \\(linux/{MACHINE}\\)"):
        import_image(store, str(layout.path))

    assert nothing_is_kept(store)


def test_several_images_keep_their_names_and_cannot_all_get_another(
    store: ImageStore, short_dir: Path
) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image([LOWER]), "low:1").add(layout.image([LOWER, UPPER]), "high:1")

    with pytest.raises(BadImage, match="there are 2 images in it"):
        import_image(store, str(layout.path), "new:1")
    images = import_image(store, str(layout.path))

    assert [image.references for image in images] == [
        ("docker.io/library/low:1",),
        ("docker.io/library/high:1",),
    ]


def test_a_name_can_be_given_on_the_way_in(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image([LOWER]), "1")

    image = one(import_image(store, str(layout.path), "mine:2"))

    assert image.references == ("docker.io/library/mine:2",)
    assert one(import_image(store, str(layout.path))).references == image.references  # a tag names nothing


def test_importing_twice_changes_nothing(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image([LOWER]), "tool:1")
    first = import_image(store, str(layout.path))
    inode = os.stat(store.layer_dir(digest(LOWER))).st_ino

    assert import_image(store, str(layout.path)) == first
    assert os.stat(store.layer_dir(digest(LOWER))).st_ino == inode


def damaged_layouts(path: Path) -> dict[str, Layout]:
    made = {}
    for name in ("layer", "configuration", "manifest", "diff id"):
        layout = Layout(path / name.replace(" ", "-"))
        descriptor = layout.image([LOWER])
        manifest = json.loads((layout.path / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())
        if name == "diff id":
            wrong = layout.blob(config([UPPER]), CONFIG)
            changed = manifest | {"config": wrong}
            descriptor = layout.blob(json.dumps(changed).encode(), MANIFEST)
        else:
            told = {
                "layer": manifest["layers"][0]["digest"],
                "configuration": manifest["config"]["digest"],
                "manifest": descriptor["digest"],
            }[name]
            blob = layout.path / "blobs" / told.replace(":", "/")
            blob.write_bytes(gzip.compress(UPPER) if name == "layer" else blob.read_bytes() + b" ")
        made[name] = layout.add(descriptor, "tool:1")
    return made


@pytest.mark.parametrize("what", ["layer", "configuration", "manifest", "diff id"])
def test_what_is_not_what_its_digest_says_is_refused(store: ImageStore, short_dir: Path, what: str) -> None:
    layout = damaged_layouts(short_dir)[what]

    with pytest.raises(DigestMismatch, match="is damaged or was changed"):
        import_image(store, str(layout.path))

    assert nothing_is_kept(store)


def test_the_layers_of_a_failed_import_are_collected(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    descriptor = layout.image([LOWER, UPPER])
    manifest = json.loads((layout.path / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())
    (layout.path / "blobs" / manifest["layers"][1]["digest"].replace(":", "/")).unlink()
    layout.add(descriptor, "tool:1")

    with pytest.raises(BadImage, match="lacks the layer"):
        import_image(store, str(layout.path))

    assert not store.images()
    assert store.collect().layers == (digest(LOWER),)


def test_a_layer_that_stands_twice_in_an_image_is_kept_once(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image([LOWER, UPPER, LOWER]), "tool:1")

    image = one(import_image(store, str(layout.path)))

    assert image.layers == (digest(LOWER), digest(UPPER), digest(LOWER))
    assert store.layers.all() == {digest(LOWER), digest(UPPER)}
    assert image.size_bytes == len(b"ID=test\n") + 1
    assert store.remove("tool:1").layers == tuple(sorted({digest(LOWER), digest(UPPER)}))


def test_below_an_opaque_root_nothing_is_left(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    opaque = layer(file(".wh..wh..opq"), file("new", b"x"))
    layout.add(layout.image([LOWER, opaque, UPPER]), "tool:1")

    assert one(import_image(store, str(layout.path))).layers == (digest(opaque), digest(UPPER))
