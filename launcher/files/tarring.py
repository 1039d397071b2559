"""Puts files into an archive while somebody hostile may change them: by descriptor, links as links."""

from __future__ import annotations

import os
import stat
import tarfile
from typing import BinaryIO, Final

DEEPEST: Final = 512
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PLACE: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: Final = {
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


class Packer:
    """`ids` (base, size) are the host's ids of a container whose user namespace has gone."""

    def __init__(self, out: BinaryIO, ids: tuple[int, int] = (0, 0)) -> None:
        self._archive = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._base, self._size = ids

    def close(self) -> None:
        self._archive.close()

    def add_directory(self, fd: int, arcname: str) -> None:
        """A directory and all that is in it."""
        self._archive.addfile(self._info(os.fstat(fd), arcname))
        self.add_content(fd, arcname)

    def add_content(self, fd: int, arcname: str) -> None:
        """All that is in a directory; what vanishes meanwhile is left out."""
        held = [(fd, arcname, iter(sorted(os.listdir(fd))))]
        try:
            while held:
                place, above, names = held[-1]
                name = next(names, None)
                if name is None:
                    held.pop()
                    if held:
                        os.close(place)
                elif (deeper := self._add_below(place, name, f"{above}/{name}")) is not None:
                    if len(held) >= DEEPEST:
                        os.close(deeper)
                        raise OSError(0, f"is nested deeper than {DEEPEST} directories", above[:80])
                    held.append((deeper, f"{above}/{name}", iter(sorted(os.listdir(deeper)))))
        finally:
            for place, _, _ in held[1:]:
                os.close(place)

    def _add_below(self, place: int, name: str, arcname: str) -> int | None:
        try:
            return self.add(place, name, arcname)
        except FileNotFoundError:
            return None

    def add(self, place: int, name: str, arcname: str) -> int | None:
        """One entry. A directory is returned open: what is in it is still to come."""
        found = os.stat(name, dir_fd=place, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            fd = os.open(name, _PLACE, dir_fd=place)
            self._archive.addfile(self._info(os.fstat(fd), arcname))
            return fd
        if stat.S_ISREG(found.st_mode):
            self._add_file(os.open(name, _FILE, dir_fd=place), arcname)
        elif stat.S_IFMT(found.st_mode) in _KINDS:
            info = self._info(found, arcname)
            if stat.S_ISLNK(found.st_mode):
                info.linkname = os.readlink(name, dir_fd=place)
            self._archive.addfile(info)
        return None

    def add_open_file(self, fd: int, arcname: str) -> None:
        """A file that is open already."""
        self._add_file(os.dup(fd), arcname)

    def _add_file(self, fd: int, arcname: str) -> None:
        with open(fd, "rb", buffering=0) as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return  # it became something else in between
            self._archive.addfile(self._info(found, arcname), _Steady(file))

    def _info(self, found: os.stat_result, arcname: str) -> tarfile.TarInfo:
        info = tarfile.TarInfo(arcname)
        info.type = _KINDS[stat.S_IFMT(found.st_mode)]
        info.mode = stat.S_IMODE(found.st_mode)
        info.uid, info.gid = self._inside(found.st_uid), self._inside(found.st_gid)
        info.mtime = int(found.st_mtime)
        info.size = found.st_size if stat.S_ISREG(found.st_mode) else 0
        if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
        return info

    def _inside(self, number: int) -> int:
        return number - self._base if self._base <= number < self._base + self._size else number


class _Steady:
    """A file that is as long as it was: one that shrinks meanwhile ends in zeros."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = 0, /) -> bytes:
        data = self._file.read(size)
        return data + bytes(size - len(data)) if len(data) < size else data
