"""A layer as it arrives: read once, hashed as it is, decompressed, hashed again, and counted all the while.

Nothing here trusts the input: output is asked for in bounded pieces, so that a few bytes cannot become
gigabytes of memory, and what comes out is held against a number of bytes and a ratio.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import zstandard

from launcher.images.errors import BadImage, OverLimit

PIECE_BYTES: Final = 1 << 18
_MAGIC_BYTES: Final = 6
_ZSTD_WINDOW_BYTES: Final = 1 << 27
_SKIPPABLE: Final = range(0x50, 0x60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where unpacking stops. The ratio counts from `ratio_from_bytes` on: blank files compress well."""

    layer_bytes: int = 32 << 30
    entries: int = 500_000
    name_bytes: int = 4095
    ratio: int = 100
    ratio_from_bytes: int = 1 << 30

    def to_wire(self) -> dict[str, int]:
        """As the worker gets it."""
        return asdict(self)


class Readable(Protocol):
    """Any of the decompressors."""

    def read(self, size: int, /) -> bytes: ...


class HashedFile(io.RawIOBase):
    """A file, or `length` bytes of it from `start` on; `digest` is of what was read so far."""

    def __init__(self, fd: int, start: int | None = None, length: int = 0) -> None:
        self._fd = fd
        self._at = start
        self._left = length
        self._hash = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._at is None:
            piece = os.read(self._fd, len(buffer))
        else:
            piece = os.pread(self._fd, min(len(buffer), self._left), self._at)
            self._at += len(piece)
            self._left -= len(piece)
        buffer[: len(piece)] = piece
        self._hash.update(piece)
        self.count += len(piece)
        return len(piece)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class LayerStream:
    """The uncompressed bytes of a layer, with the digests of both forms once `drain` was called."""

    def __init__(self, fd: int, limits: Limits, start: int | None = None, length: int = 0) -> None:
        self._raw = HashedFile(fd, start, length)
        self._buffered: io.BufferedReader = io.BufferedReader(self._raw, PIECE_BYTES)
        self._limits = limits
        self._plain = _opened(self._buffered)
        self._hash = hashlib.sha256()
        self._piece = memoryview(b"")
        self.position = 0
        self._count = 0

    def read(self, count: int) -> bytes:
        """That many bytes; fewer only at the end."""
        parts = []
        while count and self._fill():
            part = self._piece[:count]
            self._advance(len(part))
            count -= len(part)
            parts.append(part)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def skip(self, count: int) -> None:
        """Leave bytes out; they are hashed all the same."""
        while count:
            if not self._fill():
                raise BadImage("the archive ends in the middle of a file")
            part = min(count, len(self._piece))
            self._advance(part)
            count -= part

    def copy(self, fd: int, count: int) -> None:
        """Write bytes to a file, at its position."""
        while count:
            if not self._fill():
                raise BadImage("the archive ends in the middle of a file")
            written = os.write(fd, self._piece[:count])
            self._advance(written)
            count -= written

    def spool(self, fd: int) -> int:
        """Write everything that is left to a file; how much that was."""
        before = self.position
        while self._fill():
            self.copy(fd, len(self._piece))
        return self.position - before

    def drain(self) -> None:
        """Read the rest, which counts for the digests."""
        while self._fill():
            self._advance(len(self._piece))
        while self._buffered.read(PIECE_BYTES):
            continue

    @property
    def is_plain(self) -> bool:
        """Whether it is not compressed."""
        return self._plain is self._buffered

    @property
    def digest(self) -> str:
        """Of the bytes as they came."""
        return self._raw.digest

    @property
    def diff_id(self) -> str:
        """Of the uncompressed bytes."""
        return f"sha256:{self._hash.hexdigest()}"

    def _advance(self, count: int) -> None:
        self._piece = self._piece[count:]
        self.position += count

    def _fill(self) -> bool:
        if self._piece:
            return True
        try:
            piece = self._plain.read(PIECE_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError) as e:
            raise BadImage(f"the layer cannot be decompressed: {e}") from None
        except OSError as e:
            if e.errno is not None:
                raise
            raise BadImage(f"the layer cannot be decompressed: {e}") from None
        except MemoryError:
            raise OverLimit("decompressing the layer takes more memory than is given to it") from None
        self._hash.update(piece)
        self._count += len(piece)
        self._check()
        self._piece = memoryview(piece)
        return bool(piece)

    def _check(self) -> None:
        limits = self._limits
        if self._count > limits.layer_bytes:
            raise OverLimit(f"the layer is larger than {limits.layer_bytes} bytes, the limit for one")
        if self._count > limits.ratio_from_bytes and self._count > limits.ratio * max(self._raw.count, 1):
            raise OverLimit(
                f"the layer becomes more than {limits.ratio} times as large when it is decompressed, and "
                f"more than {limits.ratio_from_bytes} bytes: that is the limit"
            )


def _opened(raw: io.BufferedReader) -> Readable:
    """By the first bytes, never by a media type that somebody wrote."""
    magic = raw.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if magic.startswith(b"\x28\xb5\x2f\xfd") or (magic[1:4] == b"\x2a\x4d\x18" and magic[0] in _SKIPPABLE):
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        return decompressor.stream_reader(raw, read_across_frames=True, closefd=False)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if magic.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(raw)
    return raw
