"""The real application on a real server, on a unix socket and TCP, with stand-ins for the parts below."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from launcher.images import ImageStore
from launcher.named_volumes import NamedVolumes
from launcher.registry import Registry
from launcher.volumes import Volumes
from monitor import EventLog
from tests.web.client import PATIENCE_SEC, Client, wait_until
from tests.web.fake_monitor import FakeMonitor
from tests.web.fakes import FakeEnforcer, FakeLauncher
from web import Access, Health, Services, create_app
from web.dashboard import Dashboard
from web.scopes import Scope
from web.server import Server, ServerLimits, serve
from web.sockets import bind_tcp, bind_unix, local_address


class Rig(Client):
    """A running server and the parts behind it."""

    def __init__(
        self, directory: Path, limits: ServerLimits, socket_group: str | None, **options: Any
    ) -> None:
        sockets = [bind_unix(str(directory / "run" / "s.sock"), socket_group), bind_tcp("127.0.0.1:0")]
        super().__init__(str(directory / "run" / "s.sock"), local_address(sockets[1]))
        self.directory = directory
        self.launcher = FakeLauncher()
        self.launcher.images = ImageStore(str(directory / "state"))
        self.registry = Registry()
        paths = (str(directory / "state"), str(directory / "run"))
        self.launcher.volumes = NamedVolumes(Volumes(*paths), self.registry)
        self.monitor = FakeMonitor(self.launcher)
        self.enforcer = FakeEnforcer(self.launcher)
        self.events = EventLog(None)
        self.access = Access.open(str(directory / "tokens.json"), **options)
        self.info: dict[str, Any] = {"version": "0.1.0", "boot_id": "b", "listen": [self.address]}
        self.health = Health()
        self.decided: dict[tuple[str, str], int] = {}
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
            health=lambda: self.health,
            decided=lambda: self.decided,
        )

    def token(self, scope: Scope = Scope.ADMIN, lifetime_sec: float | None = None) -> str:
        return self.access.tokens.create("test", scope, lifetime_sec)[1]


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
