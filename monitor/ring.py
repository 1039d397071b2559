"""One container's rows of the last minutes, small enough that a thousand containers fit beside the daemon.

A row is one struct of half and single floats. Equal rows in succession are one run; full pages of rows are
shuffled by byte and deflated. What the floats lose does not matter: a whole number of pages is exact up to
64 GiB and within 6e-8 above, a fraction is within 0.05 %. A quiet container costs a few hundred bytes.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

ROWS_PER_PAGE: Final = 48
FASTEST: Final = 1  # deflate level; the shuffle has done most of the work
NAN: Final = math.nan
HALF: Final = frozenset(
    {  # bounded by 1, so half a float is precise enough
        "cpu_throttled_fraction",
        "cpu_pressure_fraction",
        "memory_pressure_fraction",
        "memory_full_pressure_fraction",
        "io_pressure_fraction",
        "io_full_pressure_fraction",
    }
)

Values: TypeAlias = Sequence[float | None]


class Run(NamedTuple):
    """Ticks `first` to `last`, all with the same values; NaN stands for None."""

    first: int
    last: int
    values: tuple[float, ...]


class Layout:
    """The columns of a ring and how a row of them is packed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.column = {name: i for i, name in enumerate(self.names)}
        self._struct = struct.Struct("<II" + "".join("e" if name in HALF else "f" for name in self.names))
        self.row_bytes = self._struct.size

    def pack(self, first: int, last: int, values: Values) -> bytes:
        return self._struct.pack(first, last, *[NAN if value is None else value for value in values])

    def unpack(self, rows: bytes) -> Iterator[Run]:
        for first, last, *values in self._struct.iter_unpack(rows):
            yield Run(first, last, tuple(values))

    def deflate(self, rows: bytes) -> bytes:
        """Byte i of all rows together: neighbouring rows share signs, exponents and high digits."""
        size = self.row_bytes
        return zlib.compress(b"".join([rows[i::size] for i in range(size)]), FASTEST)

    def inflate(self, page: bytes) -> bytes:
        shuffled = zlib.decompress(page)
        count = len(shuffled) // self.row_bytes
        rows = bytearray(len(shuffled))
        for i in range(self.row_bytes):
            rows[i :: self.row_bytes] = shuffled[i * count : (i + 1) * count]
        return bytes(rows)


class Page(NamedTuple):
    """A full page, deflated."""

    last: int  # tick of its youngest row
    deflated: bytes


class Packed(NamedTuple):
    """A copy of a ring's rows, to be unpacked at leisure."""

    layout: Layout
    pages: list[bytes]
    rest: bytes

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        rows = b"".join([self.layout.inflate(page) for page in self.pages])
        return list(self.layout.unpack(rows + self.rest))


class Ring:
    """Rows of one container, oldest first, of at most the last `capacity` ticks."""

    __slots__ = ("_capacity", "_current", "_first", "_open", "_page_bytes", "_pages", "last_tick", "layout")

    def __init__(self, layout: Layout, capacity: int, stagger: int = 0) -> None:
        """`stagger` makes the first page shorter, so that not all rings deflate in the same tick."""
        self.layout = layout
        self._capacity = capacity
        self._pages: deque[Page] = deque()
        self._open = bytearray()
        self._page_bytes = layout.row_bytes * (1 + stagger % ROWS_PER_PAGE)
        self._current: Values | None = None
        self._first = 0
        self.last_tick = -1

    def append(self, tick: int, values: Values) -> None:
        """The row of `tick`; the very same object as at the tick before only makes the run longer."""
        if values is self._current and tick == self.last_tick + 1:
            self.last_tick = tick
            return
        if self._current is not None:
            self._store(self.layout.pack(self._first, self.last_tick, self._current))
        self._current = values
        self._first = self.last_tick = tick

    def copy(self, since_tick: int = 0) -> Packed:
        """The rows that reach `since_tick` or beyond, still packed: quick, for whoever holds a lock."""
        pages = [page.deflated for page in self._pages if page.last >= since_tick]
        rest = bytes(self._open)
        if self._current is not None:
            rest += self.layout.pack(self._first, self.last_tick, self._current)
        return Packed(self.layout, pages, rest)

    @property
    def memory_bytes(self) -> int:
        """About what the rows take."""
        return sum(len(page.deflated) + 120 for page in self._pages) + len(self._open) + 200

    def _store(self, row: bytes) -> None:
        self._open += row
        if len(self._open) < self._page_bytes:
            return
        self._pages.append(Page(self.last_tick, self.layout.deflate(bytes(self._open))))
        self._open = bytearray()
        self._page_bytes = self.layout.row_bytes * ROWS_PER_PAGE
        while self._pages[0].last <= self.last_tick - self._capacity:
            self._pages.popleft()
