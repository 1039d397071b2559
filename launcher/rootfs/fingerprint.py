"""Whether a directory tree is still the one that was copied: inodes and change times of all that is in it."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from launcher import syscalls


def fingerprint(path: str) -> str:
    """A digest that differs once anything below `path` was changed: every change sets a file's change time.

    What is mounted inside is not looked at.
    """
    tree = syscalls.open_tree(syscalls.AT_FDCWD, os.fsencode(path))
    try:
        digest = hashlib.sha256(os.fsencode(path))
        top = os.open(f"/proc/self/fd/{tree}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _add(digest, top)
        finally:
            os.close(top)
    finally:
        os.close(tree)
    return digest.hexdigest()


def _add(digest: Any, top: int) -> None:
    for above, directories, names, fd in os.fwalk(".", dir_fd=top, follow_symlinks=False):
        directories.sort()
        for name in sorted([*directories, *names, "."]):
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            mark = (above, name, found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_ctime_ns)
            digest.update(repr(mark).encode(errors="surrogateescape"))
