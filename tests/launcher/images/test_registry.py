"""Pulls from a real registry on loopback."""

from __future__ import annotations

import functools
import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from launcher.images import ImageStore
from launcher.images.errors import BadImage, DigestMismatch, NoSkopeo, PullFailed
from launcher.images.platforms import MACHINE
from launcher.images.pull import pull_image
from tests.launcher.images.archives import Layout, digest, file, layer
from tests.launcher.images.registry import Registry

pytestmark = pytest.mark.kernel
LOWER = layer(file("etc/os-release", b"ID=test\n"))
UPPER = layer(file("bin/tool", b"x", mode=0o755))
THIRD = layer(file("bin/other", b"y", mode=0o755))
OTHER_MACHINE = "s390x" if MACHINE != "s390x" else "amd64"


@pytest.fixture
def registry(short_dir: Path) -> Iterator[Registry]:
    made = Registry(short_dir)
    yield made
    made.close()


@pytest.fixture
def layout(short_dir: Path) -> Layout:
    return Layout(short_dir / "oci")


def push(registry: Registry, layout: Layout, name: str, *options: str) -> str:
    return registry.push(f"oci:{layout.path}:{name}", name, *options)


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_a_pull_brings_what_was_pushed(
    store: ImageStore, registry: Registry, layout: Layout, form: str
) -> None:
    layout.add(layout.image([LOWER, UPPER], Cmd=["tool"]), "tool:1")
    reference = push(registry, layout, "tool:1", "--format", form)

    image = pull_image(store, reference, insecure=True)

    assert image.references == (reference,)
    assert image.layers == (digest(LOWER), digest(UPPER))
    assert image.config.command == ("tool",)
    assert Path(store.layer_dir(image.layers[1]), "bin/tool").read_bytes() == b"x"
    assert store.verify(reference) == image
    assert [name for name in os.listdir(f"{store.state_dir}/layers") if name.startswith(".")] == []


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "plain": bytes,
}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_every_compression_that_registries_hold(
    store: ImageStore, registry: Registry, layout: Layout, name: str
) -> None:
    kind = {"gzip": "+gzip", "zstd": "+zstd", "plain": ""}[name]
    layout.add(layout.image([LOWER], COMPRESSORS[name], media_suffix=kind), "tool:1")
    reference = push(registry, layout, "tool:1")

    assert pull_image(store, reference, insecure=True).layers == (digest(LOWER),)


def test_what_is_here_is_not_fetched_again(store: ImageStore, registry: Registry, layout: Layout) -> None:
    layout.add(layout.image([LOWER, UPPER]), "tool:1").add(layout.image([LOWER, THIRD]), "tool:2")
    references = [push(registry, layout, name) for name in ("tool:1", "tool:2")]
    blobs = {content: digest(gzip.compress(content, mtime=0)) for content in (LOWER, UPPER, THIRD)}

    pull_image(store, references[0], insecure=True)
    first = registry.fetched()
    pull_image(store, references[0], insecure=True)
    again = registry.fetched()[len(first) :]
    image = pull_image(store, references[1], insecure=True)
    second = registry.fetched()[len(first) + len(again) :]

    assert {blobs[LOWER], blobs[UPPER]} <= set(first)
    assert not {*blobs.values()} & set(again)
    assert {*blobs.values()} & set(second) == {blobs[THIRD]}
    assert image.layers == (digest(LOWER), digest(THIRD))
    assert store.verify(references[1]) == image


def test_of_an_index_only_this_machines_image_is_fetched(
    store: ImageStore, registry: Registry, layout: Layout
) -> None:
    index = layout.index(layout.image([LOWER], architecture=OTHER_MACHINE), layout.image([UPPER]))
    layout.add(index, "tool:1")
    reference = push(registry, layout, "tool:1", "--all")

    image = pull_image(store, reference, insecure=True)

    assert image.layers == (digest(UPPER),)
    assert digest(gzip.compress(LOWER, mtime=0)) not in registry.fetched()


def test_a_pull_by_digest(store: ImageStore, registry: Registry, layout: Layout) -> None:
    descriptor = layout.image([LOWER])
    layout.add(descriptor, "tool:1")
    name = push(registry, layout, "tool:1").rpartition(":")[0]
    exact = f"{name}@{descriptor['digest']}"

    image = pull_image(store, exact, insecure=True)

    assert image.references == (exact,)
    assert store.resolve(exact).id == image.id
    with pytest.raises(PullFailed, match="there is no such tag or digest"):
        pull_image(store, f"{name}@sha256:{'0' * 64}", insecure=True)


def test_a_tag_that_moved_brings_the_new_image(store: ImageStore, registry: Registry, layout: Layout) -> None:
    layout.add(layout.image([LOWER]), "tool:1").add(layout.image([UPPER]), "tool:2")
    reference = push(registry, layout, "tool:1")
    old = pull_image(store, reference, insecure=True)
    registry.push(f"oci:{layout.path}:tool:2", "tool:1")

    new = pull_image(store, reference, insecure=True)

    assert store.resolve(reference) == new
    assert store.resolve(old.id).references == ()
    assert store.collect().images == (old.id,)


def test_why_a_pull_failed_is_one_line(store: ImageStore, registry: Registry, layout: Layout) -> None:
    layout.add(layout.image([LOWER]), "tool:1")
    reference = push(registry, layout, "tool:1")

    for pull, why in {
        functools.partial(
            pull_image, store, f"{registry.host}/tool:2", insecure=True
        ): "no such tag or digest",
        functools.partial(pull_image, store, reference): "use insecure to pull all the same",
        functools.partial(pull_image, store, "127.0.0.1:1/tool", insecure=True): "connection refused",
    }.items():
        with pytest.raises(PullFailed, match=why) as e:
            pull()
        assert "\n" not in str(e.value)
    assert not store.layers.all()


def test_an_image_for_another_machine_alone_is_refused(
    store: ImageStore, registry: Registry, layout: Layout
) -> None:
    layout.add(layout.index(layout.image([LOWER], architecture=OTHER_MACHINE)), "tool:1")
    reference = push(registry, layout, "tool:1", "--all")

    with pytest.raises(BadImage, match="has no image for this machine"):
        pull_image(store, reference, insecure=True)


def test_a_registry_that_sends_something_else_is_found_out(
    store: ImageStore, registry: Registry, layout: Layout, short_dir: Path
) -> None:
    layout.add(layout.image([LOWER]), "tool:1")
    reference = push(registry, layout, "tool:1")
    told = digest(gzip.compress(LOWER, mtime=0)).removeprefix("sha256:")
    blobs = short_dir / "registry" / "docker" / "registry" / "v2" / "blobs" / "sha256"
    (blobs / told[:2] / told / "data").write_bytes(gzip.compress(UPPER, mtime=0))

    with pytest.raises((DigestMismatch, PullFailed)):
        pull_image(store, reference, insecure=True)

    assert not store.images()
    assert not store.layers.all()


def test_without_skopeo_it_is_said_what_to_install(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("launcher.defaults.PATH", "/nonexistent")

    with pytest.raises(NoSkopeo, match="apt-get install skopeo"):
        pull_image(store, "tool:1")


def test_an_image_of_a_format_from_before_2016_is_refused() -> None:
    from launcher.images.pull import parse_pulled

    with pytest.raises(BadImage, match="older than 2016"):
        parse_pulled(json.loads('{"schemaVersion": 1, "fsLayers": []}'), "tool:1")
