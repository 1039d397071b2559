"""Tar headers, parsed one after the other: ustar, pax, GNU, and the sparse forms of the last two.

Our own, because tarfile believes what it reads: it takes a header's size as memory, and its extraction has no
filter in Python 3.11. Where formats leave room, this reads as Go's archive/tar does, which made the digests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from launcher.images.errors import BadImage, OverLimit, TooManyEntries
from launcher.images.sparse import Segments, check_segments, parse_old_map, parse_pax_map, read_map

BLOCK: Final = 512
LARGEST_EXTENSION_BYTES: Final = 1 << 20
"""Of one pax or GNU header: names, and extended attributes of at most 64 KiB each."""
REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0123456"
_OLD_SPARSE: Final = ord("S")
_EXTENSIONS: Final = frozenset(b"gxLK")
_REGULAR_TOO: Final = frozenset(b"\x007S")
_KNOWN: Final = frozenset(b"0123456")
_TIME: Final = re.compile(rb"(-?)([0-9]{1,15})(?:\.([0-9]*))?")
_XATTR: Final = b"SCHILY.xattr."
_EMPTY: Final = bytes(BLOCK)
_ID_LIMIT: Final = (1 << 32) - 1
_SIZE_LIMIT: Final = 1 << 63


class Bytes(Protocol):
    """What headers are read from."""

    position: int

    def read(self, count: int) -> bytes: ...

    def skip(self, count: int) -> None: ...


@dataclass(slots=True)
class Entry:
    """One member. `kind` is one of the seven above; `data_size` bytes follow, to be read or left."""

    name: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    size: int
    data_size: int
    mtime_ns: int
    link: bytes = b""
    rdev: tuple[int, int] = (0, 0)
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    segments: Segments | None = None

    @property
    def shown(self) -> str:
        """The name for an error."""
        return shown(self.name)


def shown(name: bytes) -> str:
    """Bytes that somebody chose, short and without control characters."""
    text = name[:120].decode(errors="replace") + ("…" if len(name) > 120 else "")
    return repr("".join(char if char.isprintable() else "?" for char in text))


Records = list[tuple[bytes, bytes]]


def read_entries(stream: Bytes, most: int) -> Iterator[Entry]:
    """Each entry; the caller may read its data before it asks for the next one."""
    records: Records = []
    count = said_bytes = 0
    while (header := _read_header(stream)) is not None:
        kind = header[156]
        if kind in _EXTENSIONS:
            said_bytes += _extension_size(header, said_bytes)
            records += _read_extension(stream, header, kind)
            continue
        count += 1
        if count > most:
            raise TooManyEntries(most)
        entry = _parse_entry(header, kind, dict(records))
        if kind == _OLD_SPARSE:
            entry.segments, entry.size = parse_old_map(header, stream.read, parse_number)
        end = stream.position + _padded(entry.data_size)
        _read_pax_sparse(stream, entry, records)
        if entry.segments is not None:
            check_segments(entry.segments, entry.data_size, entry.size)
        yield entry
        stream.skip(end - stream.position)
        records, said_bytes = [], 0


def _read_header(stream: Bytes) -> bytes | None:
    """None at the end: two blocks of zeros (one will do, as in Go), or no more bytes."""
    header = stream.read(BLOCK)
    if not header or header == _EMPTY:
        return None
    if len(header) < BLOCK:
        raise BadImage("the archive ends in the middle of a header")
    unsigned = sum(header) - sum(header[148:156]) + 8 * 32
    wanted = parse_number(header[148:156])
    if wanted != unsigned and wanted != _signed_sum(header):
        raise BadImage("this is no tar archive, or it is damaged: the checksum of a header is wrong")
    return header


def _signed_sum(header: bytes) -> int:
    """As some old programs took it, whose characters had a sign."""
    rest = header[:148] + b" " * 8 + header[156:]
    return sum(byte - 256 if byte > 127 else byte for byte in rest)


def _extension_size(header: bytes, before: int) -> int:
    size = parse_number(header[124:136])
    if size < 0 or before + size > LARGEST_EXTENSION_BYTES:
        raise OverLimit(f"headers say more than {LARGEST_EXTENSION_BYTES} bytes about one entry, the limit")
    return size + BLOCK  # so that empty ones cannot go on for ever


def _read_extension(stream: Bytes, header: bytes, kind: int) -> Records:
    size = parse_number(header[124:136])
    text = stream.read(size)
    if len(text) < size:
        raise BadImage("the archive ends in the middle of a header")
    stream.skip(_padded(size) - size)
    if kind == ord("x"):
        return parse_pax(text)
    if kind == ord("g"):
        return []  # global: passed over, as docker and containerd do; git puts its commit there
    return [(b"path" if kind == ord("L") else b"linkpath", text.partition(b"\0")[0])]


def parse_pax(text: bytes) -> Records:
    """Records `LENGTH KEY=VALUE\\n`, in order; a value may hold anything, a newline too (POSIX pax)."""
    records: Records = []
    at = 0
    while at < len(text):
        number, space, _ = text[at : at + 21].partition(b" ")
        if not space or not number.isdigit():
            raise BadImage("a pax header is damaged")
        length = int(number)
        record = text[at : at + length]
        key, equals, value = record[len(number) + 1 :].partition(b"=")
        if length <= len(number) + 1 or len(record) < length or not equals or not value.endswith(b"\n"):
            raise BadImage("a pax header is damaged")
        records.append((key, value[:-1]))
        at += length
    return records


def _parse_entry(header: bytes, kind: int, said: dict[bytes, bytes]) -> Entry:
    name = said.get(b"path") or _header_name(header)
    is_regular = kind in _REGULAR_TOO or kind == REGULAR
    if is_regular and name.endswith(b"/"):
        kind = DIRECTORY  # so in archives from before there were types
    elif is_regular:
        kind = REGULAR
    elif kind not in _KNOWN:
        raise BadImage(f"{shown(name)} is of the kind {chr(kind)!r}, which is not unpacked here")
    size = _parse_size(said[b"size"]) if b"size" in said else parse_number(header[124:136])
    if not 0 <= size < _SIZE_LIMIT:
        raise BadImage(f"{shown(name)} has a size that no file can have")
    data_size = size if kind == REGULAR else 0
    return Entry(
        name=name,
        kind=kind,
        mode=parse_number(header[100:108]) & 0o7777,
        uid=_parse_id(said.get(b"uid"), header[108:116], name),
        gid=_parse_id(said.get(b"gid"), header[116:124], name),
        size=size,
        data_size=data_size,
        mtime_ns=_parse_mtime(said.get(b"mtime"), header[136:148]),
        link=said.get(b"linkpath") or header[157:257].partition(b"\0")[0],
        rdev=(parse_number(header[329:337]), parse_number(header[337:345]))
        if kind in (CHARACTER, BLOCK_DEVICE)
        else (0, 0),
        xattrs={key.removeprefix(_XATTR): value for key, value in said.items() if key.startswith(_XATTR)},
    )


def _header_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    if header[257:263] != b"ustar\0":
        return name  # GNU's magic is "ustar ", and it has other things where the prefix would be
    longest = 131 if header[508:512] == b"tar\0" else 155
    prefix = header[345 : 345 + longest].partition(b"\0")[0]
    return prefix + b"/" + name if prefix else name


def _read_pax_sparse(stream: Bytes, entry: Entry, records: Records) -> None:
    said = {key: value for key, value in records if key.startswith(b"GNU.sparse.")}
    if not said:
        return
    if said.get(b"GNU.sparse.major") == b"1" and said.get(b"GNU.sparse.minor") == b"0":
        before = stream.position
        entry.segments = read_map(stream.read)
        entry.data_size -= stream.position - before
    elif b"GNU.sparse.map" in said or b"GNU.sparse.numblocks" in said:
        entry.segments = parse_pax_map(records)
    else:
        return
    entry.name = said.get(b"GNU.sparse.name") or entry.name
    real_size = said.get(b"GNU.sparse.realsize") or said.get(b"GNU.sparse.size")
    if real_size is None:
        raise BadImage(f"{entry.shown} is a sparse file without a size")
    entry.size = _parse_size(real_size)


def parse_number(field: bytes) -> int:
    """Octal digits, or base 256 where the first bit is set; an empty field is 0."""
    if field and field[0] & 0x80:
        value = int.from_bytes(field, "big")
        if field[0] == 0xFF:
            return value - (1 << (8 * len(field)))
        return value & ((1 << (8 * len(field) - 1)) - 1)
    digits = field.strip(b" \0").partition(b"\0")[0].strip()
    if not digits:
        return 0
    try:
        return int(digits, 8) if digits.isdigit() else -1
    except ValueError:
        raise BadImage("a header has something that is no number") from None


def _parse_size(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise BadImage("a pax header has a size that is no number")
    return int(text)


def _parse_id(text: bytes | None, field: bytes, name: bytes) -> int:
    number = parse_number(field) if text is None else int(text) if text.isdigit() and len(text) < 12 else -1
    if not 0 <= number < _ID_LIMIT:
        raise BadImage(f"{shown(name)} belongs to an id that no user or group can have")
    return number


def _parse_mtime(text: bytes | None, field: bytes) -> int:
    """Nanoseconds; a time that no file system holds becomes the nearest that ext4 does."""
    if text is None:
        value = parse_number(field) * 10**9
    elif match := _TIME.fullmatch(text):
        sign, whole, fraction = match.groups()
        value = int(whole) * 10**9 + int((fraction or b"")[:9].ljust(9, b"0"))
        value = -value if sign else value
    else:
        raise BadImage("a pax header has a time that is no number")
    return max(0, min(value, ((1 << 34) - (1 << 31) - 1) * 10**9))


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
