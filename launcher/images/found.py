"""What an import found, whichever format it came in: a configuration, layers to unpack, and names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from launcher.images.errors import DigestMismatch
from launcher.images.unpacking import Blob


class FoundLayer(NamedTuple):
    """`digest` is of the bytes in the archive, if it tells one; opened only for a layer that is not here."""

    digest: str | None
    open: Callable[[], Blob]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An image that is for this machine. `digest` is its manifest's, "" where the format has none."""

    config: bytes
    layers: tuple[FoundLayer, ...]
    references: tuple[str, ...] = ()
    digest: str = ""


def check_digest(text: bytes, wanted: str, what: str) -> bytes:
    """The text, if it is what the digest says."""
    found = f"sha256:{hashlib.sha256(text).hexdigest()}"
    if found != wanted:
        raise DigestMismatch(what, wanted, found)
    return text
