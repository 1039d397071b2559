"""Names of images as docker writes them: `name[:tag][@digest]`, and what the short forms stand for.

The grammar is that of distribution/reference: `busybox` is docker.io/library/busybox:latest, and the first
part is a host only where it has a dot, a port or an upper-case letter, or is `localhost`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from launcher.images.errors import BadReference

_HOST: Final = re.compile(
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?"
)
_PATH: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
DIGEST: Final = re.compile(r"sha256:[a-f0-9]{64}")
_ID: Final = re.compile(r"[a-f0-9]{64}")
_LONGEST: Final = 255
_DEFAULT_HOST: Final = "docker.io"
_OFFICIAL: Final = "library/"


@dataclass(frozen=True, slots=True)
class Reference:
    """`name` is whole (docker.io/library/busybox); `tag` is "" only where there is a digest."""

    name: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def tagged(self) -> str:
        """Without the digest: the name under which an image is kept."""
        return f"{self.name}:{self.tag}" if self.tag else f"{self.name}@{self.digest}"


def parse_reference(text: str) -> Reference:
    """The whole reference that `text` stands for; BadReference says what keeps it from being one."""
    rest, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise BadReference(text, "what follows the @ must be sha256: and 64 hexadecimal digits")
    name, tag = _split_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise BadReference(text, "a tag has 1 to 128 letters, digits, '_', '.' and '-'")
    if _ID.fullmatch(name):
        raise BadReference(text, "64 hexadecimal digits are an image's id, not a name")
    host, path = _split_host(name)
    if not _HOST.fullmatch(host):
        raise BadReference(text, f"{host[:40]!r} is not a host")
    if not _PATH.fullmatch(path):
        raise BadReference(
            text, "a name has lower-case letters and digits, and between them '.', '_', '-', '/'"
        )
    whole = f"{host}/{path}"
    if len(whole) > _LONGEST:
        raise BadReference(text, f"the name is longer than {_LONGEST} characters")
    return Reference(whole, tag or ("" if digest else "latest"), digest)


def _split_tag(text: str) -> tuple[str, str | None]:
    """The colon of a port stands before a slash, that of a tag behind the last one."""
    name, colon, tag = text.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (text, None)


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not (
        any(char in first for char in ".:[") or first == "localhost" or first.lower() != first
    ):
        first, rest = _DEFAULT_HOST, name
    if first == "index.docker.io":
        first = _DEFAULT_HOST
    if first == _DEFAULT_HOST and "/" not in rest:
        rest = _OFFICIAL + rest
    return first, rest


def familiar(text: str) -> str:
    """A whole reference as people write it: without what the short form stands for."""
    return text.removeprefix(f"{_DEFAULT_HOST}/").removeprefix(_OFFICIAL)
