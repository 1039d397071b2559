"""A daemon with real containers for the whole run, and for each test a browser of its own."""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, StorageState, ViewportSize, sync_playwright

from tests.browser.rig import CHROMIUM, CHROMIUM_ARGS, Daemon, Watched, eventually, free_port
from tests.leaks import Scope, remove_unmounted

MIB = 1 << 20
BUSY = """
i=0
while :; do
    i=$((i + 1))
    if [ $((i % 200000)) -eq 0 ]; then echo "round $i <img src=x onerror=alert(1)>"; fi
done
"""

OpenPage = Callable[..., Watched]


@pytest.fixture(scope="session")
def make_daemon(leak_scope: Scope) -> Iterator[Callable[[], Daemon]]:
    """Start daemons, each in its own directories; afterwards they end with all their containers."""
    started: list[Daemon] = []

    def make() -> Daemon:
        home = Path(tempfile.mkdtemp(prefix="cgw-", dir="/tmp"))
        parent = f"cgwtest-{uuid.uuid4().hex[:8]}"
        leak_scope.directories.add(str(home))
        leak_scope.parents.add(parent)
        daemon = Daemon(home, parent, free_port())
        started.append(daemon)
        daemon.start()
        return daemon

    yield make
    for daemon in started:
        if daemon.process is not None:
            daemon.remove_all()
            daemon.stop()
        remove_unmounted(daemon.home)


@pytest.fixture(scope="session")
def daemon(make_daemon: Callable[[], Daemon]) -> Daemon:
    """The daemon of most tests: a busy container and an idle one, both measured, and one that is over."""
    daemon = make_daemon()
    limits: dict[str, object] = {"memory_max_bytes": 64 * MIB, "cpu_max_cores": 0.3, "pids_max": 32}
    daemon.run("busy", ["/bin/sh", "-c", BUSY], limits, labels={"team": "core"})
    daemon.run("idle", ["/bin/sleep", "1000"], {"memory_max_bytes": 32 * MIB}, **{"class": "besteffort"})
    daemon.run("over", ["/bin/sh", "-c", "exit 3"], {"memory_max_bytes": 16 * MIB})
    eventually(lambda: daemon.inspect("over")["state"] == "exited", "the short container has ended")
    eventually(lambda: _cpu_of(daemon, "busy"), "the busy container has been measured")
    return daemon


def _cpu_of(daemon: Daemon, name: str) -> float:
    usage = {one["name"]: one["usage"] for one in daemon.call("GET", "/api/v1/containers")["containers"]}[
        name
    ]
    return (usage or {}).get("cpu_cores") or 0.0


@pytest.fixture
def browser() -> Iterator[Browser]:
    """Headless Chromium. One per test: what it leaves running would count as a leak of the test."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_ARGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def second_daemon(make_daemon: Callable[[], Daemon]) -> Daemon:
    """A daemon without containers, which a test may end."""
    return make_daemon()


@pytest.fixture(scope="session")
def cookies() -> dict[str, StorageState]:
    """The log-in of each daemon, by its address: few log-ins a minute are allowed, so all tests share one."""
    return {}


@pytest.fixture
def open_page(browser: Browser, daemon: Daemon, cookies: dict[str, StorageState]) -> OpenPage:
    """Open a page of the dashboard, logged in unless told otherwise."""

    def open_context(width: int, dark: bool, state: StorageState | None) -> BrowserContext:
        scheme: Literal["dark", "light"] = "dark" if dark else "light"
        size: ViewportSize = {"width": width, "height": 900}
        return browser.new_context(viewport=size, color_scheme=scheme, storage_state=state)

    def log_in(at: Daemon) -> StorageState:
        context = open_context(1280, False, None)
        page = context.new_page()
        page.goto(at.login_link())
        page.wait_for_selector("table.containers, .empty")
        state = context.storage_state()
        context.close()
        return state

    def open_page(
        hash: str = "#/", *, width: int = 1280, dark: bool = False, at: Daemon = daemon, login: bool = True
    ) -> Watched:
        if login and at.address not in cookies:
            cookies[at.address] = log_in(at)
        context = open_context(width, dark, cookies[at.address] if login else None)
        watched = Watched(context.new_page())
        watched.start()
        watched.page.goto(f"{at.address}{hash}")
        return watched

    return open_page
