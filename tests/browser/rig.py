"""What the browser tests stand on: a daemon of their own, its API, and a page that tells what it logged."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from playwright.sync_api import ConsoleMessage, Page

CHROMIUM: Final = "/usr/bin/chromium"
CHROMIUM_ARGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DEADLINE_SEC: Final = 15.0
_POLL_SEC: Final = 0.05
# Violations of the content security policy are events; a list on the window keeps them for the test.
_WATCH_POLICY: Final = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""

T = TypeVar("T")


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=DEADLINE_SEC)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_SEC)
        self.sock.connect(str(self._path))


@dataclass(slots=True)
class Daemon:
    """One `cgwarden serve` in directories of its own, under a cgroup parent of its own."""

    home: Path
    parent: str
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        (self.home / "policies").mkdir(exist_ok=True)
        command = [
            *(sys.executable, "-m", "cgwarden", "serve", "--run-dir", str(self.home / "run")),
            *("--state-dir", str(self.home / "state"), "--policy-dir", str(self.home / "policies")),
            *("--listen", f"127.0.0.1:{self.port}", "--cgroup-parent", self.parent),
        ]
        with (self.home / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self._is_up, f"the daemon answers ({self.home / 'daemon.log'})")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE_SEC)
            self.process = None

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError((self.home / "daemon.log").read_text(errors="replace"))
        try:
            return self.call("GET", "/healthz", raw=True) is not None
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def call(self, method: str, path: str, body: object = None, *, raw: bool = False) -> Any:
        """Ask the API over the unix socket; AssertionError with the whole answer when it is no success."""
        connection = _OverSocket(self.home / "run" / "cgwarden.sock")
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        assert answer.status < 300, f"{method} {path}: {answer.status} {data!r}"
        return data if raw or not data else json.loads(data)

    def run(
        self, name: str, command: Sequence[str], limits: dict[str, object], **more: object
    ) -> dict[str, Any]:
        """Start a container whose root is the host's (with an overlay of its own)."""
        spec = {"name": name, "rootfs": "/", "command": list(command), "limits": limits, **more}
        made: dict[str, Any] = self.call("POST", "/api/v1/containers", spec)
        return made

    def inspect(self, name: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.call("GET", f"/api/v1/containers/{name}")
        return shown

    def remove_all(self) -> None:
        for container in self.call("GET", "/api/v1/containers")["containers"]:
            self.call("DELETE", f"/api/v1/containers/{container['name']}?force=true")

    def login_link(self) -> str:
        code = self.call("POST", "/api/v1/login-codes", {})["code"]
        return f"{self.address}#code={code}"


@dataclass  # no slots: the event handler is marked on the instance by Playwright
class Watched:
    """A page and everything in it that should not have happened."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.page.add_init_script(_WATCH_POLICY)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def all_complaints(self) -> list[str]:
        violations: list[str] = self.page.evaluate("window.violations")
        return [*self.complaints, *violations]


def eventually(look: Callable[[], T], what: str) -> T:
    """The first true value of `look`; AssertionError with `what` after the deadline."""
    deadline = time.monotonic() + DEADLINE_SEC
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {DEADLINE_SEC:g} s in vain: {what}"
        time.sleep(_POLL_SEC)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def read_kernel(directory: str, file: str) -> str:
    """A cgroup file as the kernel has it now, past every part of cgwarden."""
    return Path(directory, file).read_text().strip()


def is_frozen(cgroups: dict[str, str]) -> bool:
    """What the kernel says, by whichever freezer holds the container."""
    unified = "unified" in cgroups and "frozen 1" in read_kernel(cgroups["unified"], "cgroup.events")
    return unified or ("freezer" in cgroups and read_kernel(cgroups["freezer"], "freezer.state") == "FROZEN")
