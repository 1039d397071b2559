"""Hold time and hysteresis of leaves, and truth of trees in three values: unknown is never true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from enforcer.conditions import Condition, Either, Every, Leaf, Not
from enforcer.state import LeafState

# Ticks come a few milliseconds early or late; a hold of 30 s must not take 31 ticks because of that.
HOLD_SLACK_SEC = 0.05


@dataclass(frozen=True, slots=True)
class LeafReading:
    """One leaf, evaluated. `start`: beyond its threshold for its hold time. `stay`: fired, not cleared."""

    leaf: Leaf
    value: float | None
    age_sec: float
    held_sec: float
    start: bool | None
    stay: bool | None

    def to_wire(self) -> dict[str, object]:
        """A line of a record's predicate."""
        return {
            "leaf": self.leaf.text(),
            "true": self.start,
            "held_s": round(self.held_sec, 3),
            "need_s": self.leaf.for_sec,
        }


def advance(
    leaf: Leaf, before: LeafState, value: float | None, age_sec: float, now: float
) -> tuple[LeafReading, LeafState]:
    """The leaf's truth with one more value, and what to remember; an unknown value discards the hold time."""
    if value is None:
        return LeafReading(leaf, None, age_sec, 0.0, None, None), LeafState(None, 0, before.on)
    if not leaf.beyond(value):
        on = before.on and not leaf.cleared(value)
        return LeafReading(leaf, value, age_sec, 0.0, False, on), LeafState(None, 0, on)
    since = now if before.since is None else before.since
    hits = before.hits + 1
    held = now - since
    start = held >= leaf.for_sec - HOLD_SLACK_SEC and hits >= leaf.signal.hits
    on = before.on or start
    return LeafReading(leaf, value, age_sec, held, start, on), LeafState(since, hits, on, now)


def missed_narrowly(leaf: Leaf, before: LeafState, after: LeafState) -> float | None:
    """Seconds held, if the leaf was true for at least half its hold time and cleared without firing."""
    if before.since is None or after.since is not None or before.on or leaf.for_sec <= 0:
        return None
    held = before.until - before.since
    return held if held >= leaf.for_sec / 2 else None


def truth(condition: Condition, of: Callable[[Leaf], bool | None]) -> bool | None:
    """Kleene's three values over the tree."""
    match condition:
        case Leaf():
            return of(condition)
        case Not(part):
            inner = truth(part, of)
            return None if inner is None else not inner
        case Every(parts):
            values = [truth(part, of) for part in parts]
            return False if False in values else None if None in values else True
        case Either(parts):
            values = [truth(part, of) for part in parts]
            return True if True in values else None if None in values else False
