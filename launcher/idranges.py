"""Which host ids belong to which container: ranges that overlap neither one another nor the host's own.

A range is on record in the container's directory, durably before its program starts, and it is free again
when that directory is gone: there is no list that a crash could leave wrong. Daemon only.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from launcher import records
from launcher.errors import BadSpec
from launcher.scene.userns import IdRange

# Above what distributions give to users (subuid from 100000) and below 2^31, where some programs end.
FIRST: Final = 1 << 30
END: Final = 1 << 31
USUAL_SIZE: Final = 1 << 16
SMALLEST_SIZE: Final = 1024
LARGEST_SIZE: Final = 1 << 24
_HOSTS_RANGES: Final = ("/etc/subuid", "/etc/subgid")
_HOSTS_IDS: Final = ("/etc/passwd", "/etc/group")


class IdRanges:
    """The ranges of one state directory."""

    def __init__(self, containers_dir: str) -> None:
        self._containers_dir = containers_dir
        self._lock = threading.Lock()
        # By container; read once, then kept: 200 launches at once must not read 200 records each.
        self._held: dict[str, IdRange] | None = None

    def of(self, name: str, userns: str) -> IdRange | None:
        """The container's range, chosen now if it has none; None where it uses the host's ids.

        Where its directory is there, the range is put on record in it. That becomes durable with the record
        of the first process, which repeats it.
        """
        with self._lock:
            if userns == "host":
                if self._held is not None:
                    self._held.pop(name, None)
                return None
            held = self._known()
            held.pop(name, None)
            directory = f"{self._containers_dir}/{name}"
            if (chosen := _read(directory)) is None:
                chosen = _read_of_first(directory) or self._lowest_free(size_of(userns))
                with contextlib.suppress(FileNotFoundError), records.opened_directory(directory) as fd:
                    records.write_record(fd, records.IDS, asdict(chosen), durable=False)
            held[name] = chosen
            return chosen

    def _known(self) -> dict[str, IdRange]:
        """All ranges of containers whose directories are there."""
        if self._held is None:
            self._held = {}
            for name in os.listdir(self._containers_dir):
                directory = f"{self._containers_dir}/{name}"
                if (found := _read(directory) or _read_of_first(directory)) is not None:
                    self._held[name] = found
        gone = [name for name in self._held if not os.path.isdir(f"{self._containers_dir}/{name}")]
        for name in gone:
            del self._held[name]
        return self._held

    def _lowest_free(self, size: int) -> IdRange:
        base = FIRST
        for taken in sorted(self._taken(), key=lambda taken: taken.base):
            if taken.base + taken.size <= base:
                continue
            if base + size <= taken.base:
                break
            base = taken.base + taken.size
        if base + size > END:
            raise BadSpec("userns", f"no range of {size} ids is free; remove containers that hold one")
        return IdRange(base, size)

    def _taken(self) -> Iterator[IdRange]:
        yield from self._known().values()
        for path in _HOSTS_RANGES:
            yield from parse_subordinate_ids(_text(path))
        for path in _HOSTS_IDS:
            yield from parse_ids(_text(path))


def size_of(userns: str) -> int:
    """`auto` or `auto:SIZE`."""
    _, _, size = userns.partition(":")
    if size and not SMALLEST_SIZE <= int(size) <= LARGEST_SIZE:
        raise BadSpec("userns", f"a container has from {SMALLEST_SIZE} to {LARGEST_SIZE} ids, not {size}")
    return int(size) if size else USUAL_SIZE


def _read(directory: str) -> IdRange | None:
    return _range(records.read_record(directory, records.IDS))


def _read_of_first(directory: str) -> IdRange | None:
    """A crash of the host may have taken the range's own record."""
    intent = (records.read_record(directory, records.INIT) or {}).get("intent")
    return _range(intent.get("ids")) if isinstance(intent, dict) else None


def _range(wire: object) -> IdRange | None:
    """None for what is damaged, and for none."""
    if isinstance(wire, dict) and all(isinstance(wire.get(key), int) for key in ("base", "size")):
        return IdRange(wire["base"], wire["size"])
    return None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def parse_subordinate_ids(text: str) -> Iterator[IdRange]:
    """subuid(5): `user:first:count`; other lines are not ours to judge."""
    for line in text.splitlines():
        field = line.split(":")
        if len(field) == 3 and field[1].isdecimal() and field[2].isdecimal() and int(field[2]):
            yield IdRange(int(field[1]), int(field[2]))


def parse_ids(text: str) -> Iterator[IdRange]:
    """passwd(5), group(5): the third field."""
    for line in text.splitlines():
        field = line.split(":")
        if len(field) > 2 and field[2].isdecimal():
            yield IdRange(int(field[2]), 1)
