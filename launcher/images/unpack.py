"""A layer's entries become files below one directory, whatever names and links the archive was given.

Parents are opened by openat2(IN_ROOT), files made by O_EXCL|O_NOFOLLOW in the directory held open: no name
and no link reaches outside, even were this process not also rooted there (see `worker`). Whiteouts are
written as overlay reads them: a device 0:0 deletes, an attribute makes a directory opaque.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from typing import Final

from launcher import syscalls
from launcher.images import tarball
from launcher.images.errors import BadImage, OverLimit, TooManyEntries
from launcher.images.streams import LayerStream, Limits
from launcher.images.tarball import Entry, shown
from launcher.images.whiteouts import OPAQUE_ATTRIBUTE, Mark, parse_mark
from launcher.removal import remove_tree

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_ROOT: Final = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS | syscalls.RESOLVE_NO_XDEV
_LONGEST_PART: Final = 255
_LARGEST_XATTR_BYTES: Final = 1 << 16
_KEPT_XATTRS: Final = (b"user.", b"security.capability", b"system.posix_acl_")
# Read by overlay itself where it is mounted in a user namespace.
_OVERLAY_XATTRS: Final = b"user.overlay."
_MISSING_DIRECTORY_MODE: Final = 0o755


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
    tree = _Tree(root_fd, limits.entries)
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


def _place(tree: _Tree, stream: LayerStream, entry: Entry, limits: Limits) -> int:
    parts = split_name(entry.name, limits.name_bytes)
    try:
        if not parts:
            return tree.finish_directory(b"", entry) if entry.kind == tarball.DIRECTORY else 1
        return _place_below(tree, stream, entry, parts, limits)
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadImage(f"{entry.shown} cannot be unpacked: {(e.strerror or str(e)).lower()}") from None


def _place_below(tree: _Tree, stream: LayerStream, entry: Entry, parts: list[bytes], limits: Limits) -> int:
    parent = tree.parent(parts[:-1])
    mark, name = parse_mark(parts[-1])
    if mark is Mark.IGNORED:
        return 0
    if mark is Mark.OPAQUE:
        os.setxattr(parent, OPAQUE_ATTRIBUTE, b"y")
        return 0
    if mark is Mark.DELETED:
        _delete_below(parent, name)
        return 0
    if entry.kind == tarball.DIRECTORY:
        _make_directory(parent, name)
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


class _Tree:
    """The directory being filled; the last entry's parent stays open, since the next is often there."""

    def __init__(self, root_fd: int, most: int) -> None:
        self.root_fd = root_fd
        self.count = 0
        self._most = most
        self._times: dict[bytes, int] = {}
        self._held: tuple[bytes, int] | None = None

    def parent(self, parts: list[bytes]) -> int:
        """The directory of that name, made where it is missing; valid until the next call."""
        path = b"/".join(parts)
        if self._held is None or self._held[0] != path:
            fd = self._open_or_make(parts)
            self.close()
            self._held = (path, fd)
        return self._held[1]

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held[1])
            self._held = None

    def open(self, path: bytes, flags: int = _DIRECTORY) -> int:
        """Resolve below the root, links included: theirs is this root as well."""
        return syscalls.openat2(self.root_fd, path or b".", flags, _IN_ROOT)

    def _open_or_make(self, parts: list[bytes]) -> int:
        with contextlib.suppress(FileNotFoundError):
            return self.open(b"/".join(parts))
        fd = self.open(b"")
        for count, part in enumerate(parts, 1):
            above, fd = fd, -1
            try:
                fd = self._step_down(above, parts[:count], part)
            finally:
                os.close(above)
        return fd

    def _step_down(self, above: int, path: list[bytes], part: bytes) -> int:
        """One part further, made where it is missing; a link is resolved from the root."""
        if not _is_link(above, part):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                return os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            if _stat(above, part) is None or _is_whiteout(above, part):
                self.count_one()
                _make_directory(above, part)
                os.chmod(part, _MISSING_DIRECTORY_MODE, dir_fd=above)
        return self.open(b"/".join(path))

    def count_one(self) -> None:
        """An entry, or a directory that an entry needs and that the archive does not have."""
        self.count += 1
        if self.count > self._most:
            raise TooManyEntries(self._most)

    def finish_directory(self, path: bytes, entry: Entry) -> int:
        """Owner, mode and attributes now; the time at the very end, as each file inside changes it."""
        # The entry's own name, never a link's target: what it replaced was made a directory before.
        fd = self.open(path, _DIRECTORY | os.O_NOFOLLOW)
        try:
            dropped = _set_owner_mode(fd, entry)
        finally:
            os.close(fd)
        self._times[path] = entry.mtime_ns
        return dropped

    def set_directory_times(self) -> None:
        for path, mtime_ns in self._times.items():
            with contextlib.suppress(OSError):  # something else has its name by now
                fd = self.open(path, _DIRECTORY | os.O_NOFOLLOW)
                try:
                    os.utime(fd, ns=(mtime_ns, mtime_ns))
                finally:
                    os.close(fd)


