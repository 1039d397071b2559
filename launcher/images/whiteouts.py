"""What a name that begins with `.wh.` means (OCI image-spec layer.md), apart from what is done about it."""

from __future__ import annotations

import enum
from typing import Final

from launcher.images.errors import BadImage

OPAQUE_ATTRIBUTE: Final = "trusted.overlay.opaque"
_PREFIX: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_AUFS: Final = b".wh..wh."


class Mark(enum.Enum):
    """A file as any other, a deletion, a directory that hides what is below, or aufs's book-keeping."""

    NONE = "none"
    DELETED = "deleted"
    OPAQUE = "opaque"
    IGNORED = "ignored"


def parse_mark(name: bytes) -> tuple[Mark, bytes]:
    """The mark in a file's name, and the name that it is about."""
    if not name.startswith(_PREFIX):
        return Mark.NONE, name
    if name == _OPAQUE:
        return Mark.OPAQUE, b""
    if name.startswith(_AUFS):
        return Mark.IGNORED, b""
    target = name.removeprefix(_PREFIX)
    if target in (b"", b".", b".."):
        raise BadImage("the layer deletes a name that no file can have: that would leave its directory")
    return Mark.DELETED, target
