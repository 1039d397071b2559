"""Where an image is imported from, as named files: a directory, or a tar archive that is read in place.

An archive is never spread out on disk: a confined process lists where its files lie, and layers are unpacked
from there. No name in it is ever a path of this host.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Mapping
from typing import Any, Final, Protocol

from launcher import syscalls
from launcher.images.errors import BadImage, MissingFile
from launcher.images.model import LARGEST_DOCUMENT_BYTES
from launcher.images.streams import Limits
from launcher.images.unpacking import Blob, read_confined

MOST_FILES: Final = 10_000
"""Of an archive with images in it; one with more can only be a root directory."""
_LONGEST_CHAIN: Final = 8
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_IN_ROOT: Final = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS


class Source(Protocol):
    """Files by name; None for a name that there is not."""

    def blob(self, name: str) -> Blob | None: ...

    def close(self) -> None: ...


def read_document(source: Source, name: str) -> bytes | None:
    """A small file whole. BadImage where it is too large to be a manifest."""
    blob = source.blob(name)
    if blob is None:
        return None
    if blob.length > LARGEST_DOCUMENT_BYTES:
        raise BadImage(f"{name} is larger than the {LARGEST_DOCUMENT_BYTES >> 20} MiB that are read of one")
    return os.pread(blob.fd, blob.length, blob.start or 0)


class DirectorySource:
    """A directory on this host; links in it are followed, but never out of it."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, _DIRECTORY)
        self._open: list[int] = []

    def blob(self, name: str) -> Blob | None:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = syscalls.openat2(self._fd, os.fsencode(name), flags, _IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as e:
            raise BadImage(f"{name[:80]!r} cannot be read: {(e.strerror or str(e)).lower()}") from None
        self._open.append(fd)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise BadImage(f"{name[:80]!r} is not a regular file")
        return Blob(fd=fd, start=0, length=found.st_size)

    def close(self) -> None:
        for fd in (self._fd, *self._open):
            os.close(fd)


class ArchiveSource:
    """A tar archive in an open file. A compressed one is decompressed once, into a file without a name."""

    def __init__(self, fd: int, scratch_dir: str, limits: Limits) -> None:
        self.fd = fd
        self._scratch_dir = scratch_dir
        self._limits = limits
        self._plain_fd: int | None = None
        whole = {"start": 0, "length": os.fstat(fd).st_size, "limits": limits.to_wire()}
        self._request: Mapping[str, Any] = whole
        answer = read_confined({"action": "index", "most": MOST_FILES, **whole}, fd, scratch_dir)
        self._is_plain: bool = answer["is_plain"]
        self._files: dict[str, list[int]] = answer["files"]
        self._links: dict[str, str] = answer["links"]

    def blob(self, name: str) -> Blob | None:
        place = self._files.get(self._target(name))
        if place is None:
            return None
        return Blob(fd=self._plain(), start=place[0], length=place[1])

    def whole(self) -> Blob:
        """The archive itself, compressed as it is."""
        return Blob(fd=self.fd, start=0, length=self._request["length"])

    def close(self) -> None:
        os.close(self.fd)
        if self._plain_fd is not None:
            os.close(self._plain_fd)

    def _target(self, name: str) -> str:
        """Old `docker save` writes a layer once and links to it."""
        name = posixpath.normpath(name)
        for _ in range(_LONGEST_CHAIN):
            if name not in self._links:
                break
            name = self._links[name]
        return name

    def _plain(self) -> int:
        if self._is_plain:
            return self.fd
        if self._plain_fd is None:
            fd = os.open(self._scratch_dir, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
            self._plain_fd = fd
            read_confined(
                {"action": "spool", "out_fd": fd, **self._request}, self.fd, self._scratch_dir, (fd,)
            )
        return self._plain_fd


def open_source(path: str, scratch_dir: str, limits: Limits) -> DirectorySource | ArchiveSource:
    """A directory, or a file with a tar archive in it. MissingFile for anything else."""
    if not path.startswith("/"):
        raise MissingFile(path, "an absolute path is needed")
    try:
        # Never waits for a writer, should somebody have put a named pipe there.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise MissingFile(path, (e.strerror or str(e)).lower()) from None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        try:
            return ArchiveSource(fd, scratch_dir, limits)
        except BaseException:
            os.close(fd)
            raise
    os.close(fd)
    if not stat.S_ISDIR(mode):
        raise MissingFile(path, "is neither a directory nor a file")
    return DirectorySource(path)
