"""What `docker save` writes: manifest.json, a configuration named by its digest, and a tar file per layer."""

from __future__ import annotations

import functools
import json
import posixpath
import re
from typing import Any, Final

from launcher.images.errors import BadImage
from launcher.images.found import Found, FoundLayer, check_digest
from launcher.images.model import MOST_LAYERS, parse_object
from launcher.images.platforms import MACHINE, fits
from launcher.images.sources import Source, read_document
from launcher.images.unpacking import Blob

MANIFEST: Final = "manifest.json"
_NAMED_BY_DIGEST: Final = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.json)?")
_MOST_IMAGES: Final = 1000


def find_in_archive(source: Source) -> list[Found]:
    """Every image of the archive that is for this machine."""
    text = read_document(source, MANIFEST)
    if text is None:
        raise BadImage(f"this is neither an OCI layout (index.json) nor an archive of images ({MANIFEST})")
    found = [_read_image(source, image) for image in parse_archive_manifest(text)]
    fitting = [image for image in found if image is not None]
    if not fitting:
        raise BadImage(f"the archive has no image for this machine (linux/{MACHINE})")
    return fitting


def parse_archive_manifest(text: bytes) -> list[dict[str, Any]]:
    """The list of images, each with Config, Layers and RepoTags of the right types."""
    try:
        images = json.loads(text)
    except (ValueError, RecursionError):
        raise BadImage(f"{MANIFEST} is not JSON") from None
    if not isinstance(images, list) or not images or len(images) > _MOST_IMAGES:
        raise BadImage(f"{MANIFEST} is not a list of 1 to {_MOST_IMAGES} images")
    return [_check_image(image) for image in images]


def _check_image(image: object) -> dict[str, Any]:
    if not isinstance(image, dict) or not isinstance(image.get("Config"), str):
        raise BadImage(f"{MANIFEST} has an image without a configuration")
    for key, most in (("Layers", MOST_LAYERS), ("RepoTags", 1000)):
        values = image.get(key) or []
        if not isinstance(values, list) or len(values) > most or not all(isinstance(v, str) for v in values):
            raise BadImage(f"{MANIFEST}: {key} is not a list of at most {most} texts")
    return {
        "Config": image["Config"],
        "Layers": image.get("Layers") or [],
        "RepoTags": image.get("RepoTags") or [],
    }


def _read_image(source: Source, image: dict[str, Any]) -> Found | None:
    name = image["Config"]
    config = read_document(source, name)
    if config is None:
        raise BadImage(f"the archive lacks the configuration {name[:80]!r}")
    if match := _NAMED_BY_DIGEST.fullmatch(posixpath.normpath(name)):
        check_digest(config, f"sha256:{match[1]}", "an image's configuration")
    if not fits(parse_object(config, "the image's configuration")):
        return None
    layers = tuple(
        FoundLayer(None, functools.partial(_open_layer, source, layer)) for layer in image["Layers"]
    )
    return Found(config=config, layers=layers, references=tuple(image["RepoTags"]))


def _open_layer(source: Source, name: str) -> Blob:
    blob = source.blob(name)
    if blob is None:
        raise BadImage(f"the archive lacks the layer {name[:80]!r}")
    return blob
