"""The journal in the enforcer's words: records, facts, intents and claims, durable when it says so."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from enforcer.claims import FieldClaims
from enforcer.errors import JournalUnavailable
from enforcer.journal import Journal
from enforcer.ledger_rows import (
    CLAIM_COLUMNS,
    COMMITTED,
    INTENT_COLUMNS,
    Intent,
    Place,
    Recorded,
    claim_of,
    insert_fact,
    insert_record,
    insert_writes,
    intent_of,
    keep_claims,
    load,
)
from enforcer.outcomes import WriteRecord


class Ledger:
    """The journal in the enforcer's words."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.boot_id = journal.boot_id
        self._owed: list[Callable[[sqlite3.Connection], None]] = []
        self._settling = threading.Lock()  # held while a debt is paid, so that none is paid twice

    def begin(self, body: Mapping[str, object], intents: Sequence[Intent] = ()) -> Recorded:
        """Make a record and its intents durable; `JournalUnavailable` if that cannot be."""
        return self.journal.commit(lambda sql: insert_record(sql, self.boot_id, body, intents))

    def note(self, body: Mapping[str, object]) -> None:
        """Record something that changes no kernel state, without waiting for the disk."""
        self.journal.submit(lambda sql: insert_record(sql, self.boot_id, body, ()))

    def finish(
        self,
        recorded: Recorded,
        fact: Mapping[str, object],
        state: str,
        writes: Sequence[WriteRecord],
        claims: Iterable[tuple[Place, FieldClaims | None]],
    ) -> None:
        """Append the outcome, close the intents and keep the claims, all in one transaction."""
        kept = list(claims)

        def work(sql: sqlite3.Connection) -> None:
            insert_fact(sql, recorded.seq, fact)
            for intent in recorded.intents:
                sql.execute("UPDATE intent SET state = ? WHERE id = ?", (state, intent))
            if recorded.intents:
                insert_writes(sql, recorded.intents[0], writes)
            for place, field in kept:
                keep_claims(sql, self.boot_id, place, field)

        try:
            self.settle_owed()
            self.journal.commit(work)
        except JournalUnavailable:
            self._owed.append(work)

    def settle_owed(self) -> None:
        """Record outcomes that the disk did not take when they were known.

        The intent was durable before the kernel was written, so nothing is lost if this has to wait; after a
        crash recovery finds the same from the kernel.
        """
        with self._settling:
            while self._owed:
                self.journal.commit(self._owed[0])
                self._owed.pop(0)

    def keep(self, claims: Iterable[tuple[Place, FieldClaims | None]]) -> None:
        """Store claims that changed without a kernel write (a renewal, a lease that ended)."""
        kept = list(claims)

        def work(sql: sqlite3.Connection) -> None:
            for place, field in kept:
                keep_claims(sql, self.boot_id, place, field)

        self.journal.submit(work)

    def open_intents(self) -> list[Intent]:
        """Intents whose outcome was never recorded: this boot's, oldest first."""
        rows = self.journal.read(
            f"SELECT {INTENT_COLUMNS} FROM intent WHERE state = ? AND boot_id = ? ORDER BY id",
            (COMMITTED, self.boot_id),
        )
        return [intent_of(row) for row in rows]

    def close_what_never_ended(self, outcome: str) -> None:
        """At the start: records that still say `outcome`, and whatever another boot left open or claimed."""

        def work(sql: sqlite3.Connection) -> None:
            begun = "SELECT seq FROM decision WHERE outcome = ? AND seq NOT IN (SELECT decision FROM fact)"
            for (seq,) in sql.execute(begun, (outcome,)).fetchall():
                insert_fact(sql, int(seq), {"outcome": "abandoned"})
            left = "UPDATE intent SET state = 'abandoned' WHERE state = ? AND boot_id != ?"
            sql.execute(left, (COMMITTED, self.boot_id))
            sql.execute("DELETE FROM claim WHERE boot_id != ?", (self.boot_id,))
            sql.execute("DELETE FROM baseline WHERE boot_id != ?", (self.boot_id,))

        with contextlib.suppress(JournalUnavailable):  # it can wait for the next start
            self.journal.commit(work)

    def claims(self) -> list[tuple[Place, FieldClaims]]:
        """Every claim of this boot, with its field's baseline."""
        baselines = {
            (ino, field): load(value)
            for ino, field, value in self.journal.read(
                "SELECT ino, field, value FROM baseline WHERE boot_id = ?", (self.boot_id,)
            )
        }
        found: dict[Place, FieldClaims] = {}
        rows = self.journal.read(
            f"SELECT {CLAIM_COLUMNS} FROM claim WHERE boot_id = ? ORDER BY since",
            (self.boot_id,),
        )
        for row in rows:
            place, claim = claim_of(row)
            present = found.get(place) or FieldClaims(baselines.get((place.ino, place.field)))
            found[place] = present.with_claim(claim)
        return list(found.items())

    def decisions(self, container: str | None, after: int, limit: int) -> list[dict[str, object]]:
        """Records with their facts, the oldest after `after` first; the newest ones where `after` is 0."""
        where = "seq > ?" + (" AND target = ?" if container is not None else "")
        arguments: list[object] = [after] + ([container] if container is not None else [])
        order = "ASC" if after else "DESC"
        rows = self.journal.read(
            f"SELECT seq, body, prev_sha256 FROM decision WHERE {where} ORDER BY seq {order} LIMIT ?",
            (*arguments, limit),
        )
        return [self._merged(row) for row in (rows if after else rows[::-1])]

    def decision(self, identifier: str) -> dict[str, object] | None:
        """One record by its id."""
        rows = self.journal.read("SELECT seq, body, prev_sha256 FROM decision WHERE id = ?", (identifier,))
        return self._merged(rows[0]) if rows else None

    def _merged(self, row: tuple[object, ...]) -> dict[str, object]:
        """The record as it goes over the wire: later facts laid over the body, and listed."""
        seq, body, before = row
        merged: dict[str, object] = json.loads(str(body))
        facts = [
            json.loads(str(fact))
            for (fact,) in self.journal.read("SELECT body FROM fact WHERE decision = ? ORDER BY seq", (seq,))
        ]
        for fact in facts:
            merged.update({key: value for key, value in fact.items() if key != "at"})
        return {**merged, "prev_sha256": before, "facts": facts}
