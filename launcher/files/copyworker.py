"""The process that copies in and out of a container: rooted in its root, with its ids, and with few rights.

A fresh interpreter, since the daemon has threads and must not fork. Started by `copying`; everything is
imported before the root changes, and nothing is resolved outside it: not through a link, not through what
becomes one meanwhile (docker CVE-2018-15664), not by what the kernel's own links in /proc lead to.
"""

from __future__ import annotations

import encodings.ascii
import encodings.utf_8  # noqa: F401
import errno
import json
import os
import signal
import stat
import sys
from typing import Any, BinaryIO, Final

from launcher import syscalls
from launcher.files.tarring import Packer
from launcher.files.untar import BadArchive, Unpacker, emptied, opened_archive, write_all

_PR_SET_PDEATHSIG: Final = 1
# CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID
_CAPABILITIES: Final = sum(1 << number for number in (0, 1, 2, 3, 4))
_INSIDE: Final = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY


def main() -> None:
    """`argv[1]` is the request; an archive comes on descriptor 0 or goes to 1; what went wrong, to 2."""
    request: dict[str, Any] = json.loads(sys.argv[1])
    syscalls.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != request["parent"]:
        return
    try:
        root = _confine(request)
        if request["do"] == "out":
            _copy_out(root, request, os.fdopen(1, "wb", buffering=256 << 10, closefd=False))
        else:
            told = _copy_in(root, request, os.fdopen(0, "rb", buffering=256 << 10, closefd=False))
            os.write(1, json.dumps(told).encode())
    except BadArchive as e:
        _fail(str(e))
    except BrokenPipeError:
        os._exit(1)
    except OSError as e:
        name = "" if e.filename is None else f"{os.fsdecode(e.filename)}: "
        _fail(f"{name}{e.strerror or e}")


def _fail(why: str) -> None:
    os.write(2, json.dumps({"why": why}).encode())
    os._exit(1)


def _confine(request: dict[str, Any]) -> int:
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    root: int = request["root_fd"]
    os.fchdir(root)
    if request["userns_fd"] is not None:
        syscalls.setns(request["userns_fd"], syscalls.CLONE_NEWUSER)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    os.chroot(".")
    os.umask(0)
    sys.path.clear()
    sys.meta_path.clear()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.capset(_CAPABILITIES)
    return root


def _open_inside(root: int, path: str, flags: int) -> int:
    return syscalls.openat2(root, os.fsencode(path) or b".", flags, _INSIDE)


def _split(path: str) -> tuple[str, str]:
    """Directory and last name; that is empty where the path can only be a directory."""
    above, _, name = path.rpartition("/")
    return (path, "") if name in ("", ".", "..") else (above or "/", name)


def _copy_out(root: int, request: dict[str, Any], out: BinaryIO) -> None:
    path, arcname = request["path"], request["name"]
    above, name = _split(path)
    packer = Packer(out, tuple(request["ids"]))
    if request["follow"] or not name:
        fd = _open_inside(root, path, _READ)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            packer.add_directory(fd, arcname)
        else:
            packer.add_open_file(fd, arcname)
    else:
        place = _open_inside(root, above, os.O_PATH | os.O_DIRECTORY)
        fd_or_none = packer.add(place, name, arcname)
        if fd_or_none is not None:
            packer.add_content(fd_or_none, arcname)
    packer.close()
    out.flush()


def _copy_in(root: int, request: dict[str, Any], source: BinaryIO) -> dict[str, int]:
    """docker's rules: into a directory that is there, else under a new name, or over a file."""
    path: str = request["path"]
    owner = None if request["owners"] else (0, 0)
    try:
        base, rename = _open_inside(root, path, os.O_PATH | os.O_DIRECTORY), None
    except FileNotFoundError:
        base, rename = _new_place(root, request)
    except NotADirectoryError:
        return _copy_onto(root, request, source)
    unpacker = Unpacker(base, owner=owner, rename=rename)
    unpacker.unpack(source)
    return {"entries": unpacker.entries, "skipped": unpacker.skipped}


def _new_place(root: int, request: dict[str, Any]) -> tuple[int, str | None]:
    path: str = request["path"]
    if request["kind"] == "archive":
        raise OSError(errno.ENOENT, "an archive needs a directory that is there", path)
    if request["kind"] == "file" and path.endswith("/"):
        raise OSError(errno.ENOENT, "there is no such directory in the container", path)
    above, name = _split(path.rstrip("/"))
    base = _open_inside(root, above, os.O_PATH | os.O_DIRECTORY)
    if request["kind"] != "contents":
        return base, name
    os.mkdir(name, 0o755, dir_fd=base)
    return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=base), None


def _copy_onto(root: int, request: dict[str, Any], source: BinaryIO) -> dict[str, int]:
    """A file over a file, which keeps its inode, owner and mode: it may be a mount, or behind a link."""
    if request["kind"] != "file":
        raise OSError(errno.ENOTDIR, "is a file in the container, and this is a directory", request["path"])
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
    with opened_archive(source) as archive:
        member = archive.next()
        data = archive.extractfile(member) if member is not None and member.isreg() else None
        if data is None:
            raise OSError(errno.EINVAL, "only a plain file can go over a file", request["path"])
        fd = emptied(_open_inside(root, request["path"], flags))
        while piece := data.read(256 << 10):
            write_all(fd, piece)
        os.close(fd)
    return {"entries": 1, "skipped": 0}
