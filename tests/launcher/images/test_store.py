"""What the store keeps, names, refuses to remove, collects, and finds out about damage."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from launcher.images import Image, ImageConfig, ImageStore
from launcher.images.errors import (
    AmbiguousImage,
    BadImage,
    BadReference,
    DigestMismatch,
    UnknownImage,
)
from launcher.images.importing import import_image
from tests.launcher.images.archives import Layout, digest, file, hard_link, layer, symlink
from tests.launcher.images.unpacked import add

pytestmark = pytest.mark.kernel
LOWER = layer(file("etc/os-release", b"ID=test\n"), symlink("l", "etc"), hard_link("h", "etc/os-release"))
UPPER = layer(file("bin/tool", b"x", mode=0o755))
CONFIG = ImageConfig(
    entrypoint=("tool",),
    command=("--help",),
    env={"A": "b"},
    workdir="/srv",
    user="7:8",
    stop_signal="SIGINT",
    exposed_ports=("80/tcp",),
    volumes=("/data",),
    labels={"a": "b"},
)


def make(store: ImageStore, name: str, *layers: bytes) -> Image:
    return store.tag(name, [f"sha256:{add(store, content).parent.name}" for content in layers], CONFIG)


def test_an_image_that_was_tagged_says_what_it_was_given(store: ImageStore) -> None:
    image = make(store, "tool:1", LOWER, UPPER)

    assert store.resolve("tool:1") == image
    assert image.config == CONFIG
    assert image.layers == (digest(LOWER), digest(UPPER))
    assert image.size_bytes == len(b"ID=test\n") + 1
    assert [Path(path).name for path in store.layer_dirs(image)] == ["tree", "tree"]


def test_the_next_daemon_finds_the_same_images(store: ImageStore) -> None:
    images = [make(store, "a:1", LOWER), make(store, "b:1", LOWER, UPPER)]

    assert ImageStore(store.state_dir).images() == images


@pytest.mark.parametrize(
    "text",
    ["tool", "tool:latest", "library/tool", "docker.io/tool", "index.docker.io/library/tool:latest"],
)
def test_an_image_answers_to_every_spelling_of_its_name(store: ImageStore, text: str) -> None:
    image = make(store, "tool", LOWER)

    assert store.resolve(text) == image


def test_an_image_answers_to_its_id_and_to_the_beginning_of_it(store: ImageStore) -> None:
    image = make(store, "tool", LOWER)

    short = image.id.removeprefix("sha256:")[:12]
    assert store.resolve(image.id) == store.resolve(short) == store.resolve(f"sha256:{short}") == image
    for unknown in ("abc", "other:1", "tool:2", "f" * 64):
        with pytest.raises(UnknownImage, match="pull or import it first"):
            store.resolve(unknown)


def test_the_beginning_of_several_ids_names_none(store: ImageStore) -> None:
    seen: dict[str, int] = {}
    for number in range(3000):
        image_id = store.catalog.add(b'{"rootfs": {"diff_ids": []}, "n": %d}' % number)
        seen[image_id[7:11]] = seen.get(image_id[7:11], 0) + 1
        if seen[image_id[7:11]] == 2:
            break

    with pytest.raises(AmbiguousImage, match="is the beginning of 2 image ids"):
        store.resolve(image_id[7:11])


def test_a_name_that_moves_leaves_the_old_image_without_one(store: ImageStore) -> None:
    old = make(store, "tool", LOWER)
    new = make(store, "tool", UPPER)

    assert store.resolve("tool") == new
    assert store.resolve(old.id).references == ()
    assert store.collect()[1:] == ((old.id,), (digest(LOWER),))


def test_several_names_of_one_image(store: ImageStore) -> None:
    image = make(store, "tool", LOWER)

    store.add_name("tool", "example.org/tool:2")

    removed = store.remove("tool")
    assert (removed.references, removed.images, removed.layers) == (
        ("docker.io/library/tool:latest",),
        (),
        (),
    )
    assert store.resolve("example.org/tool:2").id == image.id
    assert store.remove("example.org/tool:2").layers == (digest(LOWER),)
    with pytest.raises(UnknownImage):
        store.resolve(image.id)


def test_removing_by_id_takes_all_names(store: ImageStore) -> None:
    image = make(store, "tool", LOWER)
    store.add_name("tool", "other")

    removed = store.remove(image.id)

    assert len(removed.references) == 2
    assert store.images() == []


def test_a_layer_that_another_image_needs_stays(store: ImageStore) -> None:
    make(store, "low", LOWER)
    make(store, "high", LOWER, UPPER)

    assert store.remove("low").layers == ()
    assert store.remove("high").layers == tuple(sorted({digest(LOWER), digest(UPPER)}))
    assert os.listdir(f"{store.state_dir}/layers") == []


def test_a_layer_on_its_way_into_an_image_is_not_collected(store: ImageStore) -> None:
    added = add(store, LOWER)

    assert store.collect().layers == ()
    store.tag("tool", [f"sha256:{added.parent.name}"], CONFIG)
    store.remove("tool")
    assert store.layers.all() == set()


def test_a_layer_that_no_image_came_to_need_goes_with_the_next_daemon(store: ImageStore) -> None:
    add(store, LOWER)

    assert ImageStore(store.state_dir).collect().layers == (digest(LOWER),)


def test_while_an_image_is_used_its_layers_stay(store: ImageStore) -> None:
    make(store, "tool", LOWER)

    with store.using("tool") as image:
        assert store.remove("tool").layers == ()
        assert Path(store.layer_dir(image.layers[0])).is_dir()

    assert store.collect().layers == (digest(LOWER),)


def test_an_image_whose_layer_is_gone_is_refused(store: ImageStore) -> None:
    make(store, "tool", LOWER)
    os.rename(os.path.dirname(store.layer_dir(digest(LOWER))), f"{store.state_dir}/elsewhere")

    with pytest.raises(BadImage, match="lacks the layer"), store.using("tool"):
        pass


def test_a_name_with_a_digest_cannot_be_given(store: ImageStore) -> None:
    with pytest.raises(BadReference):
        make(store, f"tool@sha256:{'0' * 64}", LOWER)
    with pytest.raises(BadImage, match="is not here"):
        store.tag("tool", [digest(UPPER)], CONFIG)


def changes() -> dict[str, str]:
    """What somebody may do to a layer on disk, as a shell command in its tree."""
    return {
        "content": "printf 'ID=tesT\\n' > etc/os-release; touch -d @0 etc/os-release etc",
        "mode": "chmod 777 etc/os-release",
        "owner": "chown 1 etc/os-release",
        "time": "touch etc/os-release",
        "a new file": "touch etc/new; touch -d @0 etc/new etc",
        "a missing file": "rm h; touch -d @0 .",
        "a link": "ln -sfn /etc l",
        "an attribute": "setfattr -n user.a -v b etc/os-release || python3 -c 'import os; "
        'os.setxattr("etc/os-release", "user.a", b"b")\'',
        "the directory's mode": "chmod 700 etc",
    }


@pytest.mark.parametrize("what", changes())
def test_a_change_of_an_unpacked_layer_is_found_out(store: ImageStore, what: str) -> None:
    make(store, "tool", LOWER)
    assert store.verify("tool").references
    os.chdir(store.layer_dir(digest(LOWER)))
    try:
        assert os.system(f"( {changes()[what]} ) 2>/dev/null") == 0
    finally:
        os.chdir("/")

    with pytest.raises(DigestMismatch, match="is damaged or was changed"):
        store.verify("tool")


def test_a_changed_configuration_is_found_out(store: ImageStore) -> None:
    image = make(store, "tool", LOWER)
    path = Path(store.state_dir, "images", f"{image.id.removeprefix('sha256:')}.json")
    path.write_text(path.read_text().replace("tool", "evil"))

    with pytest.raises(DigestMismatch, match="the configuration of image"):
        store.resolve("tool")
    assert store.images() == []


def test_many_imports_of_the_same_image_at_once(store: ImageStore, short_dir: Path) -> None:
    layout = Layout(short_dir / "oci")
    layout.add(layout.image([LOWER, UPPER]), "tool:1")
    found: list[Image] = []

    def work() -> None:
        found.extend(import_image(store, str(layout.path)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 6
    assert len({image.id for image in found}) == 1
    assert store.layers.all() == {digest(LOWER), digest(UPPER)}
    assert {name[0] for name in os.listdir(f"{store.state_dir}/layers")}.isdisjoint({"."})
    assert store.remove("tool:1").layers == tuple(sorted({digest(LOWER), digest(UPPER)}))


def test_the_same_layer_added_at_once_without_its_digest_is_kept_once(store: ImageStore) -> None:
    threads = [threading.Thread(target=add, args=(store, LOWER)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert os.listdir(f"{store.state_dir}/layers") == [digest(LOWER).removeprefix("sha256:")]


def test_a_damaged_list_of_names_is_no_reason_not_to_start(store: ImageStore) -> None:
    image = make(store, "tool", LOWER)
    Path(store.state_dir, "images", "references.json").write_text("{half")

    again = ImageStore(store.state_dir)

    assert again.images()[0].id == image.id
    assert again.images()[0].references == ()
