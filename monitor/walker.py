"""Visits many things in a thread of its own: a visit that hangs costs that thing and that thread, no more.

A read of a kernel file can take seconds (a memory.stat above many dying cgroups) or never return. Whoever
walks must not wait for it, and must not ask for it again before it has returned.

The thread is woken once per walk and wakes whoever waits once: two bare locks, because what `queue` and
`threading.Event` add costs as much as reading several containers.
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

    __slots__ = ("cpu_sec", "failure", "pending", "results", "visit")

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
        self._lock = threading.Lock()  # held for each step from one thing to the next
        self._walk: Walk[T, R] | None = None
        self._given_up = False
        self.at: T | None = None  # being visited now
        # Both are held while there is nothing to tell; to release one is to wake the other side.
        self._go = threading.Lock()
        self._done = threading.Lock()
        self._go.acquire()
        self._done.acquire()
        # A daemon thread: one that hangs in the kernel must not keep the process from ending.
        threading.Thread(target=self._run, name="sweep reader", daemon=True).start()

    def start(self, walk: Walk[T, R] | None) -> None:
        """Begin with a walk; with None, end the thread. Only while it has nothing to do."""
        self._walk = walk
        self._go.release()

    def wait(self, timeout_sec: float) -> bool:
        """Whether the walk ended in time. Once it has, `start` comes first."""
        return self._done.acquire(timeout=timeout_sec)

    def give_up(self, at: T) -> bool:
        """Leave it with the thing that it is at, for good; False if it got on in the meantime."""
        with self._lock:
            self._given_up = self.at is at
            return self._given_up

    def _run(self) -> None:
        failed = False
        while not failed and self._go.acquire() and (walk := self._walk) is not None:
            before = time.thread_time()
            try:
                self._visit_all(walk)
            except Exception as error:  # noqa: BLE001  # not swallowed: the thread that waits raises it
                walk.failure = error
            walk.cpu_sec += time.thread_time() - before
            with self._lock:
                at, self.at = self.at, None
            if self._given_up:
                if at is not None:
                    self._returned.put(at)
                return
            failed = walk.failure is not None
            self._walk = None
            del walk  # a thread that waits must not keep alive what is gone
            self._done.release()

    def _visit_all(self, walk: Walk[T, R]) -> None:
        lock, pending, visit, results = self._lock, walk.pending, walk.visit, walk.results
        while True:
            with lock:
                if self._given_up:
                    return
                self.at = at = pending.popleft() if pending else None
            if at is None:
                return
            result = visit(at)
            if result is not None:
                with lock:
                    if not self._given_up:
                        results.append((at, result))


class Walker(Generic[T, R]):
    """Walks with one thread, and with a new one wherever the last got stuck. Used by one thread."""

    def __init__(self, check_sec: float = CHECK_SEC) -> None:
        self._check_sec = check_sec
        self._worker: _Worker[T, R] | None = None
        self._returned: SimpleQueue[T] = SimpleQueue()
        self.stuck: set[T] = set()  # a thread hangs in each

    def take_returned(self) -> list[T]:
        """Things that are not stuck any more."""
        if not self.stuck:
            return []
        returned = [self._returned.get() for _ in range(self._returned.qsize())]
        self.stuck.difference_update(returned)
        return returned

    def walk(self, things: Iterable[T], visit: Callable[[T], R | None]) -> Walk[T, R]:
        """Visit all that are not stuck; what is pending at the end was not visited. Raises what a visit
        raised.
        """
        if self.stuck:
            things = [thing for thing in things if thing not in self.stuck]
        walk: Walk[T, R] = Walk(things, visit)
        while walk.pending and len(self.stuck) < MOST_STUCK:
            self._walk_until_stuck(walk)
        return walk

    def close(self) -> None:
        """End the thread; those that are stuck end when they can."""
        if self._worker is not None:
            self._worker.start(None)
            self._worker = None

    def _walk_until_stuck(self, walk: Walk[T, R]) -> None:
        # Ours again only once it is known to wait for work: not if it hangs, failed, or we are interrupted.
        worker, self._worker = self._worker or _Worker(self._returned), None
        worker.start(walk)
        at: T | None = None
        while not worker.wait(self._check_sec):
            before, at = at, worker.at
            if at is not None and at is before and worker.give_up(at):
                self.stuck.add(at)
                return
        if walk.failure is not None:
            raise walk.failure
        self._worker = worker
