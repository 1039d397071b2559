"""A layer's entries become files below one directory, whatever names and links the archive was given.

Parents are opened by openat2(IN_ROOT), files made by O_EXCL|O_NOFOLLOW in the directory held open: no name
and no link reaches outside, even were this process not also rooted there (see `worker`). Whiteouts are
written as overlay reads them: a device 0:0 deletes, an attribute makes a directory opaque.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import Final

from launcher.images import tarball
from launcher.images.attributes import set_owner_mode
from launcher.images.errors import BadImage, OverLimit
from launcher.images.streams import LayerStream, Limits
from launcher.images.tarball import Entry, shown
from launcher.images.tree import Tree, clear, delete_below, is_whiteout, make_directory, stat_of
from launcher.images.whiteouts import OPAQUE_ATTRIBUTE, Mark, parse_mark

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_PART: Final = 255


@dataclass(slots=True)
class Counts:
    """What was unpacked. `dropped` are device nodes and attributes that are not taken over;
    `hides_below`: the root itself is opaque, which overlay does not look at.
    """

    entries: int = 0
    size_bytes: int = 0
    dropped: int = 0
    hides_below: bool = False


def unpack(stream: LayerStream, root_fd: int, limits: Limits) -> Counts:
    """Everything in the archive, below the directory that is held open. The umask must be 0."""
    tree = Tree(root_fd, limits.entries)
    counts = Counts()
    try:
        for entry in tarball.read_entries(stream, limits.entries):
            tree.count_one()
            counts.size_bytes += entry.size if entry.kind == tarball.REGULAR else 0
            if counts.size_bytes > limits.layer_bytes:
                raise OverLimit(
                    f"the files of the layer are larger than {limits.layer_bytes} bytes, the limit for one: "
                    f"reached at {entry.shown}"
                )
            counts.dropped += _place(tree, stream, entry, limits)
        tree.set_directory_times()
        counts.entries = tree.count
        counts.hides_below = OPAQUE_ATTRIBUTE in os.listxattr(root_fd)
    finally:
        tree.close()
    return counts


def _place(tree: Tree, stream: LayerStream, entry: Entry, limits: Limits) -> int:
    parts = split_name(entry.name, limits.name_bytes)
    try:
        if not parts:
            return tree.finish_directory(b"", entry) if entry.kind == tarball.DIRECTORY else 1
        return _place_below(tree, stream, entry, parts, limits)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadImage(f"{entry.shown} cannot be unpacked: {(e.strerror or str(e)).lower()}") from None


def _place_below(tree: Tree, stream: LayerStream, entry: Entry, parts: list[bytes], limits: Limits) -> int:
    parent = tree.parent(parts[:-1])
    mark, name = parse_mark(parts[-1])
    if mark is Mark.IGNORED:
        return 0
    if mark is Mark.OPAQUE:
        os.setxattr(parent, OPAQUE_ATTRIBUTE, b"y")
        return 0
    if mark is Mark.DELETED:
        delete_below(parent, name)
        return 0
    if entry.kind == tarball.DIRECTORY:
        make_directory(parent, name)
        return tree.finish_directory(b"/".join(parts), entry)
    if entry.kind in (tarball.CHARACTER, tarball.BLOCK_DEVICE):
        return 1
    if entry.kind == tarball.HARD_LINK:
        return _make_hard_link(tree, parent, name, entry, limits)
    return _make_file(stream, parent, name, entry)


def split_name(name: bytes, longest: int) -> list[bytes]:
    """The parts of a member's name below the root; `..` is refused, a leading slash means the root."""
    if len(name) > longest:
        raise OverLimit(f"the name {shown(name)} has {len(name)} bytes, more than {longest}, the limit")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BadImage(f"the name {shown(name)} has a part .. in it, which could lead out of the layer")
    if b"\0" in name or any(len(part) > _LONGEST_PART for part in parts):
        raise BadImage(f"the name {shown(name)} is none that a file can have")
    return parts


def _make_hard_link(tree: Tree, parent: int, name: bytes, entry: Entry, limits: Limits) -> int:
    target = split_name(entry.link, limits.name_bytes)
    if not target:
        raise BadImage(f"{entry.shown} is a hard link to the root of the layer")
    no_file = f"{entry.shown} is a hard link to {shown(entry.link)}, which is no file of the layer"
    try:
        above = tree.open(b"/".join(target[:-1]))
    except (FileNotFoundError, NotADirectoryError):
        raise BadImage(no_file) from None
    try:
        found = stat_of(above, target[-1])
        if found is None or stat.S_ISDIR(found.st_mode) or is_whiteout(above, target[-1]):
            raise BadImage(no_file)
        there = stat_of(parent, name)
        if there is not None and (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino):
            return 0
        clear(parent, name)
        os.link(target[-1], name, src_dir_fd=above, dst_dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(above)
    return 0


def _make_file(stream: LayerStream, parent: int, name: bytes, entry: Entry) -> int:
    make = {tarball.SYMLINK: _make_symlink, tarball.FIFO: _make_fifo}.get(entry.kind)
    try:
        return make(parent, name, entry) if make else _make_regular(stream, parent, name, entry)
    except FileExistsError:
        clear(parent, name)
    return make(parent, name, entry) if make else _make_regular(stream, parent, name, entry)


def _make_symlink(parent: int, name: bytes, entry: Entry) -> int:
    os.symlink(entry.link, name, dir_fd=parent)
    os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
    return 0


def _make_fifo(parent: int, name: bytes, entry: Entry) -> int:
    os.mkfifo(name, 0o600, dir_fd=parent)
    os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    os.chmod(name, entry.mode, dir_fd=parent)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
    return 0


def _make_regular(stream: LayerStream, parent: int, name: bytes, entry: Entry) -> int:
    fd = os.open(name, _NEW, 0o600, dir_fd=parent)
    try:
        for offset, count in ((0, entry.size),) if entry.segments is None else entry.segments:
            os.lseek(fd, offset, os.SEEK_SET)
            stream.copy(fd, count)
        if entry.segments is not None:
            os.ftruncate(fd, entry.size)
        dropped = set_owner_mode(fd, entry)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
    finally:
        os.close(fd)
    return dropped
