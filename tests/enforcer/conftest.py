"""Real containers in their simplest form, a cgroup with a process, and an enforcer that changes them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Cgroup, Hierarchies
from enforcer import Enforcer, Guardian, Journal
from enforcer.failpoints import Failpoints

DEADLINE_SEC = 20.0


@dataclass
class Box:
    """A container as the enforcer sees one."""

    name: str
    cgroup: Cgroup
    labels: dict[str, str] = field(default_factory=dict)
    klass: str = "burstable"
    pid: int | None = None
    network: str = "none"
    started_at: str | None = "2026-01-01T00:00:00Z"


@dataclass
class Event:
    """What was told to the event log."""

    type: str
    container: object
    reason: str
    before: object
    after: object


class Rig:
    """An enforcer over real cgroups of its own; `restart` is what a new daemon would do after a crash."""

    def __init__(self, hierarchies: Hierarchies, parent: str, directory: Path) -> None:
        self.hierarchies = hierarchies
        self.parent = parent
        self.directory = directory
        self.boxes: dict[str, Box] = {}
        self.events: list[Event] = []
        self.find: Callable[[str], Any] = self.boxes.__getitem__
        self._guardians: set[int] = set()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._open: list[tuple[Enforcer, Guardian]] = []
        self.enforcer, self.guardian = self.start()

    def start(self, failpoints: Failpoints | None = None) -> tuple[Enforcer, Guardian]:
        guardian = Guardian.start(str(self.directory))
        enforcer = Enforcer(
            hierarchies=self.hierarchies,
            find=lambda name: self.find(name),
            journal=Journal(str(self.directory / "journal.db"), failpoints=failpoints),
            emit=self._emit,
            guardian=guardian,
            failpoints=failpoints,
        )
        enforcer.recover()
        self._open.append((enforcer, guardian))
        self._guardians.add(guardian.pid)
        return enforcer, guardian

    def reap(self) -> None:
        """A guardian that outlived its daemon is still a child of this process."""
        for pid in self._guardians:
            with contextlib.suppress(ChildProcessError):
                wait_for(lambda pid=pid: os.waitpid(pid, os.WNOHANG)[0] == pid)  # type: ignore[misc]
        wait_for(lambda: not (self.directory / "guardian.sock").exists())

    def stop(self) -> None:
        for enforcer, guardian in self._open:
            enforcer.close()
            guardian.close()
        self._open.clear()

    def restart(self) -> None:
        self.stop()
        self.enforcer, self.guardian = self.start()

    def box(self, name: str = "web", command: tuple[str, ...] = ("sleep", "100")) -> Cgroup:
        """A cgroup with a process in it."""
        cgroup = self.hierarchies.create(f"{self.parent}/{name}")
        entries = cgroup.entry_fds()
        script = "import os, sys\nfor fd in sys.argv[1].split(','): os.write(int(fd), b'0')\n"
        script += "os.execvp(sys.argv[2], sys.argv[2:])"
        fds = ",".join(map(str, entries))
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-S", "-c", script, fds, *command],
                pass_fds=entries,
                stdout=subprocess.DEVNULL,
            )
        )
        for fd in entries:
            os.close(fd)
        self.boxes[name] = Box(name, cgroup)
        wait_for(lambda: bool(cgroup.procs()))
        return cgroup

    def _emit(self, type: str, **facts: object) -> None:
        self.events.append(
            Event(
                type,
                facts.get("container"),
                str(facts.get("reason")),
                facts.get("before"),
                facts.get("after"),
            )
        )

    def told(self) -> list[tuple[str, object]]:
        return [(event.type, event.container) for event in self.events]

    def close(self) -> None:
        for box in self.boxes.values():
            if box.cgroup.alive():
                box.cgroup.thaw()
        for process in self._processes:
            process.kill()
            process.wait()
        for name in self.boxes:
            self.enforcer.forget(name)
        self.stop()
        self.reap()
        self.hierarchies.remove(self.parent)
        for box in self.boxes.values():
            box.cgroup.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll until it is so; the kernel and other processes take their time."""
    until = time.monotonic() + DEADLINE_SEC
    while not condition():
        if time.monotonic() > until:
            pytest.fail("it did not happen in time")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def hierarchies() -> Hierarchies:
    """The real kernel's."""
    return Hierarchies.read()


@pytest.fixture
def rig(hierarchies: Hierarchies, cgroup_parent: str, short_dir: Path) -> Iterator[Rig]:
    made = Rig(hierarchies, f"/{cgroup_parent}", short_dir)
    yield made
    made.close()
