"""A small HTTP client over real sockets, for requests as they should be and as they should not."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PATIENCE_SEC = 10.0


@dataclass(frozen=True)
class Answer:
    """One answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self
        return str(self.json["type"]).removeprefix("/problems/")


class Client:
    """Whoever talks to the server at a unix socket and, perhaps, a TCP address."""

    def __init__(self, socket_path: str, address: str = "") -> None:
        self.socket_path = socket_path
        self.address = address

    def connect(self, *, tcp: bool = False) -> socket.socket:
        """A bare connection, for requests that no client library would send."""
        if tcp:
            host, port = self.address.split(":")
            return socket.create_connection((host, int(port)), timeout=PATIENCE_SEC)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE_SEC)
        connection.connect(self.socket_path)
        return connection

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        tcp: bool = False,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request over a connection of its own; a body that is not bytes is sent as JSON."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        client = http.client.HTTPConnection(self.address or "localhost")
        client.sock = self.connect(tcp=tcp)
        with contextlib.closing(client):
            client.request(method, path, body, sent)
            response = client.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())

    def get(self, path: str, **options: Any) -> Answer:
        return self.ask("GET", path, **options)

    def raw(self, data: bytes, *, tcp: bool = False) -> bytes:
        """Send exactly these bytes and read until the server hangs up."""
        with self.connect(tcp=tcp) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other end closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def wait_until(condition: Callable[[], bool]) -> None:
    """Look until it holds; fail when it does not in time."""
    deadline = time.monotonic() + PATIENCE_SEC
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.005)
