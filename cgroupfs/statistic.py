"""How a statistic is made of kernel files: one definition for a single read, kept fds and the documentation.

A statistic names its `Source` files, each with a parser of bytes, and builds its value of what they gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from cgroupfs.errors import ParseError
from cgroupfs.files import ControlDir

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
        digits = raw.strip()
        if not digits.isdigit() or len(digits) > 20:
            raise ParseError(what, repr(raw[:80]))
        return int(digits)

    return parse


class _Layout(NamedTuple):
    """Where the wanted keys of one file stood: replaced as a whole, since several threads read."""

    pick_keys: Callable[[list[bytes]], tuple[bytes, ...]]
    present: tuple[bytes, ...]
    pick_numbers: Callable[[list[bytes]], tuple[bytes, ...]]
    places: tuple[int | None, ...] | None  # of each key among those present; None if all are


class Picker(Generic[T]):
    """Picks the numbers of some keys out of a flat keyed file, by position.

    Building a dict of a `memory.stat` costs as much as reading it. The kernel prints the same keys in the
    same order every time, so positions are learnt once and the keys found there are compared on every call.
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
        self._optional = {key.encode() for key in optional}
        self._start = f"\n{start} ".encode() if start else None
        self._layout: _Layout | None = None

    def __call__(self, raw: bytes) -> T:
        words = (raw if self._start is None else raw[raw.find(self._start) + 1 :]).split()
        layout = self._layout
        try:
            if layout is None or layout.pick_keys(words) != layout.present:
                return self._learn_and_pick(words, raw)
            numbers = map(int, layout.pick_numbers(words))
            if layout.places is None:
                return self._make(numbers)
            found = tuple(numbers)
        except (IndexError, ValueError):
            return self._learn_and_pick(words, raw)
        return self._make([None if place is None else found[place] for place in layout.places])

    def _learn_and_pick(self, words: list[bytes], raw: bytes) -> T:
        """The slow way: find every key, and remember where it stood."""
        at = {key: index for index, key in enumerate(words) if index % 2 == 0}
        present = tuple(key for key in self._keys if key in at)
        if len(words) % 2 or not self._optional.issuperset(set(self._keys).difference(present)):
            raise ParseError(self._what, repr(raw[:80]))
        numbers = {key: _parse_word(words[at[key] + 1], self._what) for key in present}
        if len(present) > 1:  # itemgetter of one item gives no tuple
            all_there = len(present) == len(self._keys)
            self._layout = _Layout(
                itemgetter(*(at[key] for key in present)),
                present,
                itemgetter(*(at[key] + 1 for key in present)),
                None if all_there else tuple(present.index(k) if k in at else None for k in self._keys),
            )
        return self._make([numbers.get(key) for key in self._keys])


def _parse_word(word: bytes, what: str) -> int:
    if not word.isdigit() or len(word) > 20:
        raise ParseError(what, repr(word[:80]))
    return int(word)
