"""What the sweep's bench measures on: empty cgroups, processes that work a little, and a network namespace.

Everything hangs on this process: it ends with it, and is removed also on Ctrl-C.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import NamedTuple

from cgroupfs import Cgroup, Hierarchies

KIB = 1024
CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True)
class Bench:
    """A container as the monitor watches it."""

    name: str
    cgroup: Cgroup
    pid: int
    network: str = "none"
    labels: Mapping[str, str] = field(default_factory=dict)
    klass: str = "burstable"


class Source(NamedTuple):
    """All of them, never changing."""

    listed: tuple[Bench, ...]

    def containers(self) -> tuple[Bench, ...]:
        return self.listed


@contextmanager
def made_containers(size: int, pid: int) -> Iterator[tuple[Bench, ...]]:
    """That many empty cgroups; gone at the end, whatever happens."""
    hierarchies = Hierarchies.read()
    parent = f"/cgwbench-{uuid.uuid4().hex[:8]}"
    made: list[Bench] = []
    try:
        for i in range(size):
            made.append(Bench(f"c{i}", hierarchies.create(f"{parent}/c{i}"), pid))
        yield tuple(made)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it behind
        for container in made:
            container.cgroup.close()
        hierarchies.remove(parent)
        listen_to_signals()


@contextmanager
def resident() -> Iterator[int]:
    """A process that does nothing in a network namespace of its own; stands for all containers' first
    process.
    """
    leash, held = os.pipe()
    ready, say_ready = os.pipe()
    pid = _fork(lambda: _reside(leash, say_ready), held)
    try:
        os.read(ready, 1)
        yield pid
    finally:
        for fd in (held, leash, ready, say_ready):
            os.close(fd)
        os.waitpid(pid, 0)


class Workers:
    """A small process in each of some cgroups: it computes, allocates and writes now and then.

    Forked while there is one thread, set to work later.
    """

    def __init__(self, cgroups: Sequence[Cgroup]) -> None:
        self._go, self._say_go = os.pipe()
        self._leash, self._held = os.pipe()  # they end when this end is closed, however we end
        held = (self._held, self._say_go)
        self._pids = [_fork(partial(_work, cgroup, self._go, self._leash), *held) for cgroup in cgroups]

    def start(self) -> None:
        os.write(self._say_go, b"." * len(self._pids))

    def stop(self) -> None:
        """End them all; once is enough."""
        pids, self._pids = self._pids, []
        if pids:
            for fd in (self._held, self._say_go, self._leash, self._go):
                os.close(fd)
        for pid in pids:
            os.waitpid(pid, 0)


@contextmanager
def hired(cgroups: Sequence[Cgroup]) -> Iterator[Workers]:
    workers = Workers(cgroups)
    try:
        yield workers
    finally:
        workers.stop()


def _fork(child: Callable[[], None], *not_for_child: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for fd in not_for_child:
            os.close(fd)
        child()
    finally:
        os._exit(0)


def _reside(leash: int, say_ready: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare of the network namespace")
    os.write(say_ready, b".")
    os.close(say_ready)
    os.read(leash, 1)


def _work(cgroup: Cgroup, go: int, leash: int) -> None:
    if not os.read(go, 1):
        return
    for fd in cgroup.entry_fds():
        os.write(fd, b"0")
    with tempfile.TemporaryFile() as file:
        while not select.select([leash], [], [], 0.05)[0]:
            block = os.urandom(256 * KIB)
            sum(block)
            os.pwrite(file.fileno(), block, 0)
            os.fdatasync(file.fileno())


def listen_to_signals() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _end)


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)  # so that everything is cleaned up
