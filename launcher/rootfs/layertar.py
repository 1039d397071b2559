"""Changes written down as a layer: a tar with sorted names, `.wh.NAME` for what was deleted, and its
digest.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from launcher.errors import CannotCommit
from launcher.rootfs.changes import DELETED, Change
from launcher.rootfs.driver import OpenTrees
from launcher.rootfs.entries import read_xattrs

BLOCK: Final = 512
MARK: Final = ".wh."
"""How a name begins that stands for a deletion."""
_PIECE: Final = 1 << 20
_KINDS: Final = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Bounds:
    """`most_bytes`: of a layer, as it is unpacked; `is_over` is asked all along: nobody waits for it then."""

    most_bytes: int
    is_over: Callable[[], bool] = lambda: False


def write_layer(trees: OpenTrees, changes: Sequence[Change], out: BinaryIO, bounds: Bounds) -> str:
    """Write the tar; the diff id, which is the digest of what was written (`sha256:…`).

    The same changes give the same bytes: names are sorted, and no user or group names are looked up.
    Sockets are left out, as no program would find another's end behind one. Raises CannotCommit, mostly
    before the first byte.
    """
    _check(changes, bounds)
    tar = _Tar(out, bounds)
    links: dict[tuple[int, int], str] = {}
    with _Parents(trees.tree) as parents:
        for change in changes:
            above, _, name = change.path.rpartition("/")
            if change.kind == DELETED:
                tar.add(tarfile.TarInfo(f"{above}/{MARK}{name}".lstrip("/")))
            elif not stat.S_ISSOCK(_status(change).st_mode):
                _add(tar, parents.open(above), name, change, links)
    return tar.finish()


def _check(changes: Sequence[Change], bounds: Bounds) -> None:
    sizes: dict[tuple[int, int], int] = {}
    for change in changes:
        if change.kind == DELETED:
            continue
        if f"/{MARK}" in change.path:
            raise CannotCommit(
                f"{change.path[:200]!r} cannot be in an image: there, a name that begins with {MARK} stands "
                "for a deletion; rename or remove it first"
            )
        if change.size_bytes:
            sizes[_status(change).st_dev, _status(change).st_ino] = change.size_bytes
    if (size := sum(sizes.values())) > bounds.most_bytes:
        raise _over(f"the files to be written have {size} bytes", bounds)


def _over(what: str, bounds: Bounds) -> CannotCommit:
    return CannotCommit(
        f"{what}, and a layer may have {bounds.most_bytes} (layer_bytes, the limit for images); holes count"
    )


def _status(change: Change) -> os.stat_result:
    assert change.status is not None
    return change.status


def _add(tar: _Tar, parent: int, name: str, change: Change, links: dict[tuple[int, int], str]) -> None:
    found = _status(change)
    info = tarfile.TarInfo(change.path.lstrip("/"))
    headers: dict[str, str] = {}
    info.pax_headers = headers
    info.mode, info.uid, info.gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
    # By amount and sign: half a second before 1970 is -0.5, and the second that it lies in is -1.
    info.mtime, fraction = divmod(abs(found.st_mtime_ns), 1_000_000_000)
    sign = "-" if found.st_mtime_ns < 0 else ""
    if fraction or sign:
        headers["mtime"] = f"{sign}{info.mtime}.{fraction:09d}".rstrip("0").rstrip(".")
        info.mtime = 0 if sign else info.mtime
    info.type = _KINDS[stat.S_IFMT(found.st_mode)]
    if stat.S_ISDIR(found.st_mode):
        info.name += "/"
    elif stat.S_ISLNK(found.st_mode):
        info.linkname = os.readlink(name, dir_fd=parent)
    elif stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        info.devmajor, info.devminor = os.major(found.st_rdev), os.minor(found.st_rdev)
    elif found.st_nlink > 1:
        first = links.setdefault((found.st_dev, found.st_ino), info.name)
        if first != info.name:
            info.type, info.linkname = tarfile.LNKTYPE, first
            tar.add(info)
            return
    for key, value in sorted(read_xattrs(parent, name, found.st_mode).items()):
        headers[f"SCHILY.xattr.{key}"] = value.decode("utf-8", "surrogateescape")
    if not stat.S_ISREG(found.st_mode):
        tar.add(info)
        return
    fd = os.open(name, _FLAGS, dir_fd=parent)
    with open(fd, "rb", buffering=0) as content:
        info.size = os.fstat(fd).st_size
        tar.add(info, content)


class _Tar:
    """Headers and contents, counted and digested; tarfile's own writer would keep every member in memory."""

    def __init__(self, out: BinaryIO, bounds: Bounds) -> None:
        self._out = out
        self._bounds = bounds
        self._count = 0
        self._digest = hashlib.sha256()

    def add(self, info: tarfile.TarInfo, content: BinaryIO | None = None) -> None:
        header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        # Again, for files of a host's directory that grow meanwhile, and with the headers, of which there
        # may be millions.
        self._count += len(header) + info.size
        if self._count > self._bounds.most_bytes:
            raise _over(
                f"the archive of its files has {self._count} bytes at {info.name[:200]!r}", self._bounds
            )
        self._write(header)
        if content is None:
            return
        left = info.size
        while left:
            piece = content.read(min(left, _PIECE))
            # A file that shrank keeps the size that was promised; nobody writes to it while we hold it.
            piece = piece or bytes(min(left, _PIECE))
            self._write(piece)
            left -= len(piece)
        self._write(bytes(-info.size % BLOCK))

    def finish(self) -> str:
        self._write(bytes(2 * BLOCK))
        return f"sha256:{self._digest.hexdigest()}"

    def _write(self, data: bytes) -> None:
        if self._bounds.is_over():
            raise CannotCommit("no image was made: the container is removed or restarted, or the client left")
        self._digest.update(data)
        self._out.write(data)


class _Parents:
    """Directories by path, each step without links; those of the path asked last stay open."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._held: list[tuple[str, int]] = []

    def __enter__(self) -> _Parents:
        return self

    def __exit__(self, *_: object) -> None:
        self._drop(0)

    def open(self, path: str) -> int:
        steps = path.split("/")[1:]
        same = 0
        while same < min(len(steps), len(self._held)) and self._held[same][0] == steps[same]:
            same += 1
        self._drop(same)
        for step in steps[same:]:
            above = self._held[-1][1] if self._held else self._top
            self._held.append((step, os.open(step, _FLAGS | os.O_DIRECTORY, dir_fd=above)))
        return self._held[-1][1] if self._held else self._top

    def _drop(self, keep: int) -> None:
        while len(self._held) > keep:
            os.close(self._held.pop()[1])
