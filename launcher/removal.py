"""Directory trees of ours are removed without ever crossing a mount.

`rmtree` goes wherever paths lead: below a mount that something left in a writable layer, it would delete the
host's own files, as root. Here every step down is an openat2 that refuses to leave the mount it starts on; a
bind mount of the same file system counts as one.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import Final

from launcher import syscalls
from launcher.errors import MountInTheWay

REMOVED: Final = ".removed-"
"""How the name of a container's directory begins while it is being removed."""
DEEPEST: Final = 64
"""Levels that are held open; a container can make its layer as deep as it likes."""
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BENEATH: Final = syscalls.RESOLVE_NO_XDEV | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_BENEATH


def remove_tree(path: str) -> None:
    """Remove a directory and all below it; one that is not there is fine.

    Raises MountInTheWay where something is mounted at `path` or below: that, and what was not reached before
    it, stays.
    """
    above, name = os.path.split(path.rstrip("/"))
    # What is gone already, or removed by somebody else at this moment, needs no removing.
    with contextlib.suppress(FileNotFoundError), _opened(os.open(above or ".", _FLAGS)) as parent:
        with _opened(_step_down(parent, name, path)) as top:
            while os.listdir(top):
                _clear(top, path, top, 0)
        _explained(os.rmdir, name, parent, path)


def try_remove_tree(path: str) -> str | None:
    """None, or in one line why it could not go: for ends that must go on all the same."""
    try:
        remove_tree(path)
    except MountInTheWay as e:
        return str(e)
    except OSError as e:
        return f"{path} could not be removed: {e.strerror or e}"
    return None


def _clear(fd: int, path: str, top: int, level: int) -> None:
    """Remove all that is in a directory. What lies too deep is moved up to the top, for another round."""
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        here = f"{path}/{name}"
        with contextlib.suppress(FileNotFoundError):
            if not is_directory:
                _explained(os.unlink, name, fd, here)
            elif level >= DEEPEST:
                with _mounts_explained(here):
                    os.rename(name, f".deep-{os.urandom(8).hex()}", src_dir_fd=fd, dst_dir_fd=top)
            else:
                with _opened(_step_down(fd, name, here)) as below:
                    _clear(below, here, top, level + 1)
                _explained(os.rmdir, name, fd, here)


def _step_down(fd: int, name: str, path: str) -> int:
    with _mounts_explained(path):
        return syscalls.openat2(fd, os.fsencode(name), _FLAGS, _BENEATH)


def _explained(remove: Callable[..., None], name: str, fd: int, path: str) -> None:
    with _mounts_explained(path):
        remove(name, dir_fd=fd)


@contextlib.contextmanager
def _mounts_explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        # EXDEV: the step would enter another mount. EBUSY: a mount point is not unlinked, renamed or removed.
        if e.errno in (errno.EXDEV, errno.EBUSY):
            raise MountInTheWay(path) from e
        e.filename = path
        raise


@contextlib.contextmanager
def _opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