def _stat(parent: int, name: bytes) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_link(parent: int, name: bytes) -> bool:
    found = _stat(parent, name)
    return found is not None and stat.S_ISLNK(found.st_mode)


def _is_whiteout(parent: int, name: bytes) -> bool:
    found = _stat(parent, name)
    return found is not None and stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _delete_below(parent: int, name: bytes) -> None:
    """Deletes from the layers below, never what this layer brought, whatever came first."""
    found = _stat(parent, name)
    if found is None:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent)
    elif stat.S_ISDIR(found.st_mode):
        fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            os.setxattr(fd, OPAQUE_ATTRIBUTE, b"y")
        finally:
            os.close(fd)


def _make_directory(parent: int, name: bytes) -> None:
    found = _stat(parent, name)
    if found is not None and stat.S_ISDIR(found.st_mode):
        return
    is_opaque = found is not None and _is_whiteout(parent, name)
    if found is not None:
        os.unlink(name, dir_fd=parent)
    os.mkdir(name, 0o700, dir_fd=parent)
    if is_opaque:
        _delete_below(parent, name)


def _make_hard_link(tree: _Tree, parent: int, name: bytes, entry: Entry, limits: Limits) -> int:
    target = split_name(entry.link, limits.name_bytes)
    if not target:
        raise BadImage(f"{entry.shown} is a hard link to the root of the layer")
    no_file = f"{entry.shown} is a hard link to {shown(entry.link)}, which is no file of the layer"
    try:
        above = tree.open(b"/".join(target[:-1]))
    except (FileNotFoundError, NotADirectoryError):
        raise BadImage(no_file) from None
    try:
        found = _stat(above, target[-1])
        if found is None or stat.S_ISDIR(found.st_mode) or _is_whiteout(above, target[-1]):
            raise BadImage(no_file)
        there = _stat(parent, name)
        if there is not None and (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino):
            return 0
        _clear(parent, name)
        os.link(target[-1], name, src_dir_fd=above, dst_dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(above)
    return 0


def _make_file(stream: LayerStream, parent: int, name: bytes, entry: Entry) -> int:
    make = {tarball.SYMLINK: _make_symlink, tarball.FIFO: _make_fifo}.get(entry.kind)
    try:
        return make(parent, name, entry) if make else _make_regular(stream, parent, name, entry)
    except FileExistsError:
        _clear(parent, name)
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
        dropped = _set_owner_mode(fd, entry)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
    finally:
        os.close(fd)
    return dropped


def _set_owner_mode(fd: int, entry: Entry) -> int:
    """In this order: a new owner takes set-id bits and capabilities away. Returns how many were dropped."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, entry.mode)
    dropped = 0
    for key, value in entry.xattrs.items():
        dropped += not _set_xattr(fd, key, value)
    return dropped


def _set_xattr(fd: int, key: bytes, value: bytes) -> bool:
    if (
        not key.startswith(_KEPT_XATTRS)
        or key.startswith(_OVERLAY_XATTRS)
        or len(value) > _LARGEST_XATTR_BYTES
    ):
        return False
    try:
        os.setxattr(fd, key, value)
    except OSError as e:
        # The file system has none of that kind, or the value is none that the kernel takes.
        if e.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE):
            raise
        return False
    return True


def _clear(parent: int, name: bytes) -> None:
    """Take away what has the name."""
    found = _stat(parent, name)
    if found is None:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    before = os.open(".", _DIRECTORY)
    try:
        os.fchdir(parent)
        remove_tree(os.fsdecode(name))
    finally:
        os.fchdir(before)
        os.close(before)
