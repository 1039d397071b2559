"""uvicorn with what it lacks: deadlines for receiving and sending, caps, strict requests, unix peers by name.

Stock uvicorn waits for ever for a request that drips in, or for a client that never reads; middleware comes
too late for both. So its h11 protocol is subclassed here, and its server, so that streams end before
connections are waited for.
"""

import asyncio
import contextlib
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from web.access import Peer
from web.problems import BUSY, SLOW_REQUEST, Kind, document, new_request_id
from web.requests import RequestLimits, StrictConnection
from web.wire import encode

_SO_PEERGROUPS: Final = 59  # asm-generic/socket.h; the socket module does not name it
_LINGER_SEC: Final = 1.0
_GROUPS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """How long and how much a client may take."""

    header_sec: float = 10.0
    body_sec: float = 30.0
    send_sec: float = 30.0
    connections: int = 3000
    connections_per_peer: int = 1200
    request: RequestLimits = field(default_factory=RequestLimits)


class BoundedProtocol(H11Protocol):
    """One connection, with a deadline whenever it is the client's turn."""

    limits: ServerLimits
    census: Counter[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn: StrictConnection = StrictConnection(self.limits.request)
        self._peer_key = ""
        self._waiting_for: object = None
        self._deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None
        self._lingering = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = read_peer(transport)
        if peer is not None:
            self.app_state = {**self.app_state, "peer": peer}
        self._peer_key = f"uid {peer.uid}" if peer is not None else (self.client or ("",))[0]
        self.census[self._peer_key] += 1
        if self._is_crowded():
            self._refuse(BUSY, "there are too many connections")
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.census[self._peer_key] -= 1
        if not self.census[self._peer_key]:
            del self.census[self._peer_key]
        for timer in (self._deadline, self._send_deadline):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_deadline = self.loop.call_later(self.limits.send_sec, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_deadline is not None:
            self._send_deadline.cancel()
            self._send_deadline = None

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn when the request is malformed; ours tells what was wrong."""
        self._refuse(*self.conn.refusal_or(msg))

    def _is_crowded(self) -> bool:
        mine, everyone = self.census[self._peer_key], len(self.connections)
        return mine > self.limits.connections_per_peer or everyone > self.limits.connections

    def _watch(self) -> None:
        """Set the deadline that fits what we wait for: a header, a body, or nothing."""
        waiting_for = self.conn.their_state
        if waiting_for is self._waiting_for:
            return
        self._waiting_for = waiting_for
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        wait_sec = {h11.IDLE: self.limits.header_sec, h11.SEND_BODY: self.limits.body_sec}.get(waiting_for)
        if wait_sec is not None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(wait_sec, self._too_slow)

    def _too_slow(self) -> None:
        if not self.conn.trailing_data[0] and self.conn.their_state is h11.IDLE:
            self.transport.close()  # a silent connection: there is no request to answer
        else:
            self._refuse(SLOW_REQUEST, "the request was not complete in time")

    def _refuse(self, kind: Kind, detail: str) -> None:
        """Answer with a problem if an answer can still be given, then close without losing it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._write_problem(kind, detail)
            self._linger()
        else:
            self.transport.close()

    def _write_problem(self, kind: Kind, detail: str) -> None:
        body = encode(document(kind, detail, new_request_id()))
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        reason = kind.title.encode()
        response = h11.Response(status_code=kind.status, headers=headers, reason=reason)
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")

    def _linger(self) -> None:
        # Closing at once while the client still sends would reset the connection, and our answer with it.
        self._lingering = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SEC, self.transport.abort)


def read_peer(transport: asyncio.Transport) -> Peer | None:
    """Who connected to a unix socket, asked of the kernel; None over TCP."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        groups = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _GROUPS_MAX)
    except OSError:
        groups = b""  # a kernel before 4.13, or more groups than fit: the primary one decides
    return Peer(pid, uid, (gid, *struct.unpack(f"{len(groups) // 4}I", groups)))


class Server(uvicorn.Server):
    """A uvicorn server on sockets of ours; `run()` blocks until `stop()` or a SIGINT or SIGTERM."""

    def __init__(
        self, config: uvicorn.Config, sockets: Sequence[socket.socket], end_streams: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._sockets = list(sockets)
        self._end_streams = end_streams

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        super().run(sockets or self._sockets)

    def stop(self) -> None:
        """Ask for the end; safe from any thread and from a signal handler."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: uvicorn waits for connections, and a stream never ends by itself."""
        self._end_streams()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's, but without raising the signal once more: the daemon has more to close than we do."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(app: FastAPI, sockets: Sequence[socket.socket], limits: ServerLimits | None = None) -> Server:
    """The server of `app` on sockets that are bound already; call its `run()`."""
    members = {"limits": limits or ServerLimits(), "census": Counter[str]()}
    config = uvicorn.Config(
        app,
        http=type("Protocol", (BoundedProtocol,), members),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        loop="asyncio",
    )
    return Server(config, sockets, app.state.streams.end)
