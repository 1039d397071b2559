"""What is written in the journal and read from it: records, facts, intents, claims and baselines, as SQL."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from enforcer.claims import Claim, FieldClaims
from enforcer.errors import JournalUnavailable
from enforcer.fields import from_wire, to_wire
from enforcer.journal import Journal
from enforcer.journal_file import link
from enforcer.outcomes import WriteRecord, rfc3339

COMMITTED = "committed"
# In place of a priority: this intent takes its owner's claim back, or everybody's.
LETS_GO = -100
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Intent:
    """One field that is about to be changed, as it is kept on disk. `id` is 0 until then."""

    name: str
    path: str
    ino: int
    field: str
    owner: str
    priority: int
    baseline: object
    before: object
    wanted: object
    deadline_ns: int | None
    id: int = 0
    decision: int = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a record went."""

    seq: int
    id: str
    intents: tuple[int, ...]


def dump(value: object) -> str:
    """JSON of a limit or of anything that holds limits; the same value gives the same bytes."""
    return json.dumps(value, default=to_wire, sort_keys=True, separators=(",", ":"))


def load(text: object) -> object:
    """The value that `dump` wrote."""
    return from_wire(json.loads(str(text)))


class Ledger:
    """The journal in the enforcer's words."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.boot_id = journal.boot_id
        self._owed: list[Callable[[sqlite3.Connection], None]] = []

    def begin(self, body: Mapping[str, object], intents: Sequence[Intent] = ()) -> Recorded:
        """Make a record and its intents durable; `JournalUnavailable` if that cannot be."""
        return self.journal.commit(lambda sql: _insert_record(sql, self.boot_id, body, intents))

    def note(self, body: Mapping[str, object]) -> None:
        """Record something that changes no kernel state, without waiting for the disk."""
        self.journal.submit(lambda sql: _insert_record(sql, self.boot_id, body, ()))

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
            _insert_fact(sql, recorded.seq, fact)
            for intent in recorded.intents:
                sql.execute("UPDATE intent SET state = ? WHERE id = ?", (state, intent))
            if recorded.intents:
                _insert_writes(sql, recorded.intents[0], writes)
            for place, field in kept:
                _keep(sql, self.boot_id, place, field)

        self._owed.append(work)
        with contextlib.suppress(JournalUnavailable):
            self.settle_owed()

    def settle_owed(self) -> None:
        """Record outcomes that the disk did not take when they were known.

        The intent was durable before the kernel was written, so nothing is lost if this has to wait; after a
        crash recovery finds the same from the kernel.
        """
        while self._owed:
            self.journal.commit(self._owed[0])
            self._owed.pop(0)

    def keep(self, claims: Iterable[tuple[Place, FieldClaims | None]]) -> None:
        """Store claims that changed without a kernel write (a renewal, a lease that ended)."""
        kept = list(claims)

        def work(sql: sqlite3.Connection) -> None:
            for place, field in kept:
                _keep(sql, self.boot_id, place, field)

        self.journal.submit(work)

    def open_intents(self) -> list[Intent]:
        """Intents whose outcome was never recorded: this boot's, oldest first."""
        rows = self.journal.read(
            "SELECT name, path, ino, field, owner, priority, baseline, before, wanted, lease_boottime_ns, "
            "id, decision FROM intent WHERE state = ? AND boot_id = ? ORDER BY id",
            (COMMITTED, self.boot_id),
        )
        return [_intent_of(row) for row in rows]

    def void_older_boots(self) -> None:
        """Whatever another boot left open or claimed means nothing any more."""

        def work(sql: sqlite3.Connection) -> None:
            sql.execute(
                "UPDATE intent SET state = 'abandoned' WHERE state = ? AND boot_id != ?",
                (COMMITTED, self.boot_id),
            )
            sql.execute("DELETE FROM claim WHERE boot_id != ?", (self.boot_id,))
            sql.execute("DELETE FROM baseline WHERE boot_id != ?", (self.boot_id,))

        self.journal.submit(work)

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
            "SELECT name, path, ino, field, owner, priority, wanted, lease_boottime_ns, decision, since "
            "FROM claim WHERE boot_id = ? ORDER BY since",
            (self.boot_id,),
        )
        for name, path, ino, field, owner, priority, wanted, deadline, decision, since in rows:
            place = Place(str(name), str(path), _int(ino), str(field))
            claim = Claim(
                str(owner), _int(priority), load(wanted), _maybe_int(deadline), _text(decision), _float(since)
            )
            present = found.get(place) or FieldClaims(baselines.get((ino, field)))
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


