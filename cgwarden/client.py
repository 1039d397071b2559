"""HTTP/1.1 over the daemon's unix socket, by hand: importing http.client would double a command's time."""

from __future__ import annotations

import _socket
import os

from cgwarden import quickjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

DEFAULT_HOST = "unix:///run/cgwarden/cgwarden.sock"
DEFAULT_TIMEOUT_SEC = 60.0
_RECEIVE_BYTES = 65536


class BadAddress(Exception):
    """CGWARDEN_HOST is no address; the text says what one looks like."""


class NoDaemon(Exception):
    """Nothing that speaks HTTP listens at the address; the text says where we looked."""


class Problem(Exception):
    """The daemon said no: an RFC 9457 document (`/problems/slug`), or the plain text it sent instead."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.slug = str(document.get("type", "")).rpartition("/")[2]
        self.detail = str(document.get("detail") or document.get("title") or f"the daemon answered {status}")
        self.hint = str(document.get("hint") or "")
        self.exit_code: int | None = document.get("exit_code")
        super().__init__(self.detail)


class Response:
    """One answer, its body perhaps still arriving; read it once, by one of three ways, which then hang up."""

    def __init__(self, connection: _socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        head = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        try:
            self.status = int(head[0].split(" ")[1])
        except (IndexError, ValueError):
            raise NoDaemon(f"what listens there does not speak HTTP (it said {head[0][:40]!r})") from None
        fields = (line.partition(":") for line in head[1:])
        self.headers = {name.strip().lower(): value.strip() for name, _, value in fields}

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes as they arrive."""
        try:
            yield from self._body()
        finally:
            self.close()

    def _body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self._take_until(b"\r\n").split(b";")[0], 16):
                yield self._take(size)
                self._take(2)
        elif "content-length" in self.headers:
            if length := int(self.headers["content-length"]):
                yield self._take(length)
        elif self.status not in (204, 304):
            yield self._buffer
            while more := self._connection.recv(_RECEIVE_BYTES):
                yield more

    def lines(self) -> Iterator[bytes]:
        """The body's lines, without their ends, as they arrive."""
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[bytes]]:
        """The body's lines, without their ends, as many at once as arrived together."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            if whole:
                yield whole
        if rest:
            yield [rest]

    def json(self) -> Any:
        """The whole body as JSON; an empty one is None."""
        body = b"".join(self.chunks())
        return quickjson.loads(body) if body.strip() else None

    def close(self) -> None:
        """Hang up, which also ends a stream that the daemon would go on sending."""
        self._connection.close()

    def hang_up(self) -> None:
        """From another thread: whoever waits for more sees the end."""
        try:
            self._connection.shutdown(_socket.SHUT_RDWR)
        except OSError:
            return  # the other side was first

    def _more(self) -> None:
        data = self._connection.recv(_RECEIVE_BYTES)
        if not data:
            raise NoDaemon("the daemon hung up in the middle of its answer; is it being stopped? See its log")
        self._buffer += data

    def _take_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        taken, _, self._buffer = self._buffer.partition(end)
        return taken

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


class Pending:
    """A request that has been sent; its answer is read later, so that two can wait at once."""

    def __init__(self, host: str, connection: _socket.socket) -> None:
        self._host = host
        self._connection = connection

    def answer(self) -> Response:
        """Wait for the answer's head; raises Problem where the daemon said no."""
        try:
            response = Response(self._connection)
        except ConnectionResetError:
            raise NoDaemon(f"the daemon at {self._host} hung up before it answered") from None
        except BaseException:
            self._connection.close()
            raise
        if response.status >= 400:
            raise Problem(response.status, _problem_document(response))
        return response


class Daemon:
    """The daemon at `host` (`unix:///path`), else at $CGWARDEN_HOST, else at the default socket."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host or os.environ.get("CGWARDEN_HOST") or DEFAULT_HOST
        scheme, _, self.socket_path = self.host.partition("://")
        if scheme != "unix" or not self.socket_path.startswith("/"):
            raise BadAddress(f"CGWARDEN_HOST is {self.host!r}: it must look like {DEFAULT_HOST}")

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        accept: str = "application/json",
        timeout_sec: float | None = DEFAULT_TIMEOUT_SEC,
    ) -> Pending:
        """Send one request and do not wait for the answer; `timeout_sec` bounds each silence, None never."""
        payload = b"" if body is None else quickjson.dumps(body).encode()
        head = [f"{method} {path}{_query(query or {})} HTTP/1.1", "Host: localhost", "Connection: close"]
        head += [f"Accept: {accept}", f"Content-Length: {len(payload)}"]
        if body is not None:
            head.append("Content-Type: application/json")
        connection = self._connect(timeout_sec)
        try:  # noqa: SIM105 - contextlib is too large an import for a hot verb
            connection.sendall("\r\n".join([*head, "", ""]).encode() + payload)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a daemon that says no before it has read everything hangs up: its answer can be read
        return Pending(self.host, connection)

    def open(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        accept: str = "application/json",
        timeout_sec: float | None = DEFAULT_TIMEOUT_SEC,
    ) -> Response:
        """One request and the head of its answer, body unread. Raises NoDaemon, Problem, or TimeoutError."""
        return self.send(method, path, body, query=query, accept=accept, timeout_sec=timeout_sec).answer()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        timeout_sec: float | None = DEFAULT_TIMEOUT_SEC,
    ) -> Any:
        """One request, its whole answer as JSON."""
        return self.open(method, path, body, query=query, timeout_sec=timeout_sec).json()

    def get(self, path: str, **query: object) -> Any:
        """Short for `call("GET", ...)`."""
        return self.call("GET", path, query=query)

    def _connect(self, timeout_sec: float | None) -> _socket.socket:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        connection.settimeout(timeout_sec)
        try:
            connection.connect(self.socket_path)
        except PermissionError:
            connection.close()
            raise  # exit code "denied", not "no daemon"
        except OSError as error:
            connection.close()
            raise NoDaemon(f"no daemon answers at {self.host}: {error.strerror or error}") from None
        return connection


def _problem_document(response: Response) -> Mapping[str, Any]:
    body = b"".join(response.chunks())
    try:
        document = quickjson.loads(body)
    except ValueError:
        document = {"detail": body.decode(errors="replace").strip()[:200]}
    return document if isinstance(document, dict) else {"detail": str(document)[:200]}


def _query(query: Mapping[str, object]) -> str:
    pairs = [f"{name}={_quote(_text(value))}" for name, value in query.items() if value is not None]
    return "?" + "&".join(pairs) if pairs else ""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quote(text: str) -> str:
    """Percent-encode, as urllib.parse.quote does; that module alone would cost 3 ms."""
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~,:/"
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in text.encode())
