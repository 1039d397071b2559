"""What a container has changed, as a list of paths: added, changed, deleted.

Two ways to the same list: overlay's upper layer holds the changes alone; every other driver's tree is walked
beside what it began as. A directory in which something changed is listed as changed, as everywhere in the
trade.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from launcher.errors import LauncherError
from launcher.rootfs.driver import OpenTrees
from launcher.rootfs.entries import differs, is_opaque, is_whiteout, look, opened, unshifted

ADDED: Final = "A"
CHANGED: Final = "C"
DELETED: Final = "D"
OUR_PLACES: Final = frozenset(
    ["/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/console"]
)
"""Where a launch mounts something, and makes an empty place for it if the root has none: no change."""


MOST_FILES: Final = 2_000_000
"""That are looked at; a container makes as many as its file system holds, and each costs us memory."""


class TooMuch(LauncherError):
    def __init__(self) -> None:
        super().__init__(f"more than {MOST_FILES:,} files would have to be looked at to tell what it changed")


Walk = Callable[[int, int, str], Iterator["Change"]]


class Change(NamedTuple):
    """`path` is absolute; `status` is None for what was deleted."""

    kind: str
    path: str
    status: os.stat_result | None

    @property
    def size_bytes(self) -> int | None:
        """Of a regular file; None for everything else."""
        return self.status.st_size if self.status and stat.S_ISREG(self.status.st_mode) else None


def read_changes(trees: OpenTrees) -> list[Change]:
    """All changes, by path, a directory before what is in it. `TooDeep` where no end is in sight."""
    look_in = _Walk(trees.ids)
    walk = look_in.upper if trees.is_upper else look_in.beside
    found = list(walk(trees.base, trees.tree, ""))
    return sorted(found, key=lambda change: change.path.split("/"))


@dataclass(frozen=True, slots=True)
class _Walk:
    """`ids`: of the files in the tree, (what was added to each, how many there are); (0, 0) for none."""

    ids: tuple[int, int]
    seen: Iterator[int] = field(default_factory=itertools.count)

    def upper(self, base: int, upper: int, above: str) -> Iterator[Change]:
        """`base` is -1 where there was nothing."""
        if base >= 0 and is_opaque(upper):
            yield from self.beside(base, upper, above)
            return
        for name in os.listdir(upper):
            now = os.stat(name, dir_fd=upper, follow_symlinks=False)
            before = look(base, name) if base >= 0 else None
            if is_whiteout(now):
                if before is not None:
                    yield Change(DELETED, f"{above}/{name}", None)
                continue
            yield from self._one(base, upper, name, above, before, now, self.upper)

    def beside(self, base: int, tree: int, above: str) -> Iterator[Change]:
        names = set(os.listdir(tree))
        for name in names:
            now = look(tree, name)
            if now is None:
                names = names - {name}
                continue
            before = look(base, name) if base >= 0 else None
            yield from self._one(base, tree, name, above, before, now, self.beside)
        for name in set(os.listdir(base)) - names if base >= 0 else ():
            if look(base, name) is not None:
                yield Change(DELETED, f"{above}/{name}", None)

    def _one(
        self,
        base: int,
        tree: int,
        name: str,
        above: str,
        before: os.stat_result | None,
        now: os.stat_result,
        walk: Walk,
    ) -> Iterator[Change]:
        if next(self.seen) >= MOST_FILES:
            raise TooMuch
        path = f"{above}/{name}"
        now = unshifted(now, *self.ids)
        was_directory = before is not None and stat.S_ISDIR(before.st_mode)
        inside: list[Change] = []
        if stat.S_ISDIR(now.st_mode):
            with contextlib.ExitStack() as held:
                down = held.enter_context(opened(tree, name, path))
                below = held.enter_context(opened(base, name, path)) if was_directory else -1
                inside = list(walk(below, down, path))
        if before is None:
            if path not in OUR_PLACES or inside or (stat.S_ISREG(now.st_mode) and now.st_size):
                yield Change(ADDED, path, now)
        elif inside or differs(base, tree, name, before, now):
            yield Change(CHANGED, path, now)
        yield from inside
