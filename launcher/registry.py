"""Which containers there are: looked at by every tick and every request, changed by few; and the locks of
each name.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Final, NamedTuple

from launcher.container import Container
from launcher.errors import NameTaken, UnknownContainer
from launcher.lives.life import Life
from launcher.logreader import LogReader
from launcher.spec import ContainerSpec


class Entry:
    """One run of one name, or none yet. `lock` serializes what changes the container; `ended` is set once its
    end is told and its cgroups are gone, and before it has run. `logs` are being read; they, and `log_lock`,
    outlast the files' names. `life` is what is wished; `held` keeps the restart policy away.
    """

    __slots__ = (
        "container",
        "ended",
        "held",
        "life",
        "lock",
        "log_lock",
        "logs",
        "supervisor_pid",
        "supervisor_ticks",
    )

    def __init__(
        self, container: Container, supervisor_pid: int | None = None, life: Life | None = None
    ) -> None:
        self.container = container
        self.supervisor_pid = supervisor_pid
        self.supervisor_ticks: int | None = None
        self.life = life or Life()
        self.held = False
        self.lock = threading.RLock()
        self.ended = threading.Event()
        self.logs: weakref.WeakSet[LogReader] = weakref.WeakSet()
        self.log_lock = threading.Lock()
        if container.state != "running":
            self.ended.set()

    def next_run(self, container: Container, supervisor_pid: int, life: Life) -> Entry:
        """The same name running once more; who waits for the end of the run before keeps this entry."""
        entry = Entry(container, supervisor_pid, life)
        entry.lock, entry.logs, entry.log_lock = self.lock, self.logs, self.log_lock
        return entry

    def open_log(self, directory: str) -> LogReader:
        """Held open from here on, whatever becomes of the container."""
        with self.log_lock:
            try:
                log = LogReader(directory)
            except FileNotFoundError:
                raise UnknownContainer(self.container.name) from None
            self.logs.add(log)
            return log

    def hide_logs(self, directory: str, hidden: str) -> None:
        """Rename their directory, once everybody who reads them holds all of their files."""
        with self.log_lock:
            for log in self.logs:
                log.look()
            os.rename(directory, hidden)


class Claim(NamedTuple):
    """What one that is being made will be part of."""

    group: str
    volumes: frozenset[str]
    """Names, and paths of the host."""


NO_CLAIM: Final = Claim("", frozenset())


def claim_of(spec: ContainerSpec) -> Claim:
    """Of one to be made, as of one that is there."""
    return Claim(spec.group, frozenset(volume["source"] for volume in spec.volumes))


class Registry:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._reserved: dict[str, Claim] = {}
        self._all: tuple[Container, ...] = ()

    @contextlib.contextmanager
    def reserved(self, name: str, claim: Claim = NO_CLAIM) -> Iterator[None]:
        """One launch at a time for a name; `NameTaken` at once, before anything is made. What it claims, it
        counts as having already.
        """
        with self._lock:
            if name in self._reserved or name in self._entries:
                raise NameTaken(name)
            self._reserved[name] = claim
        try:
            yield
        finally:
            with self._lock:
                del self._reserved[name]

    def grouped(self, group: str) -> list[str]:
        """The names in a group, of those that are being made too."""
        with self._lock:
            return sorted(name for name, claim in self._claims().items() if claim.group == group)

    @contextlib.contextmanager
    def mounting(self, volume: str) -> Iterator[list[str]]:
        """The names that mount it, of those that are being made too. Nobody begins to within: be quick."""
        with self._lock:
            yield sorted(name for name, claim in self._claims().items() if volume in claim.volumes)

    def _claims(self) -> dict[str, Claim]:
        """With the lock held."""
        return {
            name: claim_of(entry.container.spec) for name, entry in self._entries.items()
        } | self._reserved

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries[entry.container.name] = entry
            self._publish()

    def replace(self, entry: Entry, container: Container) -> None:
        with self._lock:
            entry.container = container
            self._publish()

    def drop(self, entry: Entry) -> None:
        with self._lock:
            if self._entries.get(entry.container.name) is entry:
                del self._entries[entry.container.name]
                self._publish()

    def holds(self, entry: Entry) -> bool:
        """Is it still there, and not another of its name?"""
        with self._lock:
            return self._entries.get(entry.container.name) is entry

    def runs_again(self, entry: Entry) -> bool:
        """Is there a later run of the same container?"""
        with self._lock:
            later = self._entries.get(entry.container.name)
            return later is not None and later is not entry and later.lock is entry.lock

    def entry(self, name: str) -> Entry:
        with self._lock:
            if name not in self._entries:
                raise UnknownContainer(name)
            return self._entries[name]

    def all(self) -> tuple[Container, ...]:
        """A tuple that is never changed, only replaced: free to read on every tick."""
        return self._all

    def entries(self) -> list[Entry]:
        with self._lock:
            return list(self._entries.values())

    def _publish(self) -> None:
        self._all = tuple(entry.container for entry in self._entries.values())
