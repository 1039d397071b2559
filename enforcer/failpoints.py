"""Failpoints: die, fail or linger at a named step, so that crash tests hit each; inert outside test mode.

`CGWARDEN_FAILPOINT=limit.write1:kill,journal.before:enospc@2` counts only with `CGWARDEN_TEST_MODE=1`.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator, Sequence

from cgroupfs import Write

STEPS = (
    "limit.intent",
    "limit.guarded",
    "limit.write1",
    "limit.verified",
    "limit.committed",
    "freeze.intent",
    "freeze.written",
    "freeze.committed",
    "journal.before",
    "journal.after",
)


class Failpoints:
    """Armed steps with what happens there; each may fire on its n-th passage (`@n`) only."""

    def __init__(self, armed: dict[str, tuple[str, int | None]] | None = None) -> None:
        self._armed = armed or {}
        self._passed: dict[str, int] = {}

    @classmethod
    def from_environment(cls, environment: dict[str, str] | None = None) -> Failpoints:
        """What the environment arms; nothing unless test mode is on."""
        found = dict(os.environ) if environment is None else environment
        if found.get("CGWARDEN_TEST_MODE") != "1":
            return cls()
        return cls(dict(_parse(part) for part in found.get("CGWARDEN_FAILPOINT", "").split(",") if part))

    def reach(self, step: str) -> None:
        """Pass a step, or do what it is armed with."""
        if step not in self._armed:
            return
        action, only = self._armed[step]
        self._passed[step] = self._passed.get(step, 0) + 1
        if only is None or self._passed[step] == only:
            _act(step, action)

    def between(self, plan: Sequence[Write]) -> Sequence[Write]:
        """The plan, with `limit.write1` after its first write; the plan itself where that is not armed."""
        return _Interrupted(plan, self) if "limit.write1" in self._armed else plan


class _Interrupted(Sequence[Write]):
    """A plan that passes a failpoint while it is walked through."""

    def __init__(self, plan: Sequence[Write], failpoints: Failpoints) -> None:
        self._plan = plan
        self._failpoints = failpoints

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._plan[index]

    def __iter__(self) -> Iterator[Write]:
        for number, write in enumerate(self._plan):
            if number == 1:
                self._failpoints.reach("limit.write1")
            yield write


def _parse(part: str) -> tuple[str, tuple[str, int | None]]:
    step, _, action = part.partition(":")
    action, _, only = action.partition("@")
    return step.strip(), (action.strip(), int(only) if only else None)


def _act(step: str, action: str) -> None:
    word, _, amount = action.partition("=")
    match word:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "enospc":
            raise OSError(errno.ENOSPC, "failpoint", step)
        case "delay":
            time.sleep(int(amount or 0) / 1000)
        case _:
            raise OSError(errno.EIO, "failpoint", step)
