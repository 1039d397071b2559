"""Wishes that were turned down, recorded without waiting and without letting a script fill the journal."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping

from cgroupfs import UNLIMITED, Cgroup
from enforcer.errors import EnforcerError
from enforcer.ledger import Ledger
from enforcer.ledger_rows import dump
from enforcer.records import owner_body

# The same wish of the same owner is one record in this time, and all of them together so many.
PERIOD_SEC = 60.0
MOST_PER_PERIOD = 30
_LONGEST_TEXT = 200
_MOST_FIELDS = 20


class Rejections:
    """Notes who asked for what and why it was refused; safe to use from any thread."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: dict[str, float] = {}
        self._unrecorded = 0

    def note(
        self,
        name: str,
        cgroup: Cgroup,
        owner: str,
        wanted: Mapping[str, object],
        reason: str,
        error: EnforcerError,
        verb: str = "set",
    ) -> None:
        """One record, if it is due; nothing was written to the kernel."""
        shown = {_text(field): _shown(value) for field, value in list(wanted.items())[:_MOST_FIELDS]}
        unrecorded = self._take_turn(dump([name, owner, verb, type(error).__name__, shown]))
        if unrecorded is None:
            return
        body = owner_body(
            owner=owner,
            verb=verb,
            target=name,
            path=cgroup.path,
            ino=cgroup.inode,
            field=", ".join(shown),
            before=None,
            wanted=shown,
            reason=_text(reason),
        )
        more = {"unrecorded": unrecorded} if unrecorded else {}
        self._ledger.note({**body, "outcome": "rejected", "error": _text(error), "writes": [], **more})

    def _take_turn(self, key: str) -> int | None:
        """How many were passed over since the last record; None if this one is passed over as well."""
        with self._lock:
            now = self._clock()
            self._recent = {key: at for key, at in self._recent.items() if now - at < PERIOD_SEC}
            if key in self._recent or len(self._recent) >= MOST_PER_PERIOD:
                self._unrecorded += 1
                return None
            self._recent[key] = now
            unrecorded, self._unrecorded = self._unrecorded, 0
            return unrecorded


def _shown(value: object) -> object:
    """A wish as it can be stored and sent, whatever it is: it was refused, so it may be anything."""
    if value is UNLIMITED or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of many digits"
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    return _text(value)


def _text(value: object) -> str:
    return str(value)[:_LONGEST_TEXT].encode("utf-8", "backslashreplace").decode()
