"""A daemon of the bench's own, with directories and a cgroup parent of its own, ended with all it started."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

from bench.containers import listen_to_signals
from cgroupfs import CgroupError, Hierarchies

START_SEC: Final = 30.0
END_SEC: Final = 60.0
SPAWNER: Final = "launcher.beside.forkserver"
GUARDIAN: Final = "enforcer.guardian_process"


@contextlib.contextmanager
def serving(where: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon below `where`; at the end neither it nor any container of it is left."""
    parent = f"cgwbench-{uuid4().hex[:8]}"
    (where / "policies").mkdir()
    argv = [
        *(sys.executable, "-m", "cgwarden", "serve", "--listen", "127.0.0.1:0", "--cgroup-parent", parent),
        *("--run-dir", str(where / "run"), "--state-dir", str(where / "state")),
        *("--policy-dir", str(where / "policies")),
    ]
    with (where / "daemon.log").open("wb") as log:
        # In a session of its own, so that Ctrl-C ends us first, and we end it.
        process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_ready(process, where)
        yield process
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it behind
        end(process, parent)
        listen_to_signals()


def wait_until_ready(process: subprocess.Popen[bytes], where: Path) -> None:
    deadline = time.monotonic() + START_SEC
    log = where / "daemon.log"
    while b"ready:" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the daemon did not start: {log.read_text()}")
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes], parent: str) -> None:
    """The daemon first, so that nothing is launched any more, then every container; supervisors follow."""
    supervisors = supervisors_of(process.pid) if process.poll() is None else []
    process.terminate()
    process.wait(END_SEC)
    hierarchies = Hierarchies.read()
    with contextlib.suppress(CgroupError):  # none was launched
        hierarchies.cgroup(f"/{parent}").kill()
    deadline = time.monotonic() + END_SEC
    while any(Path(f"/proc/{pid}").exists() for pid in supervisors) and time.monotonic() < deadline:
        time.sleep(0.05)
    hierarchies.remove(f"/{parent}")


def supervisors_of(pid: int) -> list[int]:
    """Those of the daemon `pid`, and the one that waits ahead of the next launch."""
    return [child for spawner in children_of(pid, SPAWNER) for child in children_of(spawner, SPAWNER)]


def children_of(pid: int, module: str) -> list[int]:
    """The children that run `module`."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if module.encode() in read_command(child)]


def read_command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it ended since its parent was asked
        return b""
