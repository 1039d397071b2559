"""Events in SQLite: one table, the newest hundred thousand rows.

Errors stay those of `sqlite3`; `is_damage` tells a broken file from a full or read-only disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from monitor.event import COLUMNS, Event

SCHEMA_VERSION: Final = 1
LATEST_IMAGINABLE: Final = 1000  # a version above it is a flipped bit, not a later program
MOST_KEPT: Final = 100_000
MEMORY: Final = ":memory:"
BUSY_SEC: Final = 2.0

CREATE: Final = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, time TEXT, monotonic_usec INTEGER, boot_id TEXT, type TEXT,
    container_name TEXT, container TEXT, actor_kind TEXT, actor_name TEXT, reason TEXT,
    before TEXT, after TEXT, decision TEXT, until TEXT
);
CREATE INDEX IF NOT EXISTS events_by_container ON events (container_name, id);
CREATE INDEX IF NOT EXISTS events_by_type ON events (type, id);
"""
SELECT: Final = f"SELECT {', '.join(COLUMNS)} FROM events"
INSERT: Final = f"INSERT INTO events VALUES ({', '.join('?' * len(COLUMNS))})"


class NewerSchema(Exception):
    """The file was written by a later version of this program; it is left as it is."""

    def __init__(self, path: str, version: int) -> None:
        super().__init__(f"{path}: written by a later version (schema {version}, known is {SCHEMA_VERSION})")


class EventStore:
    """The open database; used by one thread at a time."""

    def __init__(self, path: str) -> None:
        """Open or make the database; `sqlite3.Error` if that fails, `NewerSchema` if it is not ours."""
        self._db = sqlite3.connect(path, timeout=BUSY_SEC, check_same_thread=False)
        try:
            self._db.text_factory = _lenient_text
            self._prepare(path)
            self.last_id = self._read_last_id()
        except (sqlite3.Error, NewerSchema):
            self._db.close()
            raise
        except (
            UnicodeDecodeError
        ) as e:  # sqlite quotes broken names in its message, and Python cannot read that
            self._db.close()
            raise sqlite3.DatabaseError("the schema is damaged") from e

    def insert(self, events: Iterable[Event]) -> None:
        """All of them, or none."""
        with self._db:
            self._db.executemany(INSERT, [event.to_row() for event in events])

    def select(
        self, after: int, limit: int, container: str | None, types: Collection[str] | None, newest: bool
    ) -> list[Event]:
        """Up to `limit` events with an id above `after`, by id: the first ones, or the `newest`."""
        where = ["id > ?"]
        values: list[object] = [after]
        if container is not None:
            where.append("container_name = ?")
            values.append(container)
        if types is not None:
            where.append(f"type IN ({', '.join('?' * len(types))})")
            values.extend(types)
        order = "DESC" if newest else "ASC"
        sql = f"{SELECT} WHERE {' AND '.join(where)} ORDER BY id {order} LIMIT ?"
        events = [Event.from_row(row) for row in self._db.execute(sql, [*values, limit])]
        return events[::-1] if newest else events

    def prune(self, last_id: int) -> None:
        """Forget what is older than the newest hundred thousand."""
        with self._db:
            self._db.execute("DELETE FROM events WHERE id <= ?", (last_id - MOST_KEPT,))

    def close(self) -> None:
        self._db.close()

    def _prepare(self, path: str) -> None:
        # NORMAL loses the last moments in a power failure, never the file, and costs a hundredth of FULL.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if not 0 <= version <= LATEST_IMAGINABLE:
            raise sqlite3.DatabaseError(f"impossible schema version {version}")
        if version > SCHEMA_VERSION:
            raise NewerSchema(path, version)
        (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        self._db.executescript(f"{CREATE} PRAGMA user_version={SCHEMA_VERSION};")
        self._db.execute(f"{SELECT} LIMIT 1").fetchone()

    def _read_last_id(self) -> int:
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()
        return int(last)


def is_damage(error: sqlite3.Error) -> bool:
    """Is the file itself broken, rather than the disk full, read-only or slow?"""
    # SQLITE_ERROR at this place: the table is there and is not ours. Full, read-only, busy have codes of
    # their own.
    code = getattr(error, "sqlite_errorcode", None)
    return not isinstance(error, sqlite3.OperationalError) or code == sqlite3.SQLITE_ERROR


def set_aside(path: str, stamp: str) -> str:
    """Move a damaged database, with its log, out of the way; the new name."""
    aside = f"{path}.corrupt-{stamp}"
    for suffix in ("-wal", "-shm", ""):
        if Path(path + suffix).exists():
            Path(path + suffix).rename(aside + suffix)
    return aside


def _lenient_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
