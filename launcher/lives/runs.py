"""The beginnings of runs: the first one, one that somebody asks for again, one by the restart policy.

The policy is the daemon's alone: a supervisor never starts anything again, so what ended while no daemon was
there is decided by the next one, from the same records.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from cgroupfs import CgroupError
from launcher import records
from launcher.attached import FirstAudience
from launcher.beside.spawner import Spawner
from launcher.errors import LauncherError, LaunchFailed
from launcher.failpoints import reach
from launcher.groups import Groups
from launcher.lives import again, launch, life
from launcher.lives.caretaker import Caretaker
from launcher.lives.health import Checks
from launcher.lives.launch import RecordLimits
from launcher.lives.life import Life
from launcher.lives.schedule import Schedule
from launcher.registry import Entry, Registry, claim_of
from launcher.site import Site
from launcher.spec import ContainerSpec

ASKED: Final = "asked for"


class Runs:
    """Any thread may call; one name is started by one at a time."""

    def __init__(
        self,
        site: Site,
        spawner: Spawner,
        registry: Registry,
        caretaker: Caretaker,
        groups: Groups,
        checks: Checks,
        record_limits: RecordLimits,
    ) -> None:
        self._site = site
        self._spawner = spawner
        self._registry = registry
        self._caretaker = caretaker
        self._groups = groups
        self._checks = checks
        self._record_limits = record_limits
        self._schedule = Schedule()
        caretaker.on_end = self.consider

    def begin(self) -> None:
        """From now on the restart policies work, also for what was due before."""
        self._schedule.begin()

    def close(self) -> None:
        """No more restarts; those under way are completed."""
        self._schedule.close()

    def create(self, spec: ContainerSpec) -> Entry:
        """On record, to be started later."""
        with self._registry.reserved(spec.name, claim_of(spec)):
            self._groups.check(spec)
            entry = Entry(launch.create(self._site, spec))
            self._registry.add(entry)
        self._tell_of_making(spec)
        return entry

    def run(self, spec: ContainerSpec, first: FirstAudience | None = None) -> Entry:
        """Create and start; the caller has it watched. `first` is attached before its first output."""
        with self._registry.reserved(spec.name, claim_of(spec)):
            self._groups.check(spec)
            started = launch.launch(self._site, self._spawner, spec, self._record_limits, first)
            entry = Entry(*started)
            self._registry.add(entry)
        self._tell_of_making(entry.container.spec)
        self._tell_of_start(entry, ASKED)
        self._checks.watch(entry)
        return entry

    def _tell_of_making(self, spec: ContainerSpec) -> None:
        detail = {"image": spec.image, "class": spec.klass}
        self._caretaker.emit("container.create", spec.name, ASKED, detail)

    def _tell_of_start(self, entry: Entry, reason: str) -> None:
        self._caretaker.emit("container.start", entry.container.name, reason, {"pid": entry.container.pid})

    def start(self, name: str) -> bool:
        """Start what was created or has ended; False if it runs."""
        entry = self._registry.entry(name)
        with entry.lock:
            entry = self._registry.entry(name)
            if not entry.ended.is_set():
                return False
            self._start_again(entry, Life(), ASKED)
        return True

    def _start_again(self, entry: Entry, wished: Life, reason: str) -> None:
        """With the entry's lock held."""
        self._groups.check(entry.container.spec)  # one whose record is damaged was not taken over
        self._keep(entry, wished)
        container, supervisor_pid = again.start_again(
            self._site, self._spawner, entry.container, self._record_limits
        )
        container = replace(container, restart_count=wished.restarts)
        fresh = entry.next_run(container, supervisor_pid, wished)
        self._registry.add(fresh)
        self._tell_of_start(fresh, reason)
        self._checks.watch(fresh)
        self._caretaker.watch(fresh)

    def stop_wishing(self, name: str) -> Entry:
        """Nobody but the operator starts it from now on; its present run."""
        entry = self._registry.entry(name)
        with entry.lock:
            entry = self._registry.entry(name)
            if entry.life.wanted:
                self._keep(entry, replace(entry.life, wanted=False))
            if entry.container.starts_at is not None:
                self._registry.replace(entry, replace(entry.container, starts_at=None))
        reach("stop.wished")
        return entry

    def _keep(self, entry: Entry, wished: Life) -> None:
        """On record where a policy will ask for it, or where a removal that failed is on record."""
        before, entry.life = entry.life, wished
        if before == wished or (entry.container.spec.restart == "no" and not before.removed):
            return
        try:
            wished.write(self._site.state_of(entry.container.name))
        except OSError as e:
            why = f"{self._site.state_of(entry.container.name)}: {e.strerror}"
            raise LaunchFailed("record what is wished for the container", why) from e

    @contextlib.contextmanager
    def removing(self, entry: Entry) -> Iterator[None]:
        """Should we die before it is removed, the next daemon goes on with it."""
        before = entry.life
        self._note(entry, replace(before, wanted=False, removed=True))
        try:
            yield
        except BaseException:
            self._note(entry, before)
            raise

    def _note(self, entry: Entry, wished: Life) -> None:
        """A disk without room is no reason not to remove; nor is there time to wait for it."""
        with entry.lock:
            if self._registry.holds(entry):
                entry.life = wished
                with contextlib.suppress(OSError):
                    wished.write(self._site.state_of(entry.container.name), durable=False)

    def consider(self, entry: Entry) -> None:
        """A run has ended, just now or while no daemon was there: the restart policy decides."""
        ended, policy = entry.container, entry.container.spec.restart
        wished = entry.life.after_run(ended.started_at, ended.finished_at)
        entry.life = wished
        if entry.held:
            return
        if life.is_due(policy, wished, ended.exit_code):
            self._start_later(entry, f"restart policy {policy}")
        elif life.is_exhausted(policy, wished, ended.exit_code):
            reason = f"restart policy {policy}: given up after {wished.restarts} restarts"
            self._caretaker.emit("container.restart", ended.name, reason, {"restarts": wished.restarts})

    def _start_later(self, entry: Entry, reason: str) -> None:
        delay_sec = life.backoff_sec(entry.life)
        moment = records.rfc3339(time.time() + delay_sec)
        self._registry.replace(entry, replace(entry.container, starts_at=moment))
        detail = {"delay_sec": round(delay_sec, 3), "restarts": entry.life.restarts + 1}
        self._caretaker.emit("container.restart", entry.container.name, reason, detail)
        self._schedule.add(delay_sec, lambda: self._start_by_policy(entry, reason))

    def _start_by_policy(self, entry: Entry, reason: str) -> None:
        with entry.lock:
            if not self._registry.holds(entry) or not entry.life.wanted or entry.held:
                return
            wished = entry.life.again()
            try:
                self._start_again(entry, wished, reason)
            except (LauncherError, CgroupError, OSError) as e:
                self._failed_again(entry, wished, str(e))

    def _failed_again(self, entry: Entry, wished: Life, why: str) -> None:
        """A start that fails counts as a run that did not last."""
        self._registry.replace(entry, replace(entry.container, restart_count=wished.restarts, starts_at=None))
        reason = f"restart policy {entry.container.spec.restart}: it could not be started: {why}"
        self._caretaker.emit("container.restart", entry.container.name, reason, {"failed": True})
        entry.life = wished
        if life.is_due(entry.container.spec.restart, wished, None):
            self._start_later(entry, f"restart policy {entry.container.spec.restart}")
