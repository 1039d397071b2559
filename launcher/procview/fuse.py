"""The part of the kernel's FUSE protocol that a small tree of read-only files needs.

Spoken on /dev/fuse itself (include/uapi/linux/fuse.h): a library would want to mount and to greet on its own,
and could not go on with the connection of a server that was killed.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

LOOKUP: Final = 1
FORGET: Final = 2
GETATTR: Final = 3
OPEN: Final = 14
READ: Final = 15
STATFS: Final = 17
RELEASE: Final = 18
INIT: Final = 26
OPENDIR: Final = 27
READDIR: Final = 28
RELEASEDIR: Final = 29
INTERRUPT: Final = 36
DESTROY: Final = 38
BATCH_FORGET: Final = 42

ROOT: Final = 1
DIRECTORY: Final = 0o040555
FILE: Final = 0o100444
KEEP_SEC: Final = 3600
LARGEST_REQUEST: Final = 1 << 17
_DIRECT_IO: Final = 1
_VERSION: Final = (7, 31)
_UNANSWERED: Final = frozenset({FORGET, BATCH_FORGET, INTERRUPT})
_REQUEST: Final = struct.Struct("=IIQQIIIHH")
_ANSWER: Final = struct.Struct("=IiQ")
_INIT_ANSWER: Final = struct.Struct("=IIIIHHIIHHI7I")
_ATTR: Final = struct.Struct("=QQQQQQIIIIIIIIII")
_ENTRY: Final = struct.Struct("=QQQQII")
_READ: Final = struct.Struct("=QQIIQII")
_OPEN_ANSWER: Final = struct.Struct("=QIi")
_STATFS_ANSWER: Final = struct.Struct("=QQQQQIIII6I")
_DIRENT: Final = struct.Struct("=QQII")


class Node(NamedTuple):
    """A file or directory, under the number that the kernel calls it by.

    sendfile(2) ends at the size, so it must not be too small; one that is too large is put right by reading.
    """

    number: int
    mode: int
    size: int = 0


class Tree(Protocol):
    """What is served. Everything raises OSError with the errno that the reader gets."""

    def find(self, parent: int, name: bytes) -> Node: ...
    def node(self, number: int) -> Node: ...
    def require(self, number: int) -> None: ...
    def read(self, number: int, offset: int, size: int) -> bytes: ...
    def names(self, number: int) -> list[tuple[bytes, Node]]: ...


def answer(tree: Tree, request: bytes) -> bytes | None:
    """The answer to one request, header and all; None for those that want none."""
    size, opcode, unique, number, *_ = _REQUEST.unpack_from(request)
    if opcode in _UNANSWERED:
        return None
    try:
        body = _ACTIONS.get(opcode, _refuse)(tree, number, request[_REQUEST.size : size])
    except OSError as e:
        return _ANSWER.pack(_ANSWER.size, -(e.errno or errno.EIO), unique)
    return _ANSWER.pack(_ANSWER.size + len(body), 0, unique) + body


def failure(request: bytes, code: int) -> bytes | None:
    """The answer that says errno `code`."""
    _size, opcode, unique, *_ = _REQUEST.unpack_from(request)
    return None if opcode in _UNANSWERED else _ANSWER.pack(_ANSWER.size, -code, unique)


def _refuse(_tree: Tree, _number: int, _body: bytes) -> bytes:
    raise OSError(errno.ENOSYS, "not served")


def _init(_tree: Tree, _number: int, body: bytes) -> bytes:
    _major, minor, readahead, _flags = struct.unpack_from("=IIII", body)
    minor = min(minor, _VERSION[1])
    return _INIT_ANSWER.pack(_VERSION[0], minor, readahead, 0, 16, 12, 4096, 1, 1, 0, 0, *([0] * 7))


def _lookup(tree: Tree, parent: int, body: bytes) -> bytes:
    node = tree.find(parent, body.split(b"\0", 1)[0])
    return _ENTRY.pack(node.number, 0, KEEP_SEC, _attr_sec(node), 0, 0) + _attr(node)


def _getattr(tree: Tree, number: int, _body: bytes) -> bytes:
    node = tree.node(number)
    return struct.pack("=QII", _attr_sec(node), 0, 0) + _attr(node)


def _attr_sec(node: Node) -> int:
    """Directories never change; files do in size."""
    return KEEP_SEC if node.mode == DIRECTORY else 0


def _attr(node: Node) -> bytes:
    """Owned by root."""
    links = 2 if node.mode == DIRECTORY else 1
    return _ATTR.pack(node.number, node.size, 0, 0, 0, 0, 0, 0, 0, node.mode, links, 0, 0, 0, 4096, 0)


def _open(tree: Tree, number: int, _body: bytes) -> bytes:
    """Past the page cache: what is read is always new."""
    tree.require(number)
    return _OPEN_ANSWER.pack(0, _DIRECT_IO, 0)


def _read(tree: Tree, number: int, body: bytes) -> bytes:
    _handle, offset, size, *_ = _READ.unpack_from(body)
    return tree.read(number, offset, size)


def _release(_tree: Tree, _number: int, _body: bytes) -> bytes:
    return b""


def _readdir(tree: Tree, number: int, body: bytes) -> bytes:
    _handle, offset, size, *_ = _READ.unpack_from(body)
    listing = b""
    for index, (name, node) in enumerate(tree.names(number)):
        if index < offset:
            continue
        entry = _DIRENT.pack(node.number, index + 1, len(name), node.mode >> 12) + name
        entry += bytes(-len(entry) % 8)
        if len(listing) + len(entry) > size:
            break
        listing += entry
    return listing


def _statfs(_tree: Tree, _number: int, _body: bytes) -> bytes:
    return _STATFS_ANSWER.pack(0, 0, 0, 0, 0, 4096, 255, 4096, 0, *([0] * 6))


_ACTIONS: Final[dict[int, Callable[[Tree, int, bytes], bytes]]] = {
    INIT: _init,
    LOOKUP: _lookup,
    GETATTR: _getattr,
    OPEN: _open,
    OPENDIR: _open,
    READ: _read,
    READDIR: _readdir,
    RELEASE: _release,
    RELEASEDIR: _release,
    STATFS: _statfs,
    DESTROY: _release,
}
