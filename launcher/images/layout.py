"""OCI image layouts (image-spec image-layout.md, image-index.md, manifest.md), for what fits this machine."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from launcher.images.errors import BadImage, BadReference
from launcher.images.found import Found, FoundLayer, check_digest
from launcher.images.model import MOST_LAYERS, parse_object
from launcher.images.platforms import MACHINE, fits
from launcher.images.reference import DIGEST, parse_reference
from launcher.images.sources import Source, read_document
from launcher.images.unpacking import Blob

INDEX: Final = "index.json"
INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CONFIGS: Final = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_FULL_NAME: Final = "io.containerd.image.name"
_NAME: Final = "org.opencontainers.image.ref.name"
_DEEPEST: Final = 4
_MOST_MANIFESTS: Final = 1000

Descriptor = Mapping[str, Any]


def find_in_layout(source: Source) -> list[Found]:
    """Every image of the layout, one for each name; of several platforms this machine's."""
    text = read_document(source, INDEX)
    if text is None:
        raise BadImage(f"this is no OCI layout: it has no {INDEX}")
    by_name: dict[str | None, list[Descriptor]] = {}
    for descriptor in parse_manifests(text, INDEX):
        by_name.setdefault(_name_of(descriptor), []).append(descriptor)
    return [_find(source, name, descriptors) for name, descriptors in by_name.items()]


def parse_manifests(text: bytes, what: str) -> list[Descriptor]:
    """The descriptors of an index, each with a media type and a digest of the form we know."""
    descriptors = parse_object(text, what).get("manifests")
    if not isinstance(descriptors, list) or len(descriptors) > _MOST_MANIFESTS:
        raise BadImage(f"{what} has no list of at most {_MOST_MANIFESTS} manifests")
    return [_check_descriptor(descriptor, what) for descriptor in descriptors]


def _check_descriptor(descriptor: object, what: str) -> Descriptor:
    if not isinstance(descriptor, dict):
        raise BadImage(f"{what} has a descriptor that is no object")
    if not isinstance(descriptor.get("mediaType"), str) or not DIGEST.fullmatch(
        str(descriptor.get("digest"))
    ):
        raise BadImage(f"{what} has a descriptor without a media type, or with a digest that is not sha256")
    for key in ("platform", "annotations"):
        if not isinstance(descriptor.get(key) or {}, dict):
            raise BadImage(f"{what} has a descriptor whose {key} is no object")
    return descriptor


def _name_of(descriptor: Descriptor) -> str | None:
    """The name that the image was stored under; a tag alone names nothing."""
    annotations = descriptor.get("annotations") or {}
    whole, short = annotations.get(_FULL_NAME), annotations.get(_NAME)
    is_whole = isinstance(short, str) and (":" in short or "/" in short)
    for text in (whole, short if is_whole else None):
        if isinstance(text, str):
            with contextlib.suppress(BadReference):
                return str(parse_reference(text))
    return None


def _find(source: Source, name: str | None, descriptors: list[Descriptor]) -> Found:
    candidates = [*_manifests(source, descriptors, 0)]
    for digest, manifest in candidates:
        if found := _read_image(source, digest, manifest, name):
            return found
    raise BadImage(f"{name or 'the layout'} has no image for this machine (linux/{MACHINE})")


def _manifests(
    source: Source, descriptors: list[Descriptor], depth: int
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(digest, manifest) of everything that may be for this machine, nested indexes included."""
    if depth > _DEEPEST:
        raise BadImage(f"the indexes of the layout are nested more than {_DEEPEST} times")
    for descriptor in descriptors:
        if not fits(descriptor.get("platform") or {}):
            continue
        digest, kind = descriptor["digest"], descriptor["mediaType"]
        if kind not in (*INDEXES, *_MANIFESTS):
            raise BadImage(f"a manifest of the kind {kind[:80]!r} is not read here")
        text = read_blob(source, digest)
        if kind in INDEXES:
            yield from _manifests(source, parse_manifests(text, "an index"), depth + 1)
        else:
            yield digest, parse_object(text, "a manifest")


def read_blob(source: Source, digest: str) -> bytes:
    """A document of the layout by its digest, and held against it."""
    text = read_document(source, blob_path(digest))
    if text is None:
        raise BadImage(f"the layout lacks {digest}")
    return check_digest(text, digest, "a document of the layout")


def blob_path(digest: str) -> str:
    """Where a layout keeps what has that digest."""
    return "blobs/" + digest.replace(":", "/", 1)


def parse_manifest(manifest: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """(the configuration's digest, the layers' digests); None for what is no image: attestations, say."""
    config, layers = manifest.get("config"), manifest.get("layers")
    if not isinstance(layers, list) or len(layers) > MOST_LAYERS:
        raise BadImage(f"a manifest has no list of at most {MOST_LAYERS} layers")
    checked = _check_descriptor(config, "a manifest")
    if checked["mediaType"] not in _CONFIGS:
        return None
    return checked["digest"], [_check_descriptor(layer, "a manifest")["digest"] for layer in layers]


def _read_image(source: Source, digest: str, manifest: Mapping[str, Any], name: str | None) -> Found | None:
    parsed = parse_manifest(manifest)
    if parsed is None:
        return None
    config = read_blob(source, parsed[0])
    if not fits(parse_object(config, "the image's configuration")):
        return None
    return Found(
        config=config,
        layers=tuple(FoundLayer(layer, functools.partial(_open_blob, source, layer)) for layer in parsed[1]),
        references=() if name is None else (name,),
        digest=digest,
    )


def _open_blob(source: Source, digest: str) -> Blob:
    blob = source.blob(blob_path(digest))
    if blob is None:
        raise BadImage(f"the layout lacks the layer {digest}")
    return blob
