"""The journal: intent is durable before the kernel is written; one writer thread, grouped commits.

Bodies are never rewritten: what becomes known later is appended as facts. Each table of bodies is a hash
chain.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from enforcer.clocks import read_boot_id
from enforcer.errors import JournalFull, JournalUnavailable
from enforcer.failpoints import Failpoints
from enforcer.journal_file import open_journal

GROUP = 64
# A job that is wrong by itself fails alone; what is wrong with the disk fails the batch.
_BUGS = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], object]


class Journal:
    """One SQLite file in WAL mode with `synchronous=FULL`; safe to use from any thread.

    `set_aside` names the damaged file that was found at the start, or is None. Where the disk is full or
    read-only the journal still starts, and everything submitted fails with `JournalUnavailable`.
    """

    def __init__(self, path: str, *, failpoints: Failpoints | None = None) -> None:
        self.path = path
        self.boot_id = read_boot_id()
        self.set_aside: str | None = None
        self._failpoints = failpoints or Failpoints.from_environment()
        self._connection: sqlite3.Connection | None = None
        self._refused = False  # the last write; the next one tries again
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()
        self._jobs: queue.SimpleQueue[tuple[Work, Future[object]] | None] = queue.SimpleQueue()
        with contextlib.suppress(
            JournalUnavailable
        ):  # told to whoever submits; the daemon starts all the same
            self._connect()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], Result]) -> Future[Result]:
        """Run `work` in the writer's next transaction; the future is done once that is on disk."""
        future: Future[Result] = Future()
        self._jobs.put((work, future))  # type: ignore[arg-type]
        return future

    def commit(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """`submit`, and wait until it is durable.

        Raises:
            JournalUnavailable: it is not, and nothing of `work` was kept.
        """
        return self.submit(work).result()

    def read(self, query: str, arguments: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Rows of a query, beside the writer; empty where there is no readable journal."""
        with self._reading:
            if self._reader is None:
                if self._connection is None:
                    return []
                self._reader = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
                self._reader.execute("PRAGMA query_only = ON")
            try:
                return self._reader.execute(query, tuple(arguments)).fetchall()
            except sqlite3.Error as e:
                raise JournalUnavailable(self.path, str(e)) from e

    def healthy(self) -> bool:
        """Can it be written, as far as is known?"""
        return self._connection is not None and not self._refused

    def close(self) -> None:
        """Finish what was submitted and close the file."""
        if not self._thread.is_alive():
            return
        self._jobs.put(None)
        self._thread.join()
        with self._reading:
            if self._reader is not None:
                self._reader.close()
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                done = self._write(batch)
            except JournalUnavailable as unavailable:
                self._refused = True
                for _, future in batch:
                    future.set_exception(unavailable)
            else:
                self._refused = False
                for future, result in done:
                    _resolve(future, result)

    def _next_batch(self) -> list[tuple[Work, Future[object]]]:
        """Wait for a job, and take along what else has been submitted by then; empty at the end."""
        job = self._jobs.get()
        batch: list[tuple[Work, Future[object]]] = []
        while job is not None:
            batch.append(job)
            if len(batch) == GROUP or self._jobs.empty():
                return batch
            job = self._jobs.get()
        if batch:
            self._jobs.put(None)
        return batch

    def _write(self, batch: Sequence[tuple[Work, Future[object]]]) -> list[tuple[Future[object], object]]:
        connection = self._connect()
        done: list[tuple[Future[object], object]] = []
        try:
            self._failpoints.reach("journal.before")
            connection.execute("BEGIN IMMEDIATE")
            for work, future in batch:
                done.append((future, _try(connection, work)))
            connection.execute("COMMIT")
            self._failpoints.reach("journal.after")
        except (sqlite3.DatabaseError, OSError) as e:
            if connection.in_transaction:
                connection.rollback()
            raise self._unavailable(e) from e
        return done

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection, aside = open_journal(self.path)
            except (sqlite3.Error, OSError) as e:
                raise self._unavailable(e) from e
            self.set_aside = self.set_aside or aside
        return self._connection

    def _unavailable(self, error: Exception) -> JournalUnavailable:
        full = "full" in str(error) or getattr(error, "errno", None) == 28
        kind = JournalFull if full else JournalUnavailable
        return kind(self.path, "no space left" if full else str(error) or os.strerror(5))


class _Failed:
    """A job that failed by itself; the others of its batch are kept."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _try(connection: sqlite3.Connection, work: Work) -> object:
    connection.execute("SAVEPOINT job")
    try:
        result = work(connection)
    except _BUGS as e:
        connection.execute("ROLLBACK TO job")
        result = _Failed(e)
    connection.execute("RELEASE job")
    return result


def _resolve(future: Future[object], result: object) -> None:
    if isinstance(result, _Failed):
        future.set_exception(result.error)
    else:
        future.set_result(result)
