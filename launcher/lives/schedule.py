"""Things to be done later, each at its moment: one thread that waits, a few that do them."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

_LOG: Final = logging.getLogger("cgwarden.launcher")


class Schedule:
    """What is due before `begin` waits for it; what is due after `close` is never done."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._closed = False
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="container-restart")
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Once; before that nothing is done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="container-schedule", daemon=True)
            self._thread.start()

    def add(self, delay_sec: float, action: Callable[[], None]) -> None:
        """Whoever adds it sees to it, in the action, that it is still wished for by then."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay_sec, next(self._number), action))
            self._changed.notify()

    def close(self) -> None:
        """What is under way is completed."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._workers.shutdown(wait=True)

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                wait_sec = self._due[0][0] - time.monotonic() if self._due else None
                if wait_sec is None or wait_sec > 0:
                    self._changed.wait(wait_sec)
                else:
                    self._workers.submit(heapq.heappop(self._due)[2]).add_done_callback(_log_failure)


def _log_failure(done: Future[None]) -> None:
    error = done.exception()
    if error is not None:
        _LOG.error("a container could not be started again: %s", error, exc_info=error)
