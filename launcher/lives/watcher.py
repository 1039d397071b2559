"""One thread that waits for all supervisors, and for first processes that lost theirs, by pidfd."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

_LOG: Final = logging.getLogger("cgwarden.launcher")


class Watcher:
    """Calls back once for each pidfd whose process has ended, on a worker: a slow ending delays no other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC)
        self._epoll.register(self._wake_read, select.EPOLLIN)
        self._workers = ThreadPoolExecutor(4, thread_name_prefix="container-end")
        self._thread = threading.Thread(target=self._run, name="container-watch", daemon=True)
        self._thread.start()

    def watch(self, pidfd: int, callback: Callable[[], None]) -> None:
        """The callback may use and must close `pidfd`."""
        with self._lock:
            self._callbacks[pidfd] = callback
        self._epoll.register(pidfd, select.EPOLLIN)

    def close(self) -> None:
        """Endings under way are completed; processes still watched are let go."""
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._workers.shutdown(wait=True)
        with self._lock:
            pidfds = list(self._callbacks)
            self._callbacks.clear()
        for fd in (*pidfds, self._wake_read, self._wake_write):
            os.close(fd)
        self._epoll.close()

    def _run(self) -> None:
        while True:
            for fd, _event in self._epoll.poll():
                if fd == self._wake_read:
                    return
                self._epoll.unregister(fd)
                with self._lock:
                    callback = self._callbacks.pop(fd)
                self._workers.submit(callback).add_done_callback(_log_failure)


def _log_failure(ending: Future[None]) -> None:
    """Nobody waits for a worker's result: what went wrong would be lost with it."""
    error = ending.exception()
    if error is not None:
        _LOG.error("the end of a container could not be dealt with: %s", error, exc_info=error)
