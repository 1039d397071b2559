"""Blocking calls in threads, in three lanes, so that those who wait do not hold up those who act."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

from web.problems import Busy

P = ParamSpec("P")
T = TypeVar("T")

_READS: Final = 8
_CHANGES: Final = 32
_WAITS: Final = 200


class Threads:
    """Reads are many and short, changes bounded, waits (`wait`, `logs -f`, `exec`) long and counted."""

    def __init__(self) -> None:
        self._reads = CapacityLimiter(_READS)
        self._changes = CapacityLimiter(_CHANGES)
        self._waiting = 0

    async def read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that looks and does not wait."""
        return await to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self._reads)

    async def change(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that changes a container; it is finished even when the client hangs up."""
        return await to_thread.run_sync(lambda: call(*args, **kwargs), limiter=self._changes)

    def require_room(self) -> None:
        """Busy when `wait` would say so: for those who act first and then wait."""
        if self._waiting >= _WAITS:
            raise Busy(f"{_WAITS} clients are waiting already")

    def wait(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Run something that may take as long as a container lives; Busy when too many do already.

        Whoever waits may give up; the thread then ends whenever its call does, or with the process.
        """
        self.require_room()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting += 1

        def settle(result: T | None, error: BaseException | None) -> None:
            self._waiting -= 1
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def run() -> None:
            result, error = None, None
            try:
                result = call(*args, **kwargs)
            except BaseException as raised:  # noqa: BLE001 - handed to whoever waits, as every executor does
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        # Daemon threads: the end of the process must not wait for a container's.
        threading.Thread(target=run, name="web wait", daemon=True).start()
        return future
