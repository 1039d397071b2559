"""Visits many things in a thread of its own: a visit that hangs costs that thing and that thread, no more.

A read of a kernel file can take seconds (a memory.stat above many dying cgroups) or never return. Whoever
walks must not wait for it, and must not ask for it again before it has returned.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

CHECK_SEC: Final = 0.25  # a visit that outlasts one whole interval between two checks is stuck
MOST_STUCK: Final = 16

T = TypeVar("T")
R = TypeVar("R")


class Walk(Generic[T, R]):
    """One pass over things; shared by the thread that visits and the one that waits."""

    def __init__(self, things: Iterable[T], visit: Callable[[T], R | None]) -> None:
        self.pending = deque(things)
        self.visit = visit
        self.results: list[tuple[T, R]] = []  # of visits that had one
        self.cpu_sec = 0.0
        self.failure: Exception | None = None


class _Worker(Generic[T, R]):
    """A thread that visits until it is told to stop, or given up."""

    def __init__(self, returned: SimpleQueue[T]) -> None:
        self._returned = returned
        self._lock = threading.Lock()
        self._walks: SimpleQueue[Walk[T, R] | None] = SimpleQueue()
        self._given_up = False
        self.at: T | None = None  # being visited now
        self.done = threading.Event()
        # A daemon thread: one that hangs in the kernel must not keep the process from ending.
        threading.Thread(target=self._run, name="sweep reader", daemon=True).start()

    def start(self, walk: Walk[T, R]) -> None:
        self.done.clear()
        self._walks.put(walk)

    def stop(self) -> None:
        """End the thread once it has nothing to do."""
        self._walks.put(None)

    def give_up(self, at: T) -> bool:
        """Leave it with the thing that it is at, for good; False if it got on in the meantime."""
        with self._lock:
            if self.at is not at or self.done.is_set():
                return False
            self._given_up = True
            return True

    def _run(self) -> None:
        while (walk := self._walks.get()) is not None:
            before = time.thread_time()
            try:
                self._visit_all(walk)
            except Exception as error:  # noqa: BLE001  # not swallowed: the thread that waits raises it
                walk.failure = error
            finally:
                walk.cpu_sec += time.thread_time() - before
                self.done.set()
                if self._given_up and self.at is not None:
                    self._returned.put(self.at)
            if self._given_up or walk.failure:
                return
            del walk  # a thread that waits must not keep alive what is gone

    def _visit_all(self, walk: Walk[T, R]) -> None:
        result = None
        while True:
            with self._lock:
                if self._given_up:
                    return
                if result is not None and self.at is not None:
                    walk.results.append((self.at, result))
                self.at = walk.pending.popleft() if walk.pending else None
            if self.at is None:
                return
            result = walk.visit(self.at)


class Walker(Generic[T, R]):
    """Walks with one thread, and with a new one wherever the last got stuck. Used by one thread."""

    def __init__(self, check_sec: float = CHECK_SEC) -> None:
        self._check_sec = check_sec
        self._worker: _Worker[T, R] | None = None
        self._returned: SimpleQueue[T] = SimpleQueue()
        self.stuck: set[T] = set()  # a thread hangs in each

    def take_returned(self) -> list[T]:
        """Things that are not stuck any more."""
        returned = [self._returned.get() for _ in range(self._returned.qsize())]
        self.stuck.difference_update(returned)
        return returned

    def walk(self, things: Iterable[T], visit: Callable[[T], R | None]) -> Walk[T, R]:
        """Visit all that are not stuck; what is pending at the end was not visited. Raises what a visit
        raised.
        """
        walk: Walk[T, R] = Walk((thing for thing in things if thing not in self.stuck), visit)
        while walk.pending and len(self.stuck) < MOST_STUCK:
            self._walk_until_stuck(walk)
        return walk

    def close(self) -> None:
        """End the thread; those that are stuck end when they can."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _walk_until_stuck(self, walk: Walk[T, R]) -> None:
        worker = self._worker = self._worker or _Worker(self._returned)
        worker.start(walk)
        at = worker.at
        while not worker.done.wait(self._check_sec):
            before, at = at, worker.at
            if at is not None and at is before and worker.give_up(at):
                self.stuck.add(at)
                self._worker = None
                return
        if walk.failure is not None:
            self._worker = None
            raise walk.failure
