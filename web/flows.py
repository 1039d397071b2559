"""Answers that flow out of a blocking iterator (logs, exec): they end with the client, it, or the daemon.

A thread of its own walks the iterator and piles up what comes; the event loop takes the whole pile whenever
it gets there. So a single line leaves at once, a flood in large pieces, and a slow client slows the source
and not our memory.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from typing import Final, Generic, TypeVar

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from web.stream import Streams
from web.threads import Threads

T = TypeVar("T")

_PILE_BYTES: Final = 256 << 10


class Flow(Generic[T]):
    """One iterator on its way to one client."""

    def __init__(self, items: Generator[T, None, None], encode_item: Callable[[T], bytes]) -> None:
        self._items = items
        self._encode = encode_item
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._changed = threading.Condition()
        self._pile: list[bytes] = []
        self._pile_bytes = 0
        self._ended = False
        self._gone = False

    def pump(self) -> None:
        """Walk the iterator (in a thread) to its end, or to the client's; it is closed here either way."""
        try:
            with contextlib.closing(self._items):
                for item in self._items:
                    if not self._put(self._encode(item)):
                        return
        finally:
            with self._changed:
                self._ended = True
            self._wake()

    def stop(self) -> None:
        """The client has gone."""
        with self._changed:
            self._gone = True
            self._changed.notify()

    async def take(self) -> bytes | None:
        """All that has come since the last time; None at the end."""
        await self._ready.wait()
        with self._changed:
            pile, self._pile, self._pile_bytes = self._pile, [], 0
            if not self._ended:
                self._ready.clear()
            self._changed.notify()
        return b"".join(pile) if pile else None

    def _put(self, piece: bytes) -> bool:
        """False once nobody is there to take it."""
        with self._changed:
            while self._pile_bytes >= _PILE_BYTES and not self._gone:
                self._changed.wait()
            if self._gone:
                return False
            self._pile.append(piece)
            self._pile_bytes += len(piece)
            is_first = len(self._pile) == 1
        if is_first:
            self._wake()
        return True

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ready.set)


def flowing(
    request: Request,
    items: Generator[T, None, None],
    encode_item: Callable[[T], bytes],
    media_type: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    last: Callable[[], bytes] = bytes,
    stop: Callable[[], None] | None = None,
) -> Response:
    """A chunked answer. `last` is sent after the items; `stop` makes a blocked iterator come to its end."""
    streams: Streams = request.app.state.streams
    threads: Threads = request.app.state.threads
    flow = Flow(items, encode_item)
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

    told = {"X-Accel-Buffering": "no", **(headers or {})}
    return StreamingResponse(pieces(), status, told, media_type)


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
