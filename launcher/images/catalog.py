"""Which images there are and what they are called: STATE_DIR/images.

images/<hex of the image's id>.json   its configuration, byte for byte: the id is the digest of it
       references.json                name -> image id, and the digest of the manifest that it came with
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from launcher import records
from launcher.failpoints import reach
from launcher.images.errors import AmbiguousImage, BadReference, DigestMismatch, UnknownImage
from launcher.images.model import Image, parse_config
from launcher.images.reference import Reference, parse_reference

_REFERENCES: Final = "references.json"
_SHORTEST_ID: Final = 4
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Named:
    """What a reference stands for: an image, and the manifest that it was pulled or imported by, if any."""

    id: str
    digest: str = ""


class Catalog:
    """Safe to use from any thread; every change is on disk before it is told."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = threading.RLock()
        os.makedirs(directory, 0o700, exist_ok=True)
        for name in os.listdir(directory):
            if name.startswith("."):  # half written when we were killed
                os.unlink(f"{directory}/{name}")
        self._named = self._read_references()

    def add(self, config: bytes, reference: Reference | None = None, digest: str = "") -> str:
        """Record an image, and its name where there is one; its id. A name that was another's moves."""
        image_id = f"sha256:{hashlib.sha256(config).hexdigest()}"
        with self._lock:
            self._write_config(image_id, config)
            reach("image.configured")
            if reference is not None:
                self._write_references(dict(self._named) | {reference.tagged: Named(image_id, digest)})
        return image_id

    def resolve(self, text: str) -> str:
        """The image id for a reference, an id, or the beginning of one."""
        with self._lock:
            found = self._by_reference(text)
            if found is None:
                found = self._by_id(text)
        if found is None:
            raise UnknownImage(text)
        return found

    def meant_by(self, text: str) -> list[str]:
        """The names in the catalogue that `text` says; none where it is an id."""
        try:
            wanted = parse_reference(text)
        except BadReference:
            return []
        with self._lock:
            return [name for name, what in self._named.items() if _is_meant(wanted, name, what)]

    def image(self, image_id: str) -> Image:
        """What the configuration says, with id and names; DigestMismatch where the file was changed."""
        config = self.config(image_id)
        with self._lock:
            named = {name: what for name, what in self._named.items() if what.id == image_id}
        digests = {
            f"{name.partition('@')[0].rpartition(':')[0] or name}@{what.digest}"
            for name, what in named.items()
            if what.digest
        }
        return replace(
            parse_config(config), id=image_id, references=tuple(sorted(named)), digests=tuple(sorted(digests))
        )

    def config(self, image_id: str) -> bytes:
        """The configuration, held against the id."""
        try:
            with open(self._path(image_id), "rb") as file:
                config = file.read()
        except FileNotFoundError:
            raise UnknownImage(image_id) from None
        found = f"sha256:{hashlib.sha256(config).hexdigest()}"
        if found != image_id:
            raise DigestMismatch(f"the configuration of image {image_id[:19]}", image_id, found)
        return config

    def ids(self) -> list[str]:
        """All images."""
        names = (name.removesuffix(".json") for name in os.listdir(self._directory))
        return sorted(f"sha256:{name}" for name in names if len(name) == 64 and _HEX.issuperset(name))

    def names_of(self, image_id: str) -> list[str]:
        """All references that stand for an image."""
        with self._lock:
            return sorted(name for name, what in self._named.items() if what.id == image_id)

    def forget_name(self, name: str) -> None:
        """Take a reference away; the image stays."""
        with self._lock:
            self._write_references({key: what for key, what in self._named.items() if key != name})

    def forget_nameless(self, image_id: str) -> bool:
        """Take an image away, unless it has a name: somebody may have given it one just now."""
        with self._lock:
            if self.names_of(image_id) or not os.path.exists(self._path(image_id)):
                return False
            os.unlink(self._path(image_id))
            self._sync()
        return True

    def _by_reference(self, text: str) -> str | None:
        try:
            wanted = parse_reference(text)
        except BadReference:
            if _id_part(text) is None:
                raise
            return None
        same = (what.id for name, what in self._named.items() if _is_meant(wanted, name, what))
        return next(same, None)

    def _by_id(self, text: str) -> str | None:
        part = _id_part(text)
        if part is None:
            return None
        found = [image_id for image_id in self.ids() if image_id.removeprefix("sha256:").startswith(part)]
        if len(found) > 1:
            raise AmbiguousImage(text, len(found))
        return found[0] if found else None

    def _read_references(self) -> Mapping[str, Named]:
        wire = records.read_record(self._directory, _REFERENCES) or {}
        return {
            name: Named(str(what.get("id")), str(what.get("digest") or ""))
            for name, what in wire.items()
            if isinstance(what, dict) and os.path.exists(self._path(str(what.get("id"))))
        }

    def _write_references(self, named: Mapping[str, Named]) -> None:
        wire = {name: {"id": what.id, "digest": what.digest} for name, what in sorted(named.items())}
        with records.opened_directory(self._directory) as fd:
            records.write_record(fd, _REFERENCES, wire)
        reach("image.named")
        self._named = named

    def _write_config(self, image_id: str, config: bytes) -> None:
        path = self._path(image_id)
        if os.path.exists(path):
            return
        fresh = f"{self._directory}/.{os.urandom(8).hex()}.new"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(config)
            file.flush()
            os.fsync(fd)
        os.rename(fresh, path)
        self._sync()

    def _sync(self) -> None:
        with records.opened_directory(self._directory) as fd:
            os.fsync(fd)

    def _path(self, image_id: str) -> str:
        return f"{self._directory}/{image_id.removeprefix('sha256:')}.json"


def _is_meant(wanted: Reference, name: str, what: Named) -> bool:
    """By its digest where one is given, as docker does: the tag beside it is then only for people."""
    if not wanted.digest:
        return name == wanted.tagged
    return parse_reference(name).name == wanted.name and (
        what.digest == wanted.digest or name == f"{wanted.name}@{wanted.digest}"
    )


def _id_part(text: str) -> str | None:
    part = text.removeprefix("sha256:")
    return part if _SHORTEST_ID <= len(part) <= 64 and _HEX.issuperset(part) else None
