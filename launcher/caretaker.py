"""Behind the verbs: supervisors are watched, ends completed, lost supervisors replaced, remains removed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from launcher import endings, launch, records
from launcher.container import Container, LauncherEvent
from launcher.errors import LauncherError
from launcher.processes import is_alive
from launcher.registry import Entry, Registry
from launcher.removal import remove_tree
from launcher.site import Site
from launcher.spawner import Spawner
from launcher.watcher import Watcher


class Caretaker:
    """Every running container is watched from here until its end is on record and its cgroups are gone."""

    def __init__(
        self, site: Site, registry: Registry, spawner: Spawner, on_event: Callable[[LauncherEvent], None]
    ) -> None:
        self._site = site
        self._registry = registry
        self._spawner = spawner
        self._on_event = on_event
        self._watcher = Watcher()

    def close(self) -> None:
        """Ends under way are completed; running containers are let go."""
        self._watcher.close()

    def emit(self, kind: str, name: str, reason: str, detail: Mapping[str, object]) -> None:
        self._on_event(LauncherEvent(kind, name, reason, dict(detail)))

    def watch(self, entry: Entry) -> None:
        """Wait for the supervisor's end, or without one for the first process's own."""
        try:
            pidfd = os.pidfd_open(entry.supervisor_pid or entry.container.pid or 0)
        except OSError:
            self._ended(entry, None)
            return
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
        entry.supervisor_pid = self.start_keeper(container) if container.supervised else None
        self._registry.replace(entry, replace(container, supervised=False))
        self.emit(
            "container.adopt", container.name, "its supervisor was lost; it runs on", {"state": "running"}
        )
        self.watch(entry)

    def start_keeper(self, container: Container) -> int | None:
        """Somebody to keep the output and to record the end of a container whose supervisor was killed."""
        try:
            return launch.start_keeper(self._site, self._spawner, container)
        except (LauncherError, ProcessLookupError):
            return None

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

    def remove(self, entry: Entry, reason: str) -> None:
        """Out of sight in one step (a crash leaves a name that the next start sweeps), then in peace."""
        name = entry.container.name
        hidden = f"{self._site.containers_dir}/.removed-{name[:40]}-{os.urandom(4).hex()}"
        try:
            entry.hide_logs(self._site.state_of(name), hidden)
        except FileNotFoundError:
            return
        self._registry.drop(entry)
        self.emit("container.remove", name, reason, {})
        remove_tree(hidden)
