"""How a statistic is made of kernel files: one definition for a single read, kept fds and the documentation.

A statistic names its `Source` files, each with a parser of bytes, and builds its value of what they gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from cgroupfs.errors import ParseError
from cgroupfs.files import ControlDir
from cgroupfs.values import LONGEST_NUMBER, parse_word

MOST_LAYOUTS: Final = 8

Dirs: TypeAlias = Mapping[str, ControlDir]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(NamedTuple):
    """One file of a statistic: in which controller's directory, its name, and bytes -> value."""

    controller: str
    file: str
    parse: Callable[[bytes], Any]


class Statistic(Protocol[T_co]):
    """Files and what is built of them."""

    @property
    def sources(self) -> Sequence[Source]: ...

    def build(self, values: Sequence[Any]) -> T_co | None:
        """The statistic of the parsed sources, None standing for a file that is not offered."""
        ...


def read_statistic(statistic: Statistic[T], dirs: Dirs) -> T | None:
    """Read every source once and build; None if the kernel offers no such statistic here."""
    return statistic.build([_read_source(source, dirs) for source in statistic.sources])


def _read_source(source: Source, dirs: Dirs) -> object:
    directory = dirs.get(source.controller)
    raw = None if directory is None else directory.read_bytes(source.file)
    return None if raw is None else source.parse(raw)


def parse_number(what: str) -> Callable[[bytes], int]:
    """A parser of files that hold one decimal."""

    def parse(raw: bytes) -> int:
        return parse_word(raw.strip(), what)

    return parse


class _Layout(NamedTuple):
    """Where the wanted keys of one file stood: replaced as a whole, since several threads read."""

    keys: list[bytes]  # all of the file's, wanted or not
    pick_numbers: Callable[[list[bytes]], tuple[bytes, ...]]
    most_digits: int
    places: tuple[int | None, ...] | None  # of each wanted key among those present; None if all are


class Picker(Generic[T]):
    """Picks the numbers of some keys out of a flat keyed file, by position.

    Building a dict of a `memory.stat` costs as much as reading it. The kernel prints the same keys in the
    same order every time, so positions are learnt once, and that all keys are the same is seen on every call.
    """

    def __init__(
        self,
        what: str,
        make: Callable[[Iterable[Any]], T],
        keys: Sequence[str],
        optional: Sequence[str] = (),
        start: str = "",
    ) -> None:
        """`make` gets the numbers in the order of `keys`, None for an `optional` one that the kernel lacks.

        `start`: the key from which on all wanted keys stand, so that the part before it need not be split.
        """
        self._what = what
        self._make = make
        self._keys = tuple(key.encode() for key in keys)
        self._required = frozenset(key.encode() for key in keys if key not in optional)
        self._start = f"\n{start} ".encode() if start else None
        self._layouts: dict[
            int, _Layout
        ] = {}  # by the number of words: cgroups may differ in what they offer

    def __call__(self, raw: bytes) -> T:
        words = (raw if self._start is None else raw[raw.find(self._start) + 1 :]).split()
        layout = self._layouts.get(len(words))
        if layout is None or words[::2] != layout.keys:
            layout = self._learn(words, raw)
        numbers = layout.pick_numbers(words)
        digits = b"".join(numbers)  # one look at all of them costs less than one at each
        if not digits.isdigit() or len(digits) > layout.most_digits:
            raise ParseError(self._what, raw[:81])
        found = map(int, numbers)
        if layout.places is None:
            return self._make(found)
        known = tuple(found)
        return self._make([None if place is None else known[place] for place in layout.places])

    def _learn(self, words: list[bytes], raw: bytes) -> _Layout:
        """The slow way: find every key, and remember where it stood."""
        keys = words[::2]
        present = [key for key in self._keys if key in keys]
        if len(words) % 2 or len(present) < 2 or not self._required.issubset(present):
            raise ParseError(self._what, raw[:81])
        all_there = len(present) == len(self._keys)
        layout = _Layout(
            keys,
            itemgetter(*(2 * keys.index(key) + 1 for key in present)),
            LONGEST_NUMBER * len(present),
            None if all_there else tuple(present.index(k) if k in present else None for k in self._keys),
        )
        if len(self._layouts) >= MOST_LAYOUTS:
            self._layouts = {}
        self._layouts[len(words)] = layout
        return layout
