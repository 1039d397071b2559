"""The images of this host: what `run --image`, `commit` and the verbs of `image` work with."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import IO, Any, Final, NamedTuple

from launcher.errors import LauncherError
from launcher.images.catalog import Catalog
from launcher.images.errors import BadImage, BadReference, ImageInUse
from launcher.images.layers import Layers
from launcher.images.model import Image, ImageConfig
from launcher.images.platforms import MACHINE
from launcher.images.reference import Reference, parse_reference
from launcher.images.streams import Limits
from launcher.images.unpacking import Blob
from launcher.images.uses import Use, read_uses

_MOST_USERS_TOLD: Final = 3


class Removed(NamedTuple):
    """What went: names, image ids, diff ids of layers."""

    references: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


class ImageStore:
    """Images and their unpacked layers under `state_dir`. Every method may block and may be called from any
    thread. What containers stand on is read from their records, and never collected.
    """

    def __init__(self, state_dir: str, *, limits: Limits | None = None) -> None:
        self.state_dir = state_dir
        self.tell: Callable[[str, str, dict[str, Any]], None] = lambda _type, _name, _detail: None
        """Hears of every change: its type, the names it is about, and details."""
        self._fresh: Counter[str] = Counter()
        self.layers = Layers(f"{state_dir}/layers", limits or Limits())
        self.catalog = Catalog(f"{state_dir}/images")

    @property
    def limits(self) -> Limits:
        """Where unpacking stops."""
        return self.layers.limits

    def limit(self, *, layer_bytes: int, entries: int) -> None:
        """Unpack up to these from now on."""
        self.layers.limits = replace(self.limits, layer_bytes=layer_bytes, entries=entries)

    def resolve(self, ref: str) -> Image:
        """The image that a reference, an id or the beginning of one stands for; UnknownImage for none."""
        return self._complete(self.catalog.image(self.catalog.resolve(ref)))

    @contextlib.contextmanager
    def using(self, ref: str) -> Iterator[Image]:
        """`resolve`, and none of its layers is collected before the block ends: time to record the user."""
        image = self.resolve(ref)
        self.layers.pin(image.layers)
        try:
            if missing := [layer for layer in image.layers if not self.layers.has(layer)]:
                raise BadImage(f"image {ref!r} lacks the layer {missing[0]}; pull or import it again")
            yield image
        finally:
            self.layers.unpin(image.layers)

    def layer_dir(self, diff_id: str) -> str:
        """The directory with the files of a layer."""
        return self.layers.path(diff_id)

    def layer_dirs(self, image: Image) -> tuple[str, ...]:
        """Those of all its layers, the lowest first, as drivers take them."""
        return tuple(map(self.layers.path, image.layers))

    def add_layer(self, stream: IO[bytes] | int) -> str:
        """Unpack a tar archive (compressed or not) from a file, pipe or socket; its diff id.

        The layer is kept from collection until an image with it is tagged, or until the daemon starts anew.
        """
        diff_id = self.layers.add(Blob(fd=stream if isinstance(stream, int) else stream.fileno()))
        self._fresh[diff_id] += 1
        return diff_id

    def tag(self, ref: str, layers: Sequence[str], config: ImageConfig) -> Image:
        """Make an image of layers that are here, the lowest first, and give it a name."""
        reference = parse_new_name(ref)
        if missing := [layer for layer in layers if not self.layers.has(layer)]:
            raise BadImage(f"the layer {missing[0]} is not here")
        written = write_config(layers, config)
        image_id = self.catalog.add(written, reference)
        self.tell("image.tag", str(reference), {"id": image_id})
        self.layers.unpin({layer: self._fresh.pop(layer) for layer in {*layers} if layer in self._fresh})
        return self.resolve(image_id)

    def add_name(self, ref: str, name: str) -> Image:
        """Give an image one more name; a name that was another's moves."""
        image_id = self.catalog.resolve(ref)
        reference = parse_new_name(name)
        self.catalog.add(self.catalog.config(image_id), reference)
        self.tell("image.tag", str(reference), {"id": image_id})
        return self.resolve(image_id)

    def images(self) -> list[Image]:
        """All that are whole, by name; those without one last."""
        found = (self._readable(image_id) for image_id in self.catalog.ids())
        return sorted(
            filter(None, found), key=lambda image: (not image.references, image.references, image.id)
        )

    def remove(self, ref: str, *, force: bool = False) -> Removed:
        """Take a name away; with the last name goes the image, and what no other needs of its layers.

        ImageInUse while a container stands on the image, unless a name is all that goes (`force`, or one of
        several).
        """
        image_id = self.catalog.resolve(ref)
        names = self.catalog.names_of(image_id)
        going = self.catalog.meant_by(ref) or names
        used_by = [use.container for use in read_uses(self.state_dir) if self._stands_on(use, image_id)]
        if used_by and len(names) == len(going) and not force:
            raise ImageInUse(ref, _shown(used_by))
        for gone in going:
            self.catalog.forget_name(gone)
        if used_by or not self.catalog.forget_nameless(image_id):
            return self._told("image.remove", Removed(references=tuple(going)))
        return self._told("image.remove", Removed(tuple(going), (image_id,), self._collect_layers()))

    def collect(self) -> Removed:
        """Remove images without a name that no container stands on, and layers that nothing needs."""
        uses = [*read_uses(self.state_dir)]
        gone = [
            image_id
            for image_id in self.catalog.ids()
            if not any(self._stands_on(use, image_id) for use in uses)
            and self.catalog.forget_nameless(image_id)
        ]
        return self._told("image.collect", Removed((), tuple(gone), self._collect_layers()))

    def verify(self, ref: str) -> Image:
        """Hold the configuration and every file of every layer against their digests: DigestMismatch."""
        with self.using(ref) as image:
            for diff_id in dict.fromkeys(image.layers):
                self.layers.verify(diff_id)
        return image

    def _told(self, type: str, removed: Removed) -> Removed:
        if any(removed):
            self.tell(type, ", ".join((*removed.references, *removed.images)), removed._asdict())
        return removed

    def _stands_on(self, use: Use, image_id: str) -> bool:
        """By its layers; of several images with the same ones it is that which the container's name tells."""
        image = self._readable(image_id)
        if image is None or use.layers != image.layers:
            return False
        try:
            told = self.resolve(use.image)
        except LauncherError:
            return True
        return told.id == image_id or told.layers != use.layers

    def _collect_layers(self) -> tuple[str, ...]:
        used = {layer for use in read_uses(self.state_dir) for layer in use.layers}
        for image_id in self.catalog.ids():
            image = self._readable(image_id)
            used.update(image.layers if image else ())
        return tuple(self.layers.collect(used))

    def _readable(self, image_id: str) -> Image | None:
        """None for one that somebody damaged, or removed just now."""
        try:
            return self._complete(self.catalog.image(image_id))
        except LauncherError:
            return None

    def _complete(self, image: Image) -> Image:
        hiding = [self.layers.meta(layer).get("hides_below", False) for layer in image.layers]
        if True in hiding:
            # Overlay does not look at the attribute of a layer's root: what it hides is left out.
            lowest = len(hiding) - 1 - hiding[::-1].index(True)
            image = replace(image, layers=image.layers[lowest:])
        size = sum(self.layers.meta(layer).get("size_bytes", 0) for layer in dict.fromkeys(image.layers))
        return replace(image, size_bytes=size)


def parse_new_name(text: str) -> Reference:
    """A reference that is to be given to an image."""
    reference = parse_reference(text)
    if reference.digest:
        raise BadReference(text, "a name to be given has a tag and no digest")
    return reference


def _shown(names: Sequence[str]) -> str:
    shown = ", ".join(f"container {name!r}" for name in names[:_MOST_USERS_TOLD])
    more = len(names) - _MOST_USERS_TOLD
    return shown + (f" and {more} more" if more > 0 else "")


def write_config(layers: Sequence[str], config: ImageConfig) -> bytes:
    """The configuration of a new image for this machine, as its id is the digest of it."""
    created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    wire = {
        "created": created,
        "architecture": MACHINE,
        "os": "linux",
        "config": config.to_oci(),
        "rootfs": {"type": "layers", "diff_ids": list(layers)},
    }
    return json.dumps(wire, sort_keys=True, separators=(",", ":")).encode()
