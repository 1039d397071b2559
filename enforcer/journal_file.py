"""The journal's file: its schema, opening it, telling damage from a full disk, and setting damage aside.

A damaged file never keeps the daemon from starting: it is renamed and a new one begins, since the truth is in
the kernel. Only a newer schema is refused, because a person has to decide about it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time

from enforcer.errors import NewerJournal

SCHEMA = 1
GENESIS = "0" * 64
_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE decision(seq INTEGER PRIMARY KEY, id TEXT UNIQUE, boot_id TEXT, mono_ns INT, policy TEXT,
                      target TEXT, outcome TEXT, body TEXT, prev_sha256 TEXT);
CREATE INDEX decision_target ON decision(target, seq);
CREATE TABLE fact(seq INTEGER PRIMARY KEY, decision INT REFERENCES decision, mono_ns INT, body TEXT,
                  prev_sha256 TEXT);
CREATE INDEX fact_decision ON fact(decision);
CREATE TABLE verdict(decision INT REFERENCES decision, mono_ns INT, verdict TEXT, votes TEXT);
CREATE TABLE intent(id INTEGER PRIMARY KEY, decision INT REFERENCES decision, boot_id TEXT, name TEXT,
                    path TEXT, ino INT, field TEXT, owner TEXT, priority INT, baseline TEXT, before TEXT,
                    wanted TEXT, lease_boottime_ns INT, state TEXT); CREATE INDEX intent_open ON intent(state)
                    WHERE state = 'committed'; CREATE TABLE kernel_write(intent INT REFERENCES intent, n INT,
                    file TEXT, before TEXT, value TEXT, readback TEXT, errno INT, PRIMARY KEY(intent, n));
                    CREATE TABLE claim(boot_id TEXT, name TEXT, path TEXT, ino INT, field TEXT, owner TEXT,
                    priority INT, wanted TEXT, lease_boottime_ns INT, decision TEXT, since REAL, PRIMARY
                    KEY(boot_id, ino, field, owner, lease_boottime_ns)); CREATE TABLE baseline(boot_id TEXT,
                    ino INT, field TEXT, value TEXT, PRIMARY KEY(boot_id, ino, field));
"""
# These say "not now", not "broken"; every other error means that the file is not what we wrote.
_NOT_NOW = ("SQLITE_FULL", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_BUSY", "SQLITE_PERM")


class Damaged(Exception):
    """The file is not a sound journal; the text says how that was found."""


def open_journal(path: str) -> tuple[sqlite3.Connection, str | None]:
    """A sound journal, and where a damaged one was put, if there was one.

    Raises:
        NewerJournal: a later program wrote it.
        sqlite3.Error: the disk is full or read-only: not the file's fault.
    """
    try:
        return _open(path), None
    except (sqlite3.DatabaseError, Damaged) as e:
        if is_not_now(e) and not os.path.isdir(path):
            raise
    aside = set_aside(path)
    return _open(path), aside


def is_not_now(error: Exception) -> bool:
    """Is it the disk, which may recover, rather than the file, which will not?"""
    return (getattr(error, "sqlite_errorname", None) or "").startswith(_NOT_NOW)


def set_aside(path: str) -> str:
    """Rename a damaged journal and its companions; returns the new name."""
    aside = f"{path}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    number = 0
    while os.path.exists(aside):
        number += 1
        aside = f"{aside.rsplit('+', 1)[0]}+{number}"
    os.rename(path, aside)
    for companion in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + companion, aside + companion)
    return aside


def _open(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except (ValueError, TypeError) as e:  # even the schema may hold bytes that are no text any more
        connection.close()
        raise Damaged(str(e)) from e
    except (sqlite3.Error, Damaged, NewerJournal):
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        _create(connection)
    _check(connection, path)


def _create(connection: sqlite3.Connection) -> None:
    statements = "\n".join(
        [
            "BEGIN IMMEDIATE;",
            _TABLES,
            f"INSERT INTO meta VALUES ('schema', '{SCHEMA}');",
            f"INSERT INTO meta VALUES ('decision', '{GENESIS}'), ('fact', '{GENESIS}');",
            f"PRAGMA user_version = {SCHEMA};",
            "COMMIT;",
        ]
    )
    try:
        connection.executescript(statements)
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check(connection: sqlite3.Connection, path: str) -> None:
    # In two places, so that a flipped bit is not taken for a newer program.
    version = str(connection.execute("PRAGMA user_version").fetchone()[0])
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if row is None or row[0] != version:
        raise Damaged("the schema is told differently in two places")
    if int(version) > SCHEMA:
        raise NewerJournal(path, version)
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise Damaged(verdict)
    for table in ("decision", "fact"):
        check_chain(connection, table)
    _check_values(connection)


def check_chain(connection: sqlite3.Connection, table: str) -> None:
    """Every row names the hash of the row before it, and `meta` that of the last; else `Damaged`."""
    expected, number = None, None
    rows = connection.execute(f"SELECT seq, CAST(body AS BLOB), prev_sha256 FROM {table} ORDER BY seq")
    for seq, body, before in rows:
        if (expected is not None and before != expected) or (number is not None and seq != number + 1):
            raise Damaged(f"the chain of {table} breaks at {seq}")
        expected, number = link(before, body or b""), seq
    head = connection.execute("SELECT value FROM meta WHERE key = ?", (table,)).fetchone()
    if head is None or head[0] != (expected or GENESIS):
        raise Damaged(f"the last row of {table} is not the one that was written last")


def link(before: str, body: bytes) -> str:
    """The hash that the next row carries."""
    return hashlib.sha256(str(before).encode() + body).hexdigest()


def _check_values(connection: sqlite3.Connection) -> None:
    """Read what recovery will read: a value that is no JSON must be found now, not amid a restore."""
    for table, names in (("intent", "baseline, before, wanted"), ("claim", "wanted"), ("baseline", "value")):
        rows = connection.execute(f"SELECT {names} FROM {table}").fetchall()
        inodes = connection.execute(f"SELECT * , ino FROM {table}").fetchall()
        try:
            for value in (value for row in rows for value in row):
                json.loads(value)
        except (TypeError, ValueError) as e:
            raise Damaged(f"{table} holds a value that is not JSON") from e
        if any(not isinstance(row[-1], int) for row in inodes):
            raise Damaged(f"{table} holds an inode that is not a number")
