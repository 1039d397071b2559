"""Long work for one client, which ends when the client hangs up or the daemon is to end."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from fastapi import Request

from launcher.wanted import wanted_while
from web.problems import Busy
from web.stream import Streams
from web.threads import Threads

T = TypeVar("T")

_END_SEC: Final = 5.0
"""For a call to undo what it began: to thaw a container, to remove half a layer."""


async def while_wanted(request: Request, call: Callable[[], T], *, by_client: bool = True) -> T:
    """Run something long in a thread; Busy where the end of the daemon has ended it. With `by_client` false
    it goes on when the client hangs up. The body must have been read.
    """
    threads: Threads = request.app.state.threads
    streams: Streams = request.app.state.streams
    given_up = threading.Event()

    def act() -> T:
        with wanted_while(lambda: not given_up.is_set()):
            return call()

    task = threads.wait(act)
    ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(streams.closing.wait())]
    if by_client:
        ends.append(asyncio.ensure_future(_hung_up(request)))
    try:
        await asyncio.wait([task, *ends], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            given_up.set()
            await asyncio.wait({task}, timeout=_END_SEC)
        if given_up.is_set() and (not task.done() or task.exception()):
            raise Busy("the daemon is being stopped, or the client has gone; nothing was kept")
        return task.result()
    finally:
        given_up.set()
        task.cancel()
        for end in ends:
            end.cancel()


async def _hung_up(request: Request) -> bool:
    while (await request.receive())["type"] != "http.disconnect":
        continue
    return True
