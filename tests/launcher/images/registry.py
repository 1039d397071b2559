"""Debian's registry of images, on a port of loopback and over plain HTTP, for the time of a test."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

PATIENCE_SEC: Final = 20.0


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"no {name}: make test installs it"
    return found


class Registry:
    """Running from the moment it is made until `close`; `requests` are those it has answered."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        configuration = directory / "registry.yml"
        configuration.write_text(
            "version: 0.1\nlog: {accesslog: {disabled: false}, level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {directory}/registry}}}}\n"
            f"http: {{addr: '{self.host}'}}\n"
        )
        self._log = directory / "registry.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program("docker-registry"), "serve", str(configuration)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"OTEL_TRACES_EXPORTER": "none"},
            )
        self._wait()

    def _wait(self) -> None:
        host, _, port = self.host.partition(":")
        deadline = time.monotonic() + PATIENCE_SEC
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the registry did not start: {self._log.read_text()}")

    def push(self, source: str, name: str, *options: str) -> str:
        """Copy an image of skopeo's spelling there; its whole reference."""
        reference = f"{self.host}/{name}"
        command = [program("skopeo"), "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        subprocess.run([*command, *options, source, f"docker://{reference}"], check=True)
        return reference

    def fetched(self) -> list[str]:
        """The digests of blobs that were asked for so far, in order."""
        lines = self._log.read_text().splitlines()
        paths = [line.split('"')[1].split()[1] for line in lines if '"GET /v2/' in line]
        return [path.rpartition("/")[2] for path in paths if "/blobs/" in path]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SEC)
