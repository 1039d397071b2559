"""A real daemon with directories and a cgroup parent of its own, and the command line as scripts call it."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.leaks import remove_unmounted

ROOT = Path(__file__).resolve().parents[2]
CLI = [sys.executable, "-m", "cgwarden"]
START_SEC = 30.0 if os.environ.get("CGWARDEN_IN_GUEST") != "1" else 180.0  # emulated, all is slower


@dataclass
class Running:
    """A daemon that answers."""

    host: str
    parent: str
    directory: Path
    process: subprocess.Popen[bytes]
    argv: list[str]

    def start_again(self) -> None:
        """As after a crash; returns when it answers."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for(lambda: self.process.poll() is not None or self.cli("ps").returncode == 0, START_SEC)

    def cli(self, *argv: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [*CLI, *argv], cwd=ROOT, env=self.env(), capture_output=True, text=True, check=False, **more
        )

    def json(self, *argv: str) -> Any:
        """The document that a command prints; it must succeed."""
        done = self.cli(*argv, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def env(self) -> dict[str, str]:
        return {**os.environ, "CGWARDEN_HOST": self.host}

    def run(self, name: str, *command: str, flags: tuple[str, ...] = (), rootfs: str = "/") -> None:
        done = self.cli("run", "-d", "--name", name, "--rootfs", rootfs, *flags, "--", *command)
        assert done.returncode == 0, done.stderr


@contextmanager
def running(*before: str, settings: str = "") -> Iterator[Running]:
    """Start a daemon, and afterwards remove its containers, stop it, and remove its directories.

    `before`: words of a program that becomes it, such as nsenter; `settings`: its configuration file.
    """
    directory = Path(tempfile.mkdtemp(prefix="cgw"))
    policies = directory / "policies"
    policies.mkdir()
    parent = f"cgwtest-{uuid.uuid4().hex[:8]}"
    (directory / "cgwarden.toml").write_text(settings)
    argv = [
        *before,
        *CLI,
        "serve",
        f"--config={directory}/cgwarden.toml",
        f"--run-dir={directory}/run",
        f"--state-dir={directory}/state",
        "--listen=127.0.0.1:0",
    ]
    argv += [f"--policy-dir={policies}", f"--cgroup-parent={parent}"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    daemon = Running(f"unix://{directory}/run/cgwarden.sock", parent, directory, process, argv)
    try:
        wait_for(lambda: process.poll() is not None or daemon.cli("ps").returncode == 0, START_SEC)
        assert process.poll() is None, (directory / "log").read_text()
        yield daemon
    finally:
        for name in daemon.cli("ps", "-q").stdout.split():
            daemon.cli("rm", "-f", name)
        daemon.process.terminate()
        daemon.process.wait(START_SEC)
        remove_unmounted(directory)


def wait_for(true: Callable[[], object], timeout_sec: float = 10.0) -> None:
    """Poll until something is true; fail when it does not become so."""
    end = time.monotonic() + timeout_sec
    while not true():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.02)


def read_kernel(inspected: Mapping[str, Any], controller: str, *names: str) -> str:
    """The first of the named files that the container's directory of a hierarchy has."""
    directory = Path(inspected["cgroups"][controller])
    return next((directory / name).read_text().strip() for name in names if (directory / name).exists())
