"""Where the files of an archive of images lie, told by the confined process that reads it."""

from __future__ import annotations

import os
import posixpath
from typing import Any

from launcher.images import tarball
from launcher.images.errors import TooManyEntries
from launcher.images.streams import LayerStream


def index_archive(stream: LayerStream, most: int) -> dict[str, Any]:
    """Files as name -> [offset, size] in the uncompressed archive, and links as name -> name.

    None at all where there are more than `most`: that is no archive of images, but a root directory.
    """
    files: dict[str, list[int]] = {}
    links: dict[str, str] = {}
    try:
        for entry in tarball.read_entries(stream, most):
            name = _clean(entry.name)
            links.pop(name, None)
            files.pop(name, None)
            if entry.kind == tarball.REGULAR and entry.segments is None:
                files[name] = [stream.position, entry.size]
            elif entry.kind == tarball.HARD_LINK:
                links[name] = _clean(entry.link)
            elif entry.kind == tarball.SYMLINK:
                links[name] = posixpath.normpath(
                    posixpath.join(posixpath.dirname(name), os.fsdecode(entry.link))
                )
    except TooManyEntries:
        files, links = {}, {}
    return {"files": files, "links": links, "is_plain": stream.is_plain}


def _clean(name: bytes) -> str:
    return posixpath.normpath(os.fsdecode(name).lstrip("/"))
