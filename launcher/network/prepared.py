"""Networks made ahead, so that a launch finds one ready; one thread makes them and takes the used ones away.

They are held by descriptors of the daemon alone: should it be killed, the kernel takes them away, and the
next daemon releases their leases.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from launcher.errors import LauncherError
from launcher.network.leases import Lease
from launcher.network.wiring import Wired, Wiring

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
        self._used: deque[Lease] = deque()
        self._busy = False
        self._paused = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="networks", daemon=True)
        self._thread.start()

    def take(self) -> Wired | None:
        with self._changed:
            self._paused = False
            self._changed.notify_all()
            return self._ready.popleft() if self._ready else None

    def retire(self, lease: Lease) -> None:
        """Take it away soon; its address is free when that is done."""
        with self._changed:
            self._used.append(lease)
            self._changed.notify_all()

    def settle(self) -> None:
        """Wait until everything that was to go has gone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._used and not self._busy)

    def discard_ready(self) -> None:
        """Give back what was made ahead: somebody needs the addresses."""
        with self._changed:
            self._paused = True
            while self._ready:
                wired = self._ready.popleft()
                os.close(wired.namespace)
                self._used.append(wired.lease)
            self._changed.notify_all()

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
        """What is to be taken away goes first, also at the end."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._used) or self._closing or self._is_short())
            self._busy = True
            if self._used:
                lease = self._used.popleft()
                return lambda: self._wiring.unmake(lease)
            return None if self._closing else self._make

    def _is_short(self) -> bool:
        return len(self._ready) < self._count and not self._paused

    def _make(self) -> None:
        self._look_around()
        wired = self._wiring.make()
        with self._changed:
            if self._closing or self._paused:
                os.close(wired.namespace)
                self._used.append(wired.lease)
            else:
                self._ready.append(wired)
