"""Import of an image: find out what it is, unpack what is not here yet, and only then give it its names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Literal

from launcher.images import docker_archive, layout
from launcher.images.errors import BadImage
from launcher.images.found import Found
from launcher.images.model import Image, ImageConfig, parse_config
from launcher.images.reference import Reference, parse_reference
from launcher.images.sources import ArchiveSource, DirectorySource, open_source
from launcher.images.store import ImageStore, parse_new_name, write_config

Kind = Literal["auto", "oci", "docker", "root"]
KINDS: Final = ("auto", "oci", "docker", "root")


def import_image(
    store: ImageStore,
    path: str,
    name: str | None = None,
    *,
    kind: str = "auto",
    config: ImageConfig | None = None,
) -> list[Image]:
    """Import an OCI layout (a directory or a tar archive), what `docker save` wrote, or a root directory's
    tar archive; the images, the same for an import that has been done before.

    `name` renames the one image there is; a root directory has no configuration but `config`. Raises
    MissingFile, BadImage, BadReference; whatever fails, no image is named, and its layers are collected.
    """
    wanted = None if name is None else parse_new_name(name)
    with _opened(store, path) as source:
        if kind == "root" or (kind == "auto" and _is_root(source)):
            return [_import_root(store, source, wanted, config or ImageConfig())]
        found = find_images(source, kind)
        if wanted is not None:
            found = [_renamed(found, wanted)]
        return [import_found(store, image) for image in found]


def find_images(source: DirectorySource | ArchiveSource, kind: str) -> list[Found]:
    """The images in a layout or an archive. Docker 25 and later write both at once: digests are preferred."""
    if kind == "oci" or (kind == "auto" and source.blob(layout.INDEX) is not None):
        return layout.find_in_layout(source)
    return docker_archive.find_in_archive(source)


def import_found(store: ImageStore, found: Found, type: str = "image.import") -> Image:
    """Unpack an image's layers and record it; `type` is that of the event."""
    image = parse_config(found.config)
    if len(image.layers) != len(found.layers):
        raise BadImage(
            f"the image's configuration tells of {len(image.layers)} layers, "
            f"its manifest of {len(found.layers)}"
        )
    references = [parse_reference(text) for text in found.references]
    pinned: list[str] = []
    try:
        for diff_id, layer in zip(image.layers, found.layers, strict=True):
            if not store.layers.pin_existing(diff_id):
                store.layers.add(layer.open(), diff_id=diff_id, digest=layer.digest)
            pinned.append(diff_id)
        image_id = store.catalog.add(found.config)
        for reference in references:
            store.catalog.add(found.config, reference, found.digest)
    finally:
        store.layers.unpin(pinned)
    detail = {"id": image_id, "digest": found.digest or None}
    store.tell(type, ", ".join(map(str, references)) or image_id, detail)
    return store.resolve(image_id)


def _import_root(
    store: ImageStore,
    source: DirectorySource | ArchiveSource,
    wanted: Reference | None,
    config: ImageConfig,
) -> Image:
    if isinstance(source, DirectorySource):
        raise BadImage(
            "a directory is imported as an OCI layout only; make a tar archive of a root directory"
        )
    diff_id = store.layers.add(source.whole())
    try:
        image_id = store.catalog.add(write_config([diff_id], config), wanted)
    finally:
        store.layers.unpin([diff_id])
    store.tell("image.import", str(wanted or image_id), {"id": image_id, "digest": None})
    return store.resolve(image_id)


def _is_root(source: DirectorySource | ArchiveSource) -> bool:
    if isinstance(source, DirectorySource):
        return False
    return source.blob(layout.INDEX) is None and source.blob(docker_archive.MANIFEST) is None


def _renamed(found: list[Found], wanted: Reference) -> Found:
    if len(found) != 1:
        raise BadImage(
            f"there are {len(found)} images in it: import them under their own names, without another"
        )
    return Found(
        config=found[0].config, layers=found[0].layers, references=(str(wanted),), digest=found[0].digest
    )


@contextlib.contextmanager
def _opened(store: ImageStore, path: str) -> Iterator[DirectorySource | ArchiveSource]:
    source = open_source(path, f"{store.state_dir}/images", store.limits)
    try:
        yield source
    finally:
        source.close()
