"""Live streams (SSE): frames are encoded once and shared, queues are bounded, and all end at shutdown.

Usage frames follow the sweeps and carry no id; event frames carry the event's id, so that `Last-Event-ID`
replays what a client missed. A client that falls behind loses its oldest frames and is told so (`event:
gap`); one that never reads is cut by the server's send deadline.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from monitor import Event, Snapshot
from web.access import requires
from web.parts import Services
from web.problems import Busy, Invalid, at
from web.scopes import READ
from web.threads import Threads
from web.views import container_frame, containers_frame, host_frame
from web.wire import encode

_LOOK_SEC: Final = 0.1
_COMMENT_SEC: Final = 15.0
_QUEUE_MAX: Final = 64
_CLIENTS_MAX: Final = 1000
_REPLAY_PAGE: Final = 500
_REPLAY_MAX: Final = 5000
_TOPICS_MAX: Final = 20
_HELLO: Final = b"retry: 2000\n\n"
_COMMENT: Final = b": still here\n\n"

router = APIRouter()


class Client:
    """One listener: what it wants, and what waits for it."""

    def __init__(self, topics: frozenset[str], accepts: Callable[[Event], bool] | None = None) -> None:
        self.topics = topics
        self.accepts = accepts
        self.tick: int | None = None
        self.replayed = 0
        self._frames: deque[tuple[int | None, bytes]] = deque()
        self._dropped = 0
        self._wake = asyncio.Event()

    def put(self, frame: bytes, id: int | None = None) -> None:
        """Add a frame; the oldest gives way when the client is too slow."""
        if len(self._frames) >= _QUEUE_MAX:
            self._frames.popleft()
            self._dropped += 1
        self._frames.append((id, frame))
        self._wake.set()

    def wake(self) -> None:
        """Let `take` return, if with nothing."""
        self._wake.set()

    async def take(self) -> bytes:
        """All that waits, as one piece; a comment when nothing came for a while."""
        try:
            await asyncio.wait_for(self._wake.wait(), _COMMENT_SEC)
        except TimeoutError:
            return _COMMENT
        self._wake.clear()
        # An event that came while older ones were replayed may have been replayed with them.
        frames = [frame for id, frame in self._frames if id is None or id > self.replayed]
        dropped = self._dropped
        self._frames.clear()
        self._dropped = 0
        gap = [sse("gap", {"dropped": dropped})] if dropped else []
        return b"".join([*gap, *frames])


class Streams:
    """The hub: looks for a new sweep while anyone listens, and passes events on as they are appended."""

    def __init__(self, services: Services, threads: Threads) -> None:
        self._services = services
        self._threads = threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: set[Client] = set()
        self._tick: int | None = None
        self.frames: dict[str, bytes] = {}  # of the last sweep, by topic
        self.closing = asyncio.Event()

    @property
    def clients(self) -> int:
        """How many listen now."""
        return len(self._clients)

    async def run(self) -> None:
        """Serve sweeps until cancelled; started with the application."""
        self._loop = asyncio.get_running_loop()
        unsubscribe = self._services.events.subscribe(self._on_event)
        try:
            while True:
                await asyncio.sleep(_LOOK_SEC)
                await self._publish_sweep()
        finally:
            unsubscribe()

    def end(self) -> None:
        """Let every stream end; called in the event loop when the server shuts down."""
        self.closing.set()
        for client in self._clients:
            client.wake()

    async def listen(self, client: Client, after: int | None) -> AsyncIterator[bytes]:
        """The stream of one client: what it missed after the event `after`, then what comes."""
        self._clients.add(client)
        try:
            yield _HELLO
            if after is not None:
                async for frame in self._replay(client, after):
                    yield frame
            while not self.closing.is_set():
                yield await client.take()
        finally:
            self._clients.discard(client)

    async def _replay(self, client: Client, after: int) -> AsyncIterator[bytes]:
        page = self._services.events.page
        newest = await self._threads.read(page, 0, 1, newest=True)
        last_id = newest[-1].id if newest else 0
        oldest = await self._threads.read(page, 0, 1)
        first_id = oldest[0].id if oldest else 1
        if after > last_id or after + 1 < first_id or last_id - after > _REPLAY_MAX:
            client.replayed = last_id
            yield sse("reset", {"last_id": last_id})
            return
        while events := await self._threads.read(page, after, _REPLAY_PAGE):
            after = client.replayed = events[-1].id
            yield b"".join(
                event_frame(event) for event in events if client.accepts is None or client.accepts(event)
            )

    def _on_event(self, event: Event) -> None:
        # Called from the thread that appended, which must not wait for us.
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish_event, event)

    def _publish_event(self, event: Event) -> None:
        interested = [client for client in self._clients if "events" in client.topics]
        frame = event_frame(event) if interested else b""
        for client in interested:
            if client.accepts is None or client.accepts(event):
                client.put(frame, event.id)

    async def _publish_sweep(self) -> None:
        behind = [client for client in self._clients if client.topics - {"events"}]
        snapshot = self._services.monitor.latest() if behind else None
        if snapshot is None:
            return
        if snapshot.tick != self._tick:
            self._tick, self.frames = snapshot.tick, {}
        behind = [client for client in behind if client.tick != snapshot.tick]
        missing = {topic for client in behind for topic in client.topics} - {"events", *self.frames}
        if missing:
            self.frames |= await self._threads.read(self._render, snapshot, sorted(missing))
        for client in behind:
            client.tick = snapshot.tick
            for topic in sorted(client.topics & self.frames.keys()):
                client.put(self.frames[topic])

    def _render(self, snapshot: Snapshot, topics: Iterable[str]) -> dict[str, bytes]:
        return {topic: self._frame(snapshot, topic) for topic in topics}

    def _frame(self, snapshot: Snapshot, topic: str) -> bytes:
        kind, _, name = topic.partition(":")
        if kind == "host":
            return sse("host", host_frame(snapshot))
        if kind == "containers":
            return sse("containers", containers_frame(self._services, snapshot))
        return sse("container", container_frame(self._services, snapshot, name))


def sse(kind: str, data: Any, id: int | None = None) -> bytes:
    """One SSE frame."""
    head = f"id: {id}\n" if id is not None else ""
    return f"{head}event: {kind}\ndata: ".encode() + encode(data) + b"\n\n"


def event_frame(event: Event) -> bytes:
    """An entry of the event log as a frame."""
    return sse("event", event.to_wire(), event.id)


def parse_topics(text: str) -> frozenset[str]:
    """`host,containers,events,container:NAME`; Invalid for any other word."""
    topics = [topic.strip() for topic in text.split(",")]
    for topic in topics:
        kind, colon, name = topic.partition(":")
        if topic not in ("host", "containers", "events") and not (
            kind == "container" and colon and 0 < len(name) < 64
        ):
            known = "host, containers, events, container:NAME"
            raise Invalid(f"unknown topic {topic[:80]!r}", [at("?topics", f"known: {known}")])
    if len(topics) > _TOPICS_MAX:
        raise Invalid(f"at most {_TOPICS_MAX} topics", [at("?topics", "too many")])
    return frozenset(topics)


def parse_last_id(text: str | None) -> int | None:
    """The Last-Event-ID that a browser sends when it connects again; None when it is no id of ours."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


def streaming(streams: Streams, client: Client, after: int | None) -> Response:
    """The response that carries one client's stream."""
    if streams.clients >= _CLIENTS_MAX:
        raise Busy(f"{_CLIENTS_MAX} clients are listening already")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(streams.listen(client, after), headers=headers, media_type="text/event-stream")


@router.get("/stream", dependencies=[requires(READ)], response_class=StreamingResponse)
async def stream(
    request: Request,
    topics: Annotated[str, Query(max_length=2000)] = "host,containers,events",
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Follow sweeps and events; each event's id can be given back as Last-Event-ID."""
    streams: Streams = request.app.state.streams
    return streaming(streams, Client(parse_topics(topics)), parse_last_id(last_event_id))
