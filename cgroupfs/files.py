"""The one door to cgroup files: a directory known by its inode, so that a namesake is never mistaken for it.

Every read and write goes through `ControlDir`; "gone" is decided here alone, by asking the directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cgroupfs.errors import CgroupGone, NotOffered, ParseError, Refused
from cgroupfs.refusals import explain

READ_SIZE: Final = 65536  # cgroup.procs gives at most one page per read whatever is asked: read until empty
# ... unless the first read is so short: the kernel would have put another line into the same page.
SURELY_ALL: Final = 2048
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True, eq=False)
class ControlDir:
    """One cgroup directory in one hierarchy, told from a namesake by its inode, which no other ever gets.

    `keep` holds it open; else it is opened by path for each use and the inode compared, which saves an fd.
    A kept fd is closed when nobody uses the object any more, so that no thread writes to a number given anew.
    """

    path: str
    inode: int
    device: int
    fd: int = -1

    @classmethod
    def open(cls, path: str, *, keep: bool = True) -> ControlDir:
        """The directory `path`; `CgroupGone` if there is none."""
        return cls._of(_open_directory(path, path), path, keep=keep)

    def open_child(self, name: str, *, keep: bool = True) -> ControlDir:
        """The directory `name` below this one; `CgroupGone` if there is none."""
        path = f"{self.path.rstrip('/')}/{name}"
        with self._held() as fd:
            return self._of(_open_directory(name, path, dir_fd=fd), path, keep=keep)

    def open_parent(self) -> ControlDir:
        """The directory above this one."""
        with self._held() as fd:
            return self._of(
                _open_directory("..", self.path, dir_fd=fd), os.path.dirname(self.path), keep=True
            )

    @classmethod
    def _of(cls, fd: int, path: str, *, keep: bool) -> ControlDir:
        stat = os.fstat(fd)
        if not keep:
            os.close(fd)
        return cls(path, stat.st_ino, stat.st_dev, fd if keep else -1)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self.fd >= 0:
            close(self.fd)

    def unkept(self) -> ControlDir:
        """The same directory without a kept fd."""
        return ControlDir(self.path, self.inode, self.device)

    def close(self) -> None:
        """Let go of the fd now; for one who is the only user."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def alive(self) -> bool:
        """Does this very directory still exist? A removed one that is held has no files any more."""
        try:
            with self._held() as fd:
                os.stat("cgroup.procs", dir_fd=fd)
        except (FileNotFoundError, CgroupGone):
            return False
        return True

    def held(self) -> contextlib.AbstractContextManager[int]:
        """The directory's fd, for a system call that takes one."""
        return self._held()

    @contextlib.contextmanager
    def _held(self) -> Iterator[int]:
        if self.fd >= 0:
            yield self.fd
            return
        fd = self._open_same()
        try:
            yield fd
        finally:
            os.close(fd)

    def _open_same(self) -> int:
        """An fd of this very directory; `CgroupGone` where there is none or a namesake."""
        fd = _open_directory(self.path, self.path)
        stat = os.fstat(fd)
        if (stat.st_ino, stat.st_dev) == (self.inode, self.device):
            return fd
        os.close(fd)
        raise CgroupGone(self.path)

    def opened(self) -> ControlDir:
        """The same directory held open, for several files in a row; its fd goes with the object."""
        return self if self.fd >= 0 else ControlDir(self.path, self.inode, self.device, self._open_same())

    def read(self, name: str) -> str | None:
        """The file's text, or None if this cgroup does not offer the file."""
        data = self.read_bytes(name)
        if data is None:
            return None
        try:
            return data.decode("ascii")
        except UnicodeDecodeError as e:
            raise ParseError(name, repr(data[:80])) from e

    def read_bytes(self, name: str) -> bytes | None:
        """The file's bytes, or None if this cgroup does not offer the file."""
        try:
            fd = self._open_at(name, os.O_RDONLY)
            try:
                return _read_all(fd)
            finally:
                os.close(fd)
        except OSError as e:
            # A removed cgroup answers ENODEV on files already open and ENOENT on opening one. ENOENT also
            # means "not offered here", so ask the directory which it is.
            if e.errno in (errno.ENOENT, errno.ENODEV):
                if self.alive():
                    return None
                raise CgroupGone(self.path) from e
            # The file is there but has no meaning, such as pressure in a kernel started with psi=0.
            if e.errno == errno.EOPNOTSUPP:
                return None
            raise

    def write(self, name: str, value: str) -> None:
        """Write `value`; `Refused` with the reason, `NotOffered` or `CgroupGone` if it cannot be."""
        try:
            # Never O_CREAT: a mistyped name must be ENOENT, on a fake tree too.
            fd = self.open_file(name, os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(fd, value.encode() or b"\n")  # writing no bytes at all would do nothing
            finally:
                os.close(fd)
        except OSError as e:
            code = e.errno or 0
            # A removed cgroup answers ENODEV, and so does a throttle file that was given an unknown disk.
            if code == errno.ENODEV and not self.alive():
                raise CgroupGone(self.path) from e
            raise Refused(self.path, name, value, code, explain(name, value, code, self._number)) from e

    def open_file(self, name: str, flags: int) -> int:
        """An fd of the file, for the caller to keep and close; `NotOffered` if there is no such file."""
        try:
            return self._open_at(name, flags)
        except OSError as e:
            if e.errno == errno.ENOENT and self.alive():
                raise NotOffered(self.path, name) from e
            if e.errno in (errno.ENOENT, errno.ENODEV):
                raise CgroupGone(self.path) from e
            raise

    def files(self) -> set[str]:
        """Names of the control files here."""
        return {entry.name for entry in self._entries() if entry.is_file(follow_symlinks=False)}

    def children(self) -> list[str]:
        """Names of the cgroups directly below, sorted."""
        return sorted(entry.name for entry in self._entries() if entry.is_dir(follow_symlinks=False))

    def make_child(self, name: str) -> bool:
        """Make the cgroup `name` below; False if it was there."""
        try:
            with self._held() as fd:
                os.mkdir(name, 0o755, dir_fd=fd)
        except FileExistsError:
            return False
        except FileNotFoundError as e:
            raise CgroupGone(self.path) from e
        except OSError as e:
            code = e.errno or 0
            why = explain("mkdir", name, code, self._number)
            raise Refused(f"{self.path}/{name}", "mkdir", "", code, why) from e
        return True

    def remove_child(self, name: str) -> bool:
        """Remove the empty cgroup `name` below; False if there was none. OSError EBUSY while it is in use."""
        try:
            with self._held() as fd:
                os.rmdir(name, dir_fd=fd)
        except FileNotFoundError:
            return False
        return True

    def _entries(self) -> list[os.DirEntry[str]]:
        try:
            with self._held() as fd, os.scandir(fd) as entries:
                return list(entries)
        except FileNotFoundError as e:
            raise CgroupGone(self.path) from e

    def _number(self, name: str) -> str:
        return (self.read(name) or "unknown").strip()

    def _open_at(self, name: str, flags: int) -> int:
        if self.fd >= 0:
            return os.open(name, flags | os.O_CLOEXEC, dir_fd=self.fd)
        with self._held() as fd:
            return os.open(name, flags | os.O_CLOEXEC, dir_fd=fd)

    def read_kept(self, fd: int) -> str:
        """The text of a file of this cgroup that the caller keeps open, read anew from its start."""
        try:
            return os.pread(fd, READ_SIZE, 0).decode("ascii")
        except OSError as e:
            if e.errno == errno.ENODEV:
                raise CgroupGone(self.path) from e
            raise


def _open_directory(name: str, path: str, dir_fd: int | None = None) -> int:
    try:
        return os.open(name, DIRECTORY, dir_fd=dir_fd)
    except (FileNotFoundError, NotADirectoryError) as e:
        raise CgroupGone(path) from e


def _read_all(fd: int) -> bytes:
    chunk = os.read(fd, READ_SIZE)
    if len(chunk) < SURELY_ALL:
        return chunk
    chunks = [chunk]
    while chunk := os.read(fd, READ_SIZE):
        chunks.append(chunk)
    return b"".join(chunks)
