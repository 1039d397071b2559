"""Ctrl-C at a moment that the test chooses."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Final

LOOK_SEC: Final = 0.001


@contextlib.contextmanager
def interrupted_once(is_time: Callable[[], bool]) -> Iterator[None]:
    """Raise KeyboardInterrupt in the main thread, once `is_time` says so; never after the block."""
    over = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def wait() -> None:
        while not over.wait(LOOK_SEC):
            if is_time():
                signal.pthread_kill(main, signal.SIGINT)
                return

    waiter = threading.Thread(target=wait)
    waiter.start()
    try:
        yield
    finally:
        over.set()
        waiter.join()
