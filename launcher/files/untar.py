"""Takes an archive apart below a directory, trusting neither it nor what else writes there meanwhile.

Every step goes by descriptor and follows no link, so whatever a name becomes in the middle (docker
CVE-2018-15664), nothing outside is touched. Standard library alone: the command line uses it as well, for
what comes out of a container.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import Any, Final

PIECE_BYTES: Final = 256 << 10
DEEPEST: Final = 512
_PLACE: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class BadArchive(Exception):
    """What cannot be unpacked here; one line."""


class Unpacker:
    """`owner` is who gets everything, None for the owners in the archive, whose special bits count then too.

    `rename` stands for the first part of every name. `skipped` are the devices, which are not made.
    """

    def __init__(self, base_fd: int, *, owner: tuple[int, int] | None, rename: str | None = None) -> None:
        self._base_fd = base_fd
        self._owner = owner
        self._rename = rename
        self._times: list[tuple[list[str], tarfile.TarInfo]] = []
        self.entries = 0
        self.skipped = 0

    def unpack(self, source: Any) -> None:
        """The whole archive. BadArchive, or OSError with the name in the archive."""
        with opened_archive(source) as archive:
            for member in archive:
                with _odd_is_bad(member):
                    self._unpack_one(archive, member)
        for parts, member in reversed(self._times):
            with _odd_is_bad(member), contextlib.suppress(OSError), self._place(parts) as fd:
                os.utime(".", (member.mtime, member.mtime), dir_fd=fd, follow_symlinks=False)

    def _parts(self, name: str) -> list[str]:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise BadArchive(f"{name[:200]!r} leads out of the archive")
        if len(parts) > DEEPEST:
            raise BadArchive(f"{name[:80]!r}… is nested deeper than {DEEPEST} directories")
        return [self._rename, *parts[1:]] if self._rename is not None and parts else parts

    def _unpack_one(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = self._parts(member.name)
        self.entries += 1
        try:
            if member.isdir():
                self._make_directory(parts, member)
            elif parts:
                with self._place(parts[:-1], make=True) as place:
                    self._make(archive, member, place, parts[-1])
        except OSError as e:
            raise OSError(e.errno, e.strerror, member.name) from None

    @contextlib.contextmanager
    def _place(self, parts: list[str], *, make: bool = False) -> Iterator[int]:
        """A directory below the base; each step is a directory and no link to one, or an error."""
        fd = os.dup(self._base_fd)
        try:
            for part in parts:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=fd)
                deeper = os.open(part, _PLACE, dir_fd=fd)
                os.close(fd)
                fd = deeper
            yield fd
        finally:
            os.close(fd)

    def _make_directory(self, parts: list[str], member: tarfile.TarInfo) -> None:
        with self._place(parts, make=True) as fd:
            if not parts:
                return  # the base is there already, and stays as it is
            os.chown(".", *self._owner_of(member), dir_fd=fd, follow_symlinks=False)
            os.chmod(".", self._mode_of(member), dir_fd=fd)
        self._times.append((parts, member))

    def _make(self, archive: tarfile.TarFile, member: tarfile.TarInfo, place: int, name: str) -> None:
        if member.isreg():
            self._write_file(archive, member, place, name)
        elif member.issym():
            _clear(place, name)
            os.symlink(member.linkname, name, dir_fd=place)
            os.chown(name, *self._owner_of(member), dir_fd=place, follow_symlinks=False)
        elif member.islnk():
            self._link(member, place, name)
        elif member.isfifo():
            _clear(place, name)
            os.mkfifo(name, self._mode_of(member), dir_fd=place)
            os.chown(name, *self._owner_of(member), dir_fd=place, follow_symlinks=False)
        else:
            self.skipped += 1

    def _link(self, member: tarfile.TarInfo, place: int, name: str) -> None:
        target = self._parts(member.linkname)
        if not target:
            raise BadArchive(f"{member.name[:200]!r} is a link to nothing")
        with self._place(target[:-1]) as other:
            _clear(place, name)
            os.link(target[-1], name, src_dir_fd=other, dst_dir_fd=place, follow_symlinks=False)

    def _write_file(self, archive: tarfile.TarFile, member: tarfile.TarInfo, place: int, name: str) -> None:
        data = archive.extractfile(member)
        if data is None:
            raise BadArchive(f"{member.name[:200]!r} has no content")
        fd = open_anew(place, name)
        try:
            while piece := data.read(PIECE_BYTES):
                write_all(fd, piece)
            os.fchown(fd, *self._owner_of(member))
            os.fchmod(fd, self._mode_of(member))
            os.utime(fd, (member.mtime, member.mtime))
        finally:
            os.close(fd)

    def _owner_of(self, member: tarfile.TarInfo) -> tuple[int, int]:
        return (member.uid, member.gid) if self._owner is None else self._owner

    def _mode_of(self, member: tarfile.TarInfo) -> int:
        return member.mode & (0o7777 if self._owner is None else 0o777)


@contextlib.contextmanager
def opened_archive(source: Any) -> Iterator[tarfile.TarFile]:
    """To be read from its beginning to its end; BadArchive for what is none."""
    try:
        with tarfile.open(fileobj=source, mode="r|", errorlevel=2) as archive:
            yield archive
    # tarfile lets through what it stumbles over in headers, such as a map of holes without numbers.
    except (tarfile.TarError, ValueError, OverflowError) as e:
        raise BadArchive(f"this is no tar archive that can be read: {str(e)[:200]}") from None


@contextlib.contextmanager
def _odd_is_bad(member: tarfile.TarInfo) -> Iterator[None]:
    """Times, ids and names that no system call can be asked for: Python says so before it asks."""
    try:
        yield
    except (ValueError, OverflowError) as e:
        raise BadArchive(f"{member.name[:200]!r} cannot be unpacked: {str(e)[:200]}") from None


def open_anew(place: int, name: str) -> int:
    """An empty file of that name, to be written. What is a mount point keeps its inode."""
    try:
        _clear(place, name)
    except OSError as e:
        if e.errno != errno.EBUSY:
            raise
        fd = os.open(name, _OLD, dir_fd=place)
        return emptied(fd)
    return os.open(name, _NEW, 0o600, dir_fd=place)


def emptied(fd: int) -> int:
    """A file that was there, made empty; anything but a plain file is refused."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is there and no plain file")
    os.ftruncate(fd, 0)
    return fd


def _clear(place: int, name: str) -> None:
    """EISDIR where a directory is in the way."""
    try:
        os.unlink(name, dir_fd=place)
    except FileNotFoundError:
        return


def write_all(fd: int, data: bytes) -> None:
    """Every byte."""
    while data:
        data = data[os.write(fd, data) :]
