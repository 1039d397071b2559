"""A mutator of seeds, blind but repeatable: for the run among the tests, and where there is no atheris."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tests.fuzz.harness import SEPARATOR

MOST_CHANGES: Final = 4
PIECES: Final = (
    *(b"0", b"1", b"-1", b"+1", b"1_0", b"1e3", b"0x1", b"18446744073709551615", b"9" * 21, b"7" * 5000),
    *(
        b"max",
        b"default",
        b"total",
        b"N0=1",
        b"=",
        b":",
        b"8:0",
        b"-",
        b",",
        b"0-3",
        b"3-1",
        b"0-99999999",
        b"*",
    ),
    *(b" ", b"\t", b"\n", b"\r", b"\0", b"\x0c", b"\xa0", b"\xff", "\u0663".encode(), "\u2028".encode()),
    SEPARATOR,
)
Change = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def mutate(seeds: Sequence[bytes], name: str, count: int) -> Iterator[bytes]:
    """The seeds, then changed ones up to `count` in all: the same ones for the same `name`."""
    yield from seeds[:count]
    chance = random.Random(name)
    for _ in range(count - len(seeds)):
        data = chance.choice(seeds)
        for _ in range(chance.randint(1, MOST_CHANGES)):
            data = chance.choice(CHANGES)(chance, data, seeds)
        yield data


def _span(chance: random.Random, data: bytes) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.randint(0, 12))


def _insert_piece(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, _ = _span(chance, data)
    return data[:start] + chance.choice(PIECES) + data[start:]


def _replace_word(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    words = data.split(b" ")
    words[chance.randrange(len(words))] = chance.choice(PIECES)
    return b" ".join(words)


def _delete(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(chance, data)
    return data[:start] + data[end:]


def _repeat(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(chance, data)
    return data[:end] + data[start:end] * chance.randint(1, 8) + data[end:]


def _flip(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    start, _ = _span(chance, data)
    return data[:start] + bytes([chance.randrange(256)]) + data[start + 1 :]


def _shuffle_lines(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


def _drop_line(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(line for line in lines if chance.random() < 0.8)


def _cross(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    other = chance.choice(seeds)
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _follow(chance: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    return chance.choice(seeds) + SEPARATOR + data


CHANGES: Final[tuple[Change, ...]] = (
    _insert_piece,
    _replace_word,
    _delete,
    _repeat,
    _flip,
    _shuffle_lines,
    _drop_line,
    _cross,
    _follow,
)
