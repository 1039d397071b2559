"""The daemon's heartbeat: one thread sweeps at fixed instants, another decides on the newest sweep.

Two threads, because deciding may end in a write that blocks while the kernel reclaims memory, and the next
sweep must not wait for it. The engine always gets the newest snapshot; those it was too busy for are skipped.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from monitor import Snapshot

_STOP_TIMEOUT_SEC: Final = 15.0


class Pulse:
    """Calls `sweep` every `interval_sec`, and `decide` with the newest snapshot that came of it."""

    def __init__(
        self,
        *,
        sweep: Callable[[], Snapshot],
        decide: Callable[[Snapshot], object],
        interval_sec: float,
    ) -> None:
        self._sweep = sweep
        self._decide = decide
        self._interval_sec = interval_sec
        self._newest: Snapshot | None = None
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._threads = (
            threading.Thread(target=self._run_sweeps, name="sweep", daemon=True),
            threading.Thread(target=self._run_engine, name="engine", daemon=True),
        )

    def start(self) -> None:
        """Start both threads; the first sweep happens at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the sweep and the decision in progress, and start no more."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_STOP_TIMEOUT_SEC)

    def is_alive(self) -> bool:
        """Whether both threads run; /healthz asks."""
        return all(thread.is_alive() for thread in self._threads)

    def _run_sweeps(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self._publish(self._sweep())
            due = next_due(due, time.monotonic(), self._interval_sec)

    def _publish(self, snapshot: Snapshot) -> None:
        with self._changed:
            self._newest = snapshot
            self._changed.notify_all()

    def _run_engine(self) -> None:
        while (snapshot := self._take_newest()) is not None:
            self._decide(snapshot)

    def _take_newest(self) -> Snapshot | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._stopping.is_set())
            snapshot, self._newest = self._newest, None
            return None if self._stopping.is_set() else snapshot


def next_due(due: float, now: float, interval_sec: float) -> float:
    """When the next sweep is due: on the grid of the first one, leaving out instants that have passed."""
    missed = max(0, int((now - due) / interval_sec))
    return due + (missed + 1) * interval_sec
