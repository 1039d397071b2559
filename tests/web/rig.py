"""The real application on a real server, on a unix socket and TCP, with stand-ins for the parts below."""

import contextlib
import http.client
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from monitor import EventLog
from tests.web.fakes import FakeEnforcer, FakeLauncher, FakeMonitor
from web import Access, Services, create_app
from web.dashboard import Dashboard
from web.scopes import Scope
from web.server import Server, ServerLimits, serve
from web.sockets import bind_tcp, bind_unix, local_address

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


class Rig:
    """A running server and the parts behind it."""

    def __init__(
        self, directory: Path, limits: ServerLimits, socket_group: str | None, **options: Any
    ) -> None:
        self.directory = directory
        self.launcher = FakeLauncher()
        self.monitor = FakeMonitor(self.launcher)
        self.enforcer = FakeEnforcer(self.launcher)
        self.events = EventLog(None)
        self.access = Access.open(str(directory / "tokens.json"), **options)
        self.socket_path = str(directory / "run" / "s.sock")
        sockets = [bind_unix(self.socket_path, socket_group), bind_tcp("127.0.0.1:0")]
        self.address = local_address(sockets[1])
        self.info: dict[str, Any] = {"version": "0.1.0", "boot_id": "b", "listen": [self.address]}
        self.app: FastAPI = create_app(self.services(), ui=Dashboard(directory / "dist"))
        self.server: Server = serve(self.app, sockets, limits)
        self.thread = threading.Thread(target=self.server.run, name="server")

    def services(self) -> Services:
        return Services(
            launcher=self.launcher,
            monitor=self.monitor,
            enforcer=self.enforcer,
            events=self.events,
            access=self.access,
            info=self.info,
            doctor=lambda: {"ok": True, "checks": []},
        )

    def token(self, scope: Scope = Scope.ADMIN, lifetime_sec: float | None = None) -> str:
        return self.access.tokens.create("test", scope, lifetime_sec)[1]

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
        client = http.client.HTTPConnection(self.address)
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


@contextlib.contextmanager
def running(
    limits: ServerLimits | None = None, *, socket_group: str | None = None, **options: Any
) -> Iterator[Rig]:
    """A rig that serves until the block ends."""
    with tempfile.TemporaryDirectory(prefix="cgw") as directory:
        rig = Rig(Path(directory), limits or ServerLimits(), socket_group, **options)
        rig.thread.start()
        try:
            wait_until(lambda: rig.server.started)
            yield rig
        finally:
            rig.server.stop()
            rig.thread.join(PATIENCE_SEC)
            rig.events.close()


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
