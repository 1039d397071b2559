"""A real systemd, running nothing but what a test asks for, in namespaces and a cgroup of its own.

It is process 1 of a pid namespace, the root of a cgroup namespace is its root, and it sees the unified tree
alone. Its root directory is this machine's, which cannot be written to from there; ``/run`` is new.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SYSTEMD: Final = "/usr/lib/systemd/systemd"
READY_SEC: Final = 120.0
_UNSHARE: Final = "unshare --mount --cgroup --uts --ipc --net --propagation slave"
# Whoever waits for process 1 stays outside of the group, whose root could hand no controllers down else.
_ENTER: Final = f"""
set -e
echo 0 >"$0/cgroup.procs"
exec {_UNSHARE} sh -ec "$1"
"""
_BOOT: Final = f"""
mount -t proc none /proc
mount -t tmpfs none /run
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -o remount,bind,ro /
mkdir -p /run/systemd/system
printf '[Unit]\\nDescription=Nothing\\nDefaultDependencies=no\\n' >/run/systemd/system/nothing.target
exec env -i container=cgwarden PATH="$PATH" {SYSTEMD} --system --unit=nothing.target --log-target=console
"""


class Systemd:
    """A running one; paths of cgroups are below its own root."""

    def __init__(self, process: subprocess.Popen[bytes], pid: int, top: Path, log: Path) -> None:
        self.process = process
        self.pid = pid
        self.top = top
        self.log = log

    def run(self, *command: str, text: str | None = None, check: bool = True) -> str:
        """Run a command in its namespaces, as its root; what that printed."""
        enter = ("nsenter", f"--target={self.pid}", "--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net")
        done = subprocess.run(
            [*enter, "--wd=/", *command], input=text, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, (
            f"{command}: {done.stdout}{done.stderr}{self.log.read_text()}"
        )
        return done.stdout

    def add(self, unit: str, text: str) -> None:
        """Give it a unit; services with ``DefaultDependencies=no`` need nothing else."""
        self.run("sh", "-c", f"cat >/run/systemd/system/{unit}", text=text)
        self.run("systemctl", "daemon-reload")

    def text(self, path: str) -> str:
        """A file of the cgroup tree, as its root sees it."""
        return (self.top / path.lstrip("/")).read_text().strip()


@contextlib.contextmanager
def running_systemd(group: str, directory: Path) -> Iterator[Systemd]:
    """Boot one whose root of all groups is the directory `group`; ended with all that it has started."""
    log = directory / "systemd.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, group, _BOOT],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield _wait_until_ready(process, Path(group), log)
    finally:
        process.send_signal(signal.SIGKILL)  # and with it, as it was told, process 1 of the namespace
        process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], top: Path, log: Path) -> Systemd:
    deadline = time.monotonic() + READY_SEC
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children:
            box = Systemd(process, int(children[0]), top, log)
            with contextlib.suppress(OSError):
                if os.path.realpath(f"/proc/{box.pid}/exe").startswith("/usr/lib/systemd/"):
                    state = box.run("systemctl", "is-active", "nothing.target", check=False).strip()
                    if state == "active":
                        return box
        time.sleep(0.05)
    raise AssertionError(f"systemd did not come up: {log.read_text()}")