@dataclass(frozen=True, slots=True)
class Place:
    """One field of one cgroup."""

    name: str
    path: str
    ino: int
    field: str


def _insert_record(
    sql: sqlite3.Connection, boot_id: str, body: Mapping[str, object], intents: Sequence[Intent]
) -> Recorded:
    seq = int(sql.execute("SELECT coalesce(max(seq), 0) + 1 FROM decision").fetchone()[0])
    identifier = f"d-{seq:06d}"
    mono_ns = time.monotonic_ns()
    stamped = {
        "id": identifier,
        "seq": seq,
        "at": rfc3339(time.time()),
        "mono_ns": mono_ns,
        "boot_id": boot_id,
    }
    text = dump({**stamped, **body})
    policy = body.get("policy")
    values = (seq, identifier, boot_id, mono_ns, dump(policy), body.get("target"), body.get("outcome"), text)
    _chain(sql, "decision", "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values, text)
    return Recorded(seq, identifier, tuple(_insert_intent(sql, boot_id, seq, intent) for intent in intents))


def _insert_fact(sql: sqlite3.Connection, decision: int, body: Mapping[str, object]) -> None:
    seq = int(sql.execute("SELECT coalesce(max(seq), 0) + 1 FROM fact").fetchone()[0])
    text = dump({"at": rfc3339(time.time()), **body})
    values = (seq, decision, time.monotonic_ns(), text)
    _chain(sql, "fact", "INSERT INTO fact VALUES (?, ?, ?, ?, ?)", values, text)


def _chain(
    sql: sqlite3.Connection, table: str, statement: str, values: tuple[object, ...], text: str
) -> None:
    (before,) = sql.execute("SELECT value FROM meta WHERE key = ?", (table,)).fetchone()
    sql.execute(statement, (*values, before))
    sql.execute("UPDATE meta SET value = ? WHERE key = ?", (link(before, text.encode()), table))


def _insert_intent(sql: sqlite3.Connection, boot_id: str, decision: int, intent: Intent) -> int:
    cursor = sql.execute(
        "INSERT INTO intent VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            decision,
            boot_id,
            intent.name,
            intent.path,
            intent.ino,
            intent.field,
            intent.owner,
            intent.priority,
            dump(intent.baseline),
            dump(intent.before),
            dump(intent.wanted),
            intent.deadline_ns,
            COMMITTED,
        ),
    )
    return int(cursor.lastrowid or 0)


def _insert_writes(sql: sqlite3.Connection, intent: int, writes: Sequence[WriteRecord]) -> None:
    for number, write in enumerate(writes):
        row = (intent, number, f"{write.controller}/{write.file}", write.before, write.value, write.read_back)
        sql.execute("INSERT OR REPLACE INTO kernel_write VALUES (?, ?, ?, ?, ?, ?, 0)", row)


def _keep(sql: sqlite3.Connection, boot_id: str, place: Place, field: FieldClaims | None) -> None:
    key = (boot_id, place.ino, place.field)
    sql.execute("DELETE FROM claim WHERE boot_id = ? AND ino = ? AND field = ?", key)
    sql.execute("DELETE FROM baseline WHERE boot_id = ? AND ino = ? AND field = ?", key)
    if field is None or not field.claims:
        return
    sql.execute("INSERT INTO baseline VALUES (?, ?, ?, ?)", (*key, dump(field.baseline)))
    for claim in field.claims:
        row = (
            claim.owner,
            claim.priority,
            dump(claim.wanted),
            claim.deadline_ns,
            claim.decision,
            claim.since,
        )
        head = (boot_id, place.name, place.path, place.ino, place.field)
        sql.execute("INSERT INTO claim VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*head, *row))


def _intent_of(row: tuple[object, ...]) -> Intent:
    name, path, ino, field, owner, priority, baseline, before, wanted, deadline, number, decision = row
    return Intent(
        name=str(name),
        path=str(path),
        ino=_int(ino),
        field=str(field),
        owner=str(owner),
        priority=_int(priority),
        baseline=load(baseline),
        before=load(before),
        wanted=load(wanted),
        deadline_ns=_maybe_int(deadline),
        id=_int(number),
        decision=_int(decision),
    )


def _int(value: object) -> int:
    return int(str(value))


def _maybe_int(value: object) -> int | None:
    return None if value is None else _int(value)


def _float(value: object) -> float:
    return float(str(value))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
