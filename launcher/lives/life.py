"""What is wished for a container beyond its present run, and what its restart policy makes of an end: pure.

moby/moby daemon/internal/restartmanager: the same words and the same back-off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from launcher import records

FIRST_SEC: Final = 0.1
LONGEST_SEC: Final = 60.0
LASTED_SEC: Final = 10.0
"""A run of this length was a good one: the next back-off begins anew."""


@dataclass(frozen=True, slots=True)
class Life:
    """`wanted`: nobody has stopped it. `restarts` of the policy since somebody last started it; `in_row`: how
    many of them did not last. `removed`: somebody has asked for that, and it is killed for it.
    """

    wanted: bool = True
    restarts: int = 0
    in_row: int = 0
    removed: bool = False

    @classmethod
    def read(cls, directory: str) -> Life:
        """The record; what is not there, or is damaged, is as if nobody had wished anything."""
        wire = records.read_record(directory, records.LIFE) or {}
        return cls(
            wanted=wire.get("wanted") is not False,
            restarts=_count(wire, "restarts"),
            in_row=_count(wire, "in_row"),
            removed=wire.get("removed") is True,
        )

    def write(self, directory: str, *, durable: bool = True) -> None:
        """Old or new, whatever dies; OSError where the directory has no room."""
        wire = asdict(self)
        with records.opened_directory(directory) as fd:
            records.write_record(fd, records.LIFE, wire, durable=durable)

    def again(self) -> Life:
        """After one more restart by the policy."""
        return replace(self, restarts=self.restarts + 1, in_row=self.in_row + 1)

    def after_run(self, started_at: str | None, finished_at: str | None) -> Life:
        """A run that lasted makes up for those that did not."""
        lasted = _seconds_between(started_at, finished_at) >= LASTED_SEC
        return replace(self, in_row=0) if lasted else self


class Policy(NamedTuple):
    """`most` restarts, or None for any number."""

    kind: str
    most: int | None


def parse_restart(text: str) -> Policy:
    """`no`, `on-failure`, `on-failure:3`, `always` or `unless-stopped`, as the spec has checked it."""
    kind, _, most = text.partition(":")
    return Policy(kind, int(most) if most else None)


def is_due(text: str, life: Life, exit_code: int | None) -> bool:
    """Does the policy start it again? An end that nobody saw, at a reboot say, counts as a failure."""
    policy = parse_restart(text)
    if policy.kind == "no" or not life.wanted:
        return False
    if policy.kind == "on-failure":
        return exit_code != 0 and (policy.most is None or life.restarts < policy.most)
    return True


def is_exhausted(text: str, life: Life, exit_code: int | None) -> bool:
    """Has it failed once more than its policy allows?"""
    policy = parse_restart(text)
    return (
        policy.kind == "on-failure" and life.wanted and exit_code != 0 and not is_due(text, life, exit_code)
    )


def after_reboot(text: str, life: Life) -> Life:
    """`always` means: also what somebody stopped before the host was booted."""
    return replace(life, wanted=True) if parse_restart(text).kind == "always" else life


def backoff_sec(life: Life) -> float:
    """100 ms, doubled with each run that did not last, up to a minute."""
    return min(FIRST_SEC * 2.0 ** min(life.in_row, 20), LONGEST_SEC)


def _count(wire: Mapping[str, Any], key: str) -> int:
    value = wire.get(key)
    return value if isinstance(value, int) and value >= 0 else 0


def _seconds_between(started_at: str | None, finished_at: str | None) -> float:
    if started_at is None or finished_at is None:
        return 0.0
    return (datetime.fromisoformat(finished_at) - datetime.fromisoformat(started_at)).total_seconds()
