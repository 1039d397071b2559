"""Answers that flow out of a blocking iterator (logs, exec): they end with the client, it, or the daemon.

A thread of its own walks the iterator from its first item to its last, so that whatever it holds open is
closed there, and hands over through a short queue, so that a slow client slows the source and not our memory.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from itertools import islice
from typing import Final, Generic, TypeVar

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from web.stream import Streams
from web.threads import Threads

T = TypeVar("T")

_QUEUE_MAX: Final = 8


class Flow(Generic[T]):
    """One iterator on its way to one client."""

    def __init__(self, items: Iterator[T], encode_item: Callable[[T], bytes], at_once: int) -> None:
        self._items = items
        self._encode = encode_item
        self._at_once = at_once
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_MAX)
        self._gone = threading.Event()

    def pump(self) -> None:
        """Walk the iterator (in a thread); what comes after the client has gone is dropped."""
        try:
            while batch := list(islice(self._items, self._at_once)):
                if not self._gone.is_set():
                    self._hand_over(b"".join([self._encode(item) for item in batch]))
        finally:
            self._hand_over(None)

    def stop(self) -> None:
        """The client has gone: let the thread run to the iterator's end without us."""
        self._gone.set()
        while not self._queue.empty():
            self._queue.get_nowait()

    async def take(self) -> bytes | None:
        """The next piece; None at the end."""
        return await self._queue.get()

    def _hand_over(self, piece: bytes | None) -> None:
        if not self._loop.is_closed() and not self._gone.is_set():
            asyncio.run_coroutine_threadsafe(self._queue.put(piece), self._loop).result()


def flowing(
    request: Request,
    items: Iterator[T],
    encode_item: Callable[[T], bytes],
    media_type: str,
    *,
    at_once: int = 1,
    last: Callable[[], bytes] = bytes,
    stop: Callable[[], None] | None = None,
) -> Response:
    """A chunked answer. `last` is sent after the items; `stop` makes a blocked iterator come to its end."""
    streams: Streams = request.app.state.streams
    threads: Threads = request.app.state.threads
    flow = Flow(items, encode_item, at_once)
    pumping = threads.wait(flow.pump)

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for piece in _until(streams.closing, flow.take):
                yield piece
            if not streams.closing.is_set():
                await pumping  # an error of the source cuts the answer off, so that it does not look complete
                yield last()
        finally:
            flow.stop()
            if stop is not None:
                stop()

    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(pieces(), headers=headers, media_type=media_type)


async def _until(
    closing: asyncio.Event, take: Callable[[], Coroutine[None, None, bytes | None]]
) -> AsyncIterator[bytes]:
    ended = asyncio.ensure_future(closing.wait())
    try:
        while True:
            coming = asyncio.ensure_future(take())
            await asyncio.wait({coming, ended}, return_when=asyncio.FIRST_COMPLETED)
            piece = coming.result() if coming.done() else None
            coming.cancel()
            if piece is None:
                return
            yield piece
    finally:
        ended.cancel()
