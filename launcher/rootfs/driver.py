"""The protocol of all root file system drivers, and what they have in common on disk."""

from __future__ import annotations

from collections.abc import Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from launcher.errors import LauncherError
from launcher.rootfs.source import RootSource


class DriverUnavailable(LauncherError):
    """This host cannot serve that driver; the line says what is missing."""

    def __init__(self, driver: str, why: str) -> None:
        super().__init__(f"root driver {driver}: {why}")
        self.field = "driver"
        self.why = why


@dataclass(frozen=True, slots=True)
class OpenTrees:
    """A container's changes, open for reading: `base` as it began, `tree` what there is now, as directory
    descriptors. Where `is_upper`, `tree` holds the changes alone, in overlay's format; its owners may have
    been shifted: `ids` is by how much, and how many ids there are.
    """

    base: int
    tree: int
    is_upper: bool
    ids: tuple[int, int] = (0, 0)


class RootDriver(Protocol):
    """Every step may be cut short by a kill -9 and is done again by the next; all of them may block."""

    name: str

    def why_not(self) -> str | None:
        """None, or in one line what this host lacks."""

    def check_storage(self, storage_bytes: int) -> str | None:
        """None where a writable layer can be held to that size, or why not."""

    def source(self, name: str, layers: tuple[str, ...], storage_bytes: int | None) -> RootSource:
        """What `prepare` makes; pure, so that a dry run can tell."""

    def prepare(self, source: RootSource, name: str, storage_bytes: int | None) -> None:
        """Make it; what is there already is kept, since a container may be started again."""

    def trees(self, source: RootSource, name: str) -> AbstractContextManager[OpenTrees]:
        """For `diff` and `commit`."""

    def remove(self, name: str) -> None:
        """Whatever of it is not in the container's own directory; nothing there is fine."""

    def sweep(self, used: Set[str]) -> list[tuple[str, str]]:
        """Remove what belongs to no container in `used`; (name, what it was) for each."""


class Plain:
    """For drivers whose parts all lie in the container's own directory, and go with it."""

    def why_not(self) -> str | None:
        return None

    def remove(self, name: str) -> None:
        return

    def sweep(self, used: Set[str]) -> list[tuple[str, str]]:
        return []
