"""Behind the verbs: supervisors are watched, ends completed, lost supervisors replaced, remains removed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from launcher import records
from launcher.beside.spawner import Spawner
from launcher.container import LauncherEvent
from launcher.errors import LauncherError, StopTimeout
from launcher.failpoints import reach
from launcher.lives import endings, launch
from launcher.lives.watcher import Watcher
from launcher.processes import held_process, is_alive, is_stopped, opened_process
from launcher.registry import Entry, Registry
from launcher.removal import REMOVED, remove_tree
from launcher.site import Site

SUPERVISOR_SEC: Final = 2.0


class Caretaker:
    """Every running container is watched from here until its end is on record and its cgroups are gone."""

    def __init__(
        self, site: Site, registry: Registry, spawner: Spawner, on_event: Callable[[LauncherEvent], None]
    ) -> None:
        self._site = site
        self._registry = registry
        self._spawner = spawner
        self._on_event = on_event
        self.on_end: Callable[[Entry], None] = lambda _entry: None
        self._watcher = Watcher()
        spawner.on_restart = self._tell_of_restart

    def close(self) -> None:
        """Ends under way are completed; running containers are let go."""
        self._watcher.close()

    def emit(self, kind: str, name: str | None, reason: str, detail: Mapping[str, object]) -> None:
        self._on_event(LauncherEvent(kind, name, reason, dict(detail)))

    def watch(self, entry: Entry) -> None:
        """Wait for the supervisor's end, or without one for the first process's own."""
        try:
            pidfd = os.pidfd_open(entry.supervisor_pid or entry.container.pid or 0)
        except OSError:
            self._ended(entry, None)
            return
        if entry.supervisor_pid is not None:
            entry.supervisor_ticks = records.read_start_ticks(entry.supervisor_pid)
        self._watcher.watch(pidfd, lambda: self._ended(entry, pidfd))

    def _ended(self, entry: Entry, pidfd: int | None) -> None:
        """A watched process ended: the container did, or it lost its supervisor and goes on alone."""
        container = entry.container
        recorded = records.read_record(self._site.state_of(container.name), records.EXIT) is not None
        try:
            if not recorded and is_alive(container.pid, container.start_ticks):
                self._orphaned(entry)
            else:
                self._finish(entry, None if entry.supervisor_pid else pidfd)
        finally:
            if pidfd is not None:
                os.close(pidfd)

    def _orphaned(self, entry: Entry) -> None:
        """One keeper for each lost supervisor; if that is lost too, we only watch for the end."""
        container = entry.container
        self._registry.replace(entry, replace(container, supervised=False))
        if container.supervised:
            self.start_keeper(entry)
        else:
            self._tell_of_loss(entry, None)
        self.watch(entry)

    def watch_process(self, pidfd: int, callback: Callable[[], None]) -> None:
        """For another helper process of ours: the callback may use and must close `pidfd`."""
        self._watcher.watch(pidfd, callback)

    def start_keeper(self, entry: Entry) -> None:
        """Somebody to keep the output and to record the end of a container whose supervisor was killed."""
        keeper: int | None = None
        with contextlib.suppress(LauncherError, ProcessLookupError):
            keeper = launch.start_keeper(self._site, self._spawner, entry.container)
        self._tell_of_loss(entry, keeper)

    def _tell_of_loss(self, entry: Entry, keeper: int | None) -> None:
        entry.supervisor_pid = keeper
        kept = "another process keeps its output and end" if keeper else "its output is not kept any more"
        reason = f"its supervisor was lost: the container runs on, {kept}; exec is not possible any more"
        self.emit("supervisor.lost", entry.container.name, reason, {"keeper_pid": keeper})

    def _tell_of_restart(self, pid: int) -> None:
        reason = "the process that starts supervisors had ended and was replaced; no container was affected"
        self.emit("spawner.restart", None, reason, {"pid": pid})

    def wait_for_end(self, entry: Entry, timeout_sec: float) -> None:
        """For a container whose processes are all gone: until its supervisor has put that on record."""
        if entry.ended.wait(SUPERVISOR_SEC):
            return
        self._replace_stopped_supervisor(entry)
        # One that is slow, on a busy disk, still writes the record: it is not killed amid that.
        if not entry.ended.wait(timeout_sec - SUPERVISOR_SEC):
            raise StopTimeout(entry.container.name, timeout_sec)

    def _replace_stopped_supervisor(self, entry: Entry) -> None:
        """One that is stopped records nothing: we do, and kill it, which ends the container as ever."""
        container = entry.container
        init = records.read_record(self._site.state_of(container.name), records.INIT) or {}
        # Somebody may have deleted the record by hand; we have looked at the process when it was ours.
        pid: int | None = init.get("supervisor_pid") or entry.supervisor_pid
        if pid is None or container.pid is None or not is_stopped(pid):
            return
        why = f"its supervisor (process {pid}) was stopped and did not answer: output it had not read is lost"
        with (
            contextlib.suppress(ProcessLookupError),
            held_process(pid, init.get("supervisor_start_ticks") or entry.supervisor_ticks) as supervisor,
            opened_process(container.pid) as first,
        ):
            endings.record_for_supervisor(self._site, container, first, why)
            self.emit("supervisor.lost", container.name, why, {"pid": pid})
            signal.pidfd_send_signal(supervisor, signal.SIGKILL)

    def _finish(self, entry: Entry, pidfd: int | None) -> None:
        with entry.lock:
            ending = endings.finish(self._site, entry.container, pidfd, "its supervisor was lost")
            self._registry.replace(entry, ending.container)
            if ending.container.oom_killed:
                self.emit("container.oom", ending.container.name, ending.reason, {})
            self.emit("container.exit", ending.container.name, ending.reason, ending.detail)
            entry.ended.set()
            if ending.container.spec.auto_remove:
                self.remove(entry, "it ended, and was to be removed then")
            else:
                self.on_end(entry)

    def remove(self, entry: Entry, reason: str) -> None:
        """Out of sight in one step (a crash leaves a name that the next start sweeps), then in peace."""
        name = entry.container.name
        if not self._registry.holds(entry):
            return
        hidden = f"{self._site.containers_dir}/{REMOVED}{name[:40]}-{os.urandom(4).hex()}"
        self._site.roots.remove(name)
        # Somebody may have deleted the directory by hand: then the name is all that is left of it.
        with contextlib.suppress(FileNotFoundError):
            entry.hide_logs(self._site.state_of(name), hidden)
        reach("rm.hidden")
        self._registry.drop(entry)
        self.emit("container.remove", name, reason, {})
        reach("rm.dropped")
        remove_tree(hidden)
