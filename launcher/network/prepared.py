"""Networks made ahead, so that a launch finds one ready; one thread makes them and takes the used ones away.

They are held by descriptors of the daemon alone: should it be killed, the kernel takes them away, and the
next daemon releases their leases.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from launcher.errors import LauncherError
from launcher.network.leases import Lease
from launcher.network.wiring import Wired, Wiring

REST_SEC: Final = 0.05
"""A launch that took a network has the processors for itself that long."""
LOOK_SEC: Final = 10.0
"""How often rules and bridge are looked after while nothing is launched."""
_LOG: Final = logging.getLogger("cgwarden.launcher")


class Prepared:
    """`take` never waits: None where nothing is ready."""

    def __init__(self, wiring: Wiring, count: int, look_around: Callable[[], None]) -> None:
        """`look_around` is called before each round of making: what the host looks like may have changed."""
        self._wiring = wiring
        self._count = count
        self._look_around = look_around
        self._changed = threading.Condition()
        self._ready: deque[Wired] = deque()
        self._tasks: deque[Callable[[], None]] = deque()
        self._rested_at = time.monotonic() + REST_SEC
        self._look_at = time.monotonic() + LOOK_SEC
        self._busy = False
        self._paused = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="networks", daemon=True)
        self._thread.start()

    def take(self) -> Wired | None:
        with self._changed:
            self._paused = False
            self._rested_at = time.monotonic() + REST_SEC
            self._changed.notify_all()
            return self._ready.popleft() if self._ready else None

    def label(self, lease: Lease) -> None:
        """Write the container's name on its link, soon."""
        self._add(lambda: self._wiring.label(lease))

    def retire(self, lease: Lease) -> None:
        """Take it away soon; its address is free when that is done."""
        self._add(lambda: self._wiring.unmake(lease))

    def _add(self, task: Callable[[], None]) -> None:
        with self._changed:
            self._tasks.append(task)
            self._changed.notify_all()

    def settle(self) -> None:
        """Wait until everything that was to go has gone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._tasks and not self._busy)

    def discard_ready(self) -> None:
        """Give back what was made ahead: somebody needs the addresses."""
        with self._changed:
            self._paused = True
            while self._ready:
                self._discard(self._ready.popleft())
            self._changed.notify_all()

    def _discard(self, wired: Wired) -> None:
        os.close(wired.namespace)
        self._tasks.append(lambda: self._wiring.unmake(wired.lease))

    def close(self) -> None:
        """Nothing that was made ahead, or was to go, is left."""
        self.discard_ready()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except (LauncherError, OSError) as e:
                # A launch meets the same, and tells whom it concerns; until then there is no use in more.
                _LOG.warning("a network could not be prepared or removed: %s", e)
                with self._changed:
                    self._paused = True
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        """What is asked for goes first, also at the end; making ahead waits until a launch had its time."""
        with self._changed:
            while not self._tasks and not self._closing:
                short = self._is_short()
                due_at, task = (self._rested_at, self._make) if short else (self._look_at, self._look)
                if (wait_sec := due_at - time.monotonic()) > 0:
                    self._changed.wait(wait_sec)
                else:
                    self._tasks.append(task)
            self._busy = bool(self._tasks)
            return self._tasks.popleft() if self._tasks else None

    def _is_short(self) -> bool:
        return len(self._ready) < self._count and not self._paused

    def _look(self) -> None:
        self._look_at = time.monotonic() + LOOK_SEC
        self._look_around()

    def _make(self) -> None:
        self._look()
        wired = self._wiring.make()
        with self._changed:
            if self._closing or self._paused:
                self._discard(wired)
            else:
                self._ready.append(wired)
