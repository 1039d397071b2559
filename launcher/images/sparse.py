"""Four ways in which a tar archive says where a sparse file has data (GNU tar's manual, "Sparse Formats")."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Final

from launcher.images.errors import BadImage, OverLimit

Segments = tuple[tuple[int, int], ...]
"""(offset, bytes) of each run of data, in order."""

_BLOCK: Final = 512
_MOST_SEGMENTS: Final = 100_000
_LONGEST_NUMBER: Final = 20

Read = Callable[[int], bytes]
ParseNumber = Callable[[bytes], int]


def parse_old_map(header: bytes, read: Read, parse_number: ParseNumber) -> tuple[Segments, int]:
    """GNU's own type S: four runs in the header, 21 in each block behind it; and the file's real size."""
    found = _runs(header[386:482], parse_number)
    extended = header[482]
    while extended:
        block = read(_BLOCK)
        if len(block) < _BLOCK:
            raise BadImage("the archive ends in the middle of a map of a sparse file")
        found += _runs(block[:504], parse_number)
        _check_count(len(found))
        extended = block[504]
    return tuple(found), parse_number(header[483:495])


def _runs(table: bytes, parse_number: ParseNumber) -> list[tuple[int, int]]:
    runs = []
    for at in range(0, len(table), 24):
        if not table[at] or not table[at + 12]:
            break
        runs.append((parse_number(table[at : at + 12]), parse_number(table[at + 12 : at + 24])))
    return runs


def parse_pax_map(records: Sequence[tuple[bytes, bytes]]) -> Segments:
    """pax 0.0 (a record for each number, in turn) and 0.1 (all of them in one)."""
    numbers = [value for key, value in records if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes")]
    for key, value in records:
        if key == b"GNU.sparse.map":
            numbers = value.split(b",")
    _check_count(len(numbers) // 2)
    return _pairs([_whole(number) for number in numbers])


def read_map(read: Read) -> Segments:
    """pax 1.0: decimal lines at the beginning of the data, filled up to a block."""
    text = b""

    def line() -> int:
        nonlocal text
        while b"\n" not in text:
            block = read(_BLOCK)
            if len(block) < _BLOCK or len(text) > _LONGEST_NUMBER:
                raise BadImage("the map of a sparse file is damaged")
            text += block
        number, _, text = text.partition(b"\n")
        return _whole(number)

    count = line()
    _check_count(count)
    return _pairs([line() for _ in range(2 * count)])


def check_segments(segments: Segments, data_size: int, real_size: int) -> None:
    """Runs in order, inside the file, and together as long as the data: or BadImage."""
    end = 0
    for offset, count in segments:
        if offset < end or count < 0:
            raise BadImage("the map of a sparse file overlaps itself")
        end = offset + count
    if end > real_size or sum(count for _, count in segments) != data_size:
        raise BadImage("the map of a sparse file does not fit the file")


def _pairs(numbers: list[int]) -> Segments:
    if len(numbers) % 2:
        raise BadImage("the map of a sparse file has half a run")
    return tuple(
        zip(itertools.islice(numbers, 0, None, 2), itertools.islice(numbers, 1, None, 2), strict=True)
    )


def _check_count(count: int) -> None:
    if count > _MOST_SEGMENTS:
        raise OverLimit(f"a sparse file has more than {_MOST_SEGMENTS} runs of data, the limit for one")


def _whole(text: bytes) -> int:
    if not text.isdigit() or len(text) > _LONGEST_NUMBER:
        raise BadImage("the map of a sparse file has something that is no number")
    return int(text)
