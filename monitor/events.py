"""The event log: what happened, by whom and why, with ids that only grow, for pages and for live streams.

It tells about the work and must never stop it: events that the disk does not take wait in memory, a damaged
file is set aside and the log says so.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from monitor.event import Event
from monitor.event_store import MEMORY, EventStore, is_damage, set_aside

PRUNE_EVERY: Final = 500
MOST_WAITING: Final = 10_000
LARGEST_PAGE: Final = 1_000
BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"

Listener = Callable[[Event], None]


class EventLog:
    """All events of this daemon and of those before it on the same file. Any thread may call any method."""

    def __init__(
        self,
        path: str | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`path`: the database, or None for a log in memory. `NewerSchema` if a later version wrote it."""
        self._lock = threading.RLock()
        self._path = path or MEMORY
        self._clock, self._wall_clock = clock, wall_clock
        self._boot_id = Path(BOOT_ID).read_text().strip()
        self._listeners: dict[int, Listener] = {}
        self._keys = itertools.count()
        self._waiting: deque[Event] = deque(maxlen=MOST_WAITING)  # not on disk yet
        self._last_id = 0
        self.failure: str | None = None  # why events do not reach the disk, in words for people
        self._set_aside: str | None = None
        self._store = self._open()
        self._say_what_was_set_aside()

    @property
    def last_id(self) -> int:
        """The id of the newest event."""
        return self._last_id

    def append(
        self,
        type: str,
        *,
        container: str | Mapping[str, object] | None = None,
        actor_kind: str,
        actor_name: str,
        reason: str = "",
        before: object = None,
        after: object = None,
        decision: str | None = None,
        until: str | None = None,
    ) -> Event:
        """Record what happened just now and tell the listeners; never fails for want of a disk."""
        with self._lock:
            event = Event(
                id=self._last_id + 1,
                time=_rfc3339(self._wall_clock()),
                monotonic_usec=int(self._clock() * 1e6),
                boot_id=self._boot_id,
                type=type,
                container={"name": container} if isinstance(container, str) else container,
                actor_kind=actor_kind,
                actor_name=actor_name,
                reason=reason,
                before=before,
                after=after,
                decision=decision,
                until=until,
            )
            self._last_id = event.id
            self._waiting.append(event)
            self._flush()
            for listener in tuple(self._listeners.values()):
                listener(event)
            return event

    def page(
        self,
        after: int = 0,
        limit: int = 200,
        container: str | None = None,
        types: Collection[str] | None = None,
        newest: bool = False,
    ) -> list[Event]:
        """Events with an id above `after`, by id, at most `limit` (1,000): the first, or the `newest`."""
        limit = max(0, min(limit, LARGEST_PAGE))
        with self._lock:
            try:
                events = self._store.select(after, limit, container, types, newest)
            except sqlite3.Error as error:
                self._cope_with(error)
                events = []
            events += [e for e in self._waiting if e.id > after and _matches(e, container, types)]
        return events[max(0, len(events) - limit) :] if newest else events[:limit]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each event from now on, in order of ids; returns what ends it.

        It is called by the thread that appends, under the log's lock: it has to be quick, as putting into a
        queue is.
        """
        with self._lock:
            key = next(self._keys)
            self._listeners[key] = listener

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.pop(key, None)

        return unsubscribe

    def close(self) -> None:
        """Let go of the file; the log is not used after that."""
        with self._lock:
            self._store.close()

    def _open(self) -> EventStore:
        try:
            store = EventStore(self._path)
        except sqlite3.Error as error:
            broken = is_damage(error) or Path(self._path).is_dir()
            return self._begin_anew(error) if broken else self._in_memory(error)
        self._last_id = store.last_id
        return store

    def _begin_anew(self, error: sqlite3.Error) -> EventStore:
        if not self._last_id:  # the broken file cannot say: go on above whatever it may have held
            self._last_id = int(self._wall_clock() * 1000)
        try:
            aside = set_aside(self._path, _stamp(self._wall_clock()))
            store = EventStore(self._path)
        except (sqlite3.Error, OSError) as second:
            return self._in_memory(second)
        self._set_aside = f"{self._path} was damaged ({error}); it is kept as {aside}"
        return store

    def _in_memory(self, error: sqlite3.Error | OSError) -> EventStore:
        self.failure = f"{self._path}: {error}; events are kept in memory until the next start"
        self._path = MEMORY
        return EventStore(MEMORY)

    def _flush(self) -> None:
        try:
            self._store.insert(self._waiting)
            self._waiting.clear()
            if self._last_id % PRUNE_EVERY == 0:
                self._store.prune(self._last_id)
        except sqlite3.Error as error:
            self._cope_with(error)
        else:
            if self._path != MEMORY:
                self.failure = None

    def _cope_with(self, error: sqlite3.Error) -> None:
        """Begin a new file if this one is broken; else leave the events waiting for a better moment."""
        if not is_damage(error):
            self.failure = f"{self._path}: {error}; events wait in memory"
            return
        self._store.close()
        self._store = self._begin_anew(error)
        self._say_what_was_set_aside()

    def _say_what_was_set_aside(self) -> None:
        """An event about the broken file, once there is a new one that can take it."""
        if self._set_aside is None:
            return
        reason, self._set_aside = self._set_aside, None
        self.append("events.set_aside", actor_kind="daemon", actor_name="cgwarden", reason=reason)


def _matches(event: Event, container: str | None, types: Collection[str] | None) -> bool:
    return (container is None or event.container_name == container) and (types is None or event.type in types)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
