"""Rows of the journal: intents, claims and records, between their values and SQL."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enforcer.claims import Claim, FieldClaims
from enforcer.fields import from_wire, to_wire
from enforcer.journal_file import link
from enforcer.outcomes import WriteRecord, rfc3339

COMMITTED = "committed"
# In place of a priority: this intent takes its owner's claim back, or everybody's.
LETS_GO = -100
EVERYBODY = "*"
INTENT_COLUMNS = (
    "name, path, ino, field, owner, priority, baseline, before, wanted, lease_boottime_ns, id, decision"
)
CLAIM_COLUMNS = "name, path, ino, field, owner, priority, wanted, lease_boottime_ns, decision, since"


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


@dataclass(frozen=True, slots=True)
class Place:
    """One field of one cgroup."""

    name: str
    path: str
    ino: int
    field: str


def insert_record(
    sql: sqlite3.Connection, boot_id: str, body: Mapping[str, object], intents: Sequence[Intent]
) -> Recorded:
    """A record with the next number, stamped and chained, and its intents."""
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


def insert_fact(sql: sqlite3.Connection, decision: int, body: Mapping[str, object]) -> None:
    """Something that became known about a record."""
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


def insert_writes(sql: sqlite3.Connection, intent: int, writes: Sequence[WriteRecord]) -> None:
    """The kernel files of a change, under its first intent."""
    for number, write in enumerate(writes):
        row = (intent, number, f"{write.controller}/{write.file}", write.before, write.value, write.read_back)
        sql.execute("INSERT OR REPLACE INTO kernel_write VALUES (?, ?, ?, ?, ?, ?, 0)", row)


def keep_claims(sql: sqlite3.Connection, boot_id: str, place: Place, field: FieldClaims | None) -> None:
    """Replace what is stored of the claims on one field."""
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


def intent_of(row: tuple[object, ...]) -> Intent:
    """An intent from its row, in the order of INTENT_COLUMNS."""
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


def claim_of(row: tuple[object, ...]) -> tuple[Place, Claim]:
    """A claim and its place from their row, in the order of CLAIM_COLUMNS."""
    name, path, ino, field, owner, priority, wanted, deadline, decision, since = row
    place = Place(str(name), str(path), _int(ino), str(field))
    claim = Claim(
        str(owner), _int(priority), load(wanted), _maybe_int(deadline), _text(decision), _float(since)
    )
    return place, claim


def _int(value: object) -> int:
    return int(str(value))


def _maybe_int(value: object) -> int | None:
    return None if value is None else _int(value)


def _float(value: object) -> float:
    return float(str(value))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
