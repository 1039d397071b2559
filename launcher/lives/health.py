"""Health of containers: a command of theirs, run by `exec` at its interval, counted, told when it changes.

A thread for each container that has one: it waits for the end of its probe before it waits for the next, so
probes cannot pile up, whatever they do; a frozen container is not probed, and its health stays what it was.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from cgroupfs import CgroupError
from launcher import records
from launcher.container import HEALTHY, STARTING, UNHEALTHY, Health
from launcher.errors import ContainerFrozen, LauncherError
from launcher.processes import opened_process
from launcher.registry import Entry, Registry

MOST_OUTPUT: Final = 4096
SHORTEST_SEC: Final = 0.05
POLL_SEC: Final = 0.02
Emit = Callable[[str, str, str, Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class Probe:
    """What one run of the command came to; code None: it did not end in time, or could not be run."""

    exit_code: int | None
    output: str = ""


def after_probe(health: Health, probe: Probe, retries: int, *, starting: bool) -> Health:
    """The next state: one success makes it healthy, `retries` failures in a row unhealthy.

    While it is `starting` (within the start period, and never healthy yet) failures do not count.
    """
    told = replace(health, exit_code=probe.exit_code, output=probe.output)
    if probe.exit_code == 0:
        return replace(told, state=HEALTHY, failures=0)
    if starting and health.state == STARTING:
        return told
    failures = health.failures + 1
    return replace(told, failures=failures, state=UNHEALTHY if failures >= retries else health.state)


class Session(Protocol):
    """A program started by `exec`."""

    exit_code: int | None
    pid: int

    def __iter__(self) -> Any: ...
    def kill(self) -> None: ...


class Checks:
    """All containers that have a health command; `run` starts one in a container."""

    def __init__(
        self, registry: Registry, run: Callable[[str, tuple[str, ...]], Session], emit: Emit
    ) -> None:
        self._registry = registry
        self._run = run
        self._emit = emit
        self._closing = threading.Event()

    def watch(self, entry: Entry) -> None:
        """From now until the run ends, if its spec asks for it."""
        if not entry.container.spec.health:
            return
        self._registry.replace(entry, replace(entry.container, health=Health()))
        name = f"health {entry.container.name}"[:15]
        threading.Thread(target=self._check, args=(entry,), name=name, daemon=True).start()

    def close(self) -> None:
        """No more probes; one under way is left to end by itself."""
        self._closing.set()

    def _check(self, entry: Entry) -> None:
        wish = entry.container.spec.health
        interval = max(float(wish["interval_sec"]), SHORTEST_SEC)
        until = time.monotonic() + float(wish["start_period_sec"])
        while not entry.ended.wait(interval) and not self._closing.is_set():
            probe = self._probe(entry, tuple(wish["command"]), float(wish["timeout_sec"]))
            if probe is not None:
                self._take(entry, probe, starting=time.monotonic() < until)

    def _probe(self, entry: Entry, command: tuple[str, ...], timeout_sec: float) -> Probe | None:
        """None where it could not be asked: frozen, or just ended."""
        try:
            if entry.container.read_state() != "running":
                return None
            session = self._run(entry.container.name, command)
        except ContainerFrozen:
            return None
        except (LauncherError, OSError) as e:
            return None if self._closing.is_set() else Probe(None, str(e))
        late = threading.Event()
        timer = threading.Timer(max(timeout_sec, SHORTEST_SEC), _give_up, (entry, session, late))
        timer.daemon = True
        timer.start()
        try:
            output = b""
            for _stream, data in session:
                output += data[: MOST_OUTPUT - len(output)]
        finally:
            timer.cancel()
        text = output.decode("utf-8", "replace")
        if late.is_set():
            return Probe(None, f"{text}no answer within {timeout_sec:g} s")
        return Probe(session.exit_code, text)

    def _take(self, entry: Entry, probe: Probe, *, starting: bool) -> None:
        with entry.lock:
            before = entry.container.health
            if before is None or entry.ended.is_set():
                return
            after = after_probe(before, probe, int(entry.container.spec.health["retries"]), starting=starting)
            self._registry.replace(entry, replace(entry.container, health=after))
        if after.state != before.state:
            detail = {"health": after.state, "exit_code": probe.exit_code}
            self._emit("container.health", entry.container.name, _reason(after, probe), detail)


def _give_up(entry: Entry, session: Session, late: threading.Event) -> None:
    """What the command has started goes with it: it holds the output open, and would be there for ever."""
    late.set()
    cgroup = entry.container.cgroup
    with contextlib.suppress(OSError, CgroupError):
        session.kill()
        while cgroup is not None and (left := [pid for pid in cgroup.procs() if _is_of(pid, session.pid)]):
            for pid in left:
                with contextlib.suppress(ProcessLookupError), opened_process(pid) as fd:
                    if _is_of(pid, session.pid):
                        signal.pidfd_send_signal(fd, signal.SIGKILL)
            if entry.ended.wait(POLL_SEC):
                return


def _is_of(pid: int, session: int) -> bool:
    """Alive, and of the session that the program began (field 6 of /proc/PID/stat)."""
    field = records.parse_stat_fields(records.read_stat(pid))
    return len(field) > 3 and field[0] not in (b"Z", b"X") and field[3] == b"%d" % session


def _reason(health: Health, probe: Probe) -> str:
    if health.state == HEALTHY:
        return "its health command succeeded"
    last = probe.output.strip().splitlines()[-1:] or ["no output"]
    how = "did not end in time" if probe.exit_code is None else f"ended with {probe.exit_code}"
    often = "" if health.failures == 1 else f", {health.failures} times in a row"
    return f"its health command {how}{often}: {last[0][:200]}"
