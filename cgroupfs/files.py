"""The one door to cgroup files: a directory held open by fd, so that a namesake is never mistaken for it.

Every read and write in the project goes through `ControlDir`; "gone" is decided here alone, by asking the directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cgroupfs.errors import CgroupGone, NotOffered, ParseError, Refused
from cgroupfs.refusals import explain

READ_SIZE: Final = 65536  # cgroup.procs gives at most one page per read whatever is asked: read until empty
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class ControlDir:
    """One cgroup directory in one hierarchy, held open until `close`."""

    path: str
    fd: int
    inode: int

    @classmethod
    def open(cls, path: str) -> ControlDir:
        """Hold the directory `path`; `CgroupGone` if there is none."""
        try:
            fd = os.open(path, DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as e:
            raise CgroupGone(path) from e
        return cls(path, fd, os.fstat(fd).st_ino)

    def open_child(self, name: str) -> ControlDir:
        """Hold the directory `name` below this one; `CgroupGone` if there is none."""
        path = f"{self.path.rstrip('/')}/{name}"
        try:
            fd = os.open(name, DIRECTORY, dir_fd=self.fd)
        except (FileNotFoundError, NotADirectoryError) as e:
            raise CgroupGone(path) from e
        return ControlDir(path, fd, os.fstat(fd).st_ino)

    def open_parent(self) -> ControlDir:
        """Hold the directory above this one."""
        try:
            fd = os.open("..", DIRECTORY, dir_fd=self.fd)
        except FileNotFoundError as e:
            raise CgroupGone(self.path) from e
        return ControlDir(os.path.dirname(self.path), fd, os.fstat(fd).st_ino)

    def close(self) -> None:
        os.close(self.fd)

    def alive(self) -> bool:
        """Does the directory that we hold still exist? A removed one keeps its fd but loses all files."""
        try:
            os.stat("cgroup.procs", dir_fd=self.fd)
        except FileNotFoundError:
            return False
        return True

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
        with self._gone_is_an_error():
            try:
                fd = self.open_file(name, os.O_RDONLY)
            except NotOffered:
                return None
            try:
                return _read_all(fd)
            except OSError as e:
                # EOPNOTSUPP: the file is shown but has no meaning here, such as pressure in a kernel with psi=0.
                if e.errno == errno.EOPNOTSUPP:
                    return None
                raise
            finally:
                os.close(fd)

    def write(self, name: str, value: str) -> None:
        """Write `value`; `Refused` with the reason, `NotOffered` or `CgroupGone` if it cannot be."""
        try:
            # Never O_CREAT: a mistyped name must be ENOENT, on a fake tree too.
            fd = self.open_file(name, os.O_WRONLY | os.O_TRUNC)
            try:
                os.write(fd, value.encode())
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
            return os.open(name, flags | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError as e:
            if e.errno == errno.ENOENT and self.alive():
                raise NotOffered(self.path, name) from e
            if e.errno in (errno.ENOENT, errno.ENODEV):
                raise CgroupGone(self.path) from e
            raise

    def files(self) -> set[str]:
        """Names of the control files here."""
        return {entry for entry in self._entries() if "." in entry or entry == "tasks"}

    def children(self) -> list[str]:
        """Names of the cgroups directly below, sorted."""
        return sorted(name for name in self._entries() if self._is_directory(name))

    def make_child(self, name: str) -> bool:
        """Make the cgroup `name` below; False if it was there."""
        try:
            os.mkdir(name, 0o755, dir_fd=self.fd)
        except FileExistsError:
            return False
        except FileNotFoundError as e:
            raise CgroupGone(self.path) from e
        except OSError as e:
            code = e.errno or 0
            raise Refused(f"{self.path}/{name}", "mkdir", "", code, os.strerror(code)) from e
        return True

    def remove_child(self, name: str) -> bool:
        """Remove the empty cgroup `name` below; False if there was none. OSError EBUSY while it is in use."""
        try:
            os.rmdir(name, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        return True

    def _entries(self) -> list[str]:
        try:
            return os.listdir(self.fd)
        except FileNotFoundError as e:
            raise CgroupGone(self.path) from e

    def _is_directory(self, name: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode)
        except FileNotFoundError:  # removed since it was listed
            return False

    def _number(self, name: str) -> str:
        return (self.read(name) or "unknown").strip()

    @contextlib.contextmanager
    def _gone_is_an_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            # A removed cgroup answers ENODEV on files already open and ENOENT on opening one. ENOENT also means
            # "not offered here", so ask the directory which it is.
            if e.errno == errno.ENODEV or (e.errno == errno.ENOENT and not self.alive()):
                raise CgroupGone(self.path) from e
            raise


def _read_all(fd: int) -> bytes:
    chunks = []
    while chunk := os.read(fd, READ_SIZE):
        chunks.append(chunk)
    return b"".join(chunks)
