"""The launcher as the daemon uses it: every verb on containers, blocking, safe to call from any thread."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final

from cgroupfs import CgroupError, CgroupGone, Hierarchies
from launcher import records
from launcher.attached import AttachedRun, Size, close_fd, waiting_audience
from launcher.beside.spawner import Spawner
from launcher.confiner import Confiner
from launcher.container import Container, LauncherEvent
from launcher.errors import (
    LauncherError,
    NotRunning,
    StillRunning,
)
from launcher.failpoints import reach
from launcher.files.copying import Copier
from launcher.files.layering import Layering
from launcher.groups import Group, Groups
from launcher.idranges import IdRanges
from launcher.images import Image, ImageStore
from launcher.lives import adoption, launch
from launcher.lives.caretaker import Caretaker
from launcher.lives.health import Checks
from launcher.lives.launch import RecordLimits
from launcher.lives.runs import Runs
from launcher.logfile import LogLine
from launcher.named_volumes import NamedVolumes
from launcher.network import ContainerNetworks, NetworkConfig
from launcher.processes import held_process
from launcher.procview.view import ProcView
from launcher.registry import Entry, Registry
from launcher.rootfs.changes import Change
from launcher.rootfs.roots import Roots
from launcher.sessions import ExecSession, Stdio
from launcher.site import Masks, Site
from launcher.spec import ContainerSpec, parse_signal
from launcher.visits import Visits
from launcher.volumes import Volumes

_LOG: Final = logging.getLogger("cgwarden.launcher")
KILL_SEC: Final = 15.0
NO_INPUT: Final = Stdio()


class Launcher:
    """Starts, watches and removes containers; those of an earlier daemon are taken over by `adopt`."""

    def __init__(
        self,
        *,
        hierarchies: Hierarchies,
        cgroup_parent: str,
        run_dir: str,
        state_dir: str,
        spawner: Spawner,
        on_event: Callable[[LauncherEvent], None],
        record_limits: RecordLimits,
        network: NetworkConfig | None = None,
        root_driver: str = "overlay",
    ) -> None:
        self._registry = Registry()
        run_dir, state_dir = os.path.realpath(run_dir), os.path.realpath(state_dir)
        boot_id = records.read_boot_id()
        self._site = Site(
            hierarchies=hierarchies,
            cgroup_parent=cgroup_parent,
            run_dir=run_dir,
            state_dir=state_dir,
            boot_id=boot_id,
            masks=Masks.read(),
            roots=Roots(state_dir, root_driver),
            images=ImageStore(state_dir),
            confiner=Confiner(state_dir),
            find=self.get,
            proc_view=self._make_proc_view(cgroup_parent, run_dir, state_dir),
            ids=IdRanges(f"{state_dir}/containers"),
            volumes=Volumes(state_dir, run_dir),
            networks=ContainerNetworks(network or NetworkConfig(), state_dir, boot_id),
        )
        for directory in (f"{self._site.run_dir}/containers", self._site.containers_dir):
            os.makedirs(directory, 0o700, exist_ok=True)
        self._spawner = spawner
        self._caretaker = Caretaker(self._site, self._registry, spawner, on_event)
        self.volumes = NamedVolumes(self._site.volumes, self._registry)
        self.groups = Groups(self._site, self._registry, self._caretaker.emit, record_limits)
        self._checks = Checks(self._registry, self.exec, self._caretaker.emit)
        self._runs = Runs(
            self._site, spawner, self._registry, self._caretaker, self.groups, self._checks, record_limits
        )
        self.copier = Copier(self._site, self._registry)
        self._visits = Visits(self._site, self._registry)
        self._layering = Layering(self._site, self._registry, self._site.images)

    def _make_proc_view(self, cgroup_parent: str, run_dir: str, state_dir: str) -> ProcView:
        def watch(pidfd: int, callback: Callable[[], None]) -> None:
            self._caretaker.watch_process(pidfd, callback)

        return ProcView(run_dir, f"{state_dir}/containers", cgroup_parent, watch)

    def adopt(self) -> None:
        """Take over, finish or roll back what earlier daemons left; what is not ours is not touched.

        What its restart policy wants to run is started once `resume` was called.
        """
        self._site.proc_view.adopt()
        self.groups.adopt()
        self._site.volumes.sweep()
        for found in adoption.find(self._site):
            entry = Entry(found.container, found.supervisor_pid, found.life)
            self._registry.add(entry)
            self._caretaker.emit(
                "container.adopt", found.container.name, found.reason, {"state": found.container.state}
            )
            if found.container.state == "running":
                if found.supervisor_pid is None:
                    self._caretaker.start_keeper(entry)
                self._checks.watch(entry)
                self._caretaker.watch(entry)
            elif found.container.state == "exited":
                self._runs.consider(entry)
        running = (entry.container for entry in self._registry.entries() if not entry.ended.is_set())
        self._site.networks.adopt({container.name for container in running})
        for name, reason in adoption.undo_leaks(self._site, [group.name for group in self.groups.all()]):
            self._caretaker.emit("container.remove", name, reason, {})
        self._finish_removals()

    def _finish_removals(self) -> None:
        """Those that an earlier daemon was asked for, and did not come to the end of."""
        for container in self.containers():
            if self._registry.entry(container.name).life.removed:
                try:
                    self.remove(container.name, force=True)
                except (LauncherError, CgroupError, OSError) as e:
                    _LOG.warning("%r could not be removed, as was asked for: %s", container.name, e)

    def resume(self) -> None:
        """Begin to start again what has ended, or the host's boot ended, and what its policy wants to run."""
        self._runs.begin()

    def create(self, spec: ContainerSpec) -> Container:
        """On record, with its writable layer, to be started later."""
        return self._runs.create(spec).container

    def run(self, spec: ContainerSpec) -> Container:
        """Create and start; returns when the program has been executed. Whatever fails, nothing is left."""
        entry = self._runs.run(spec)
        container = entry.container
        self._caretaker.watch(entry)
        return container

    def run_attached(self, spec: ContainerSpec, size: Size | None = None) -> AttachedRun:
        """`run` for a caller who takes the whole output, even of a container that is removed at its end.

        `size` is the caller's terminal's, in rows and columns.
        """
        live, first = waiting_audience(size) if spec.tty or spec.stdin else (None, None)
        if live is not None and not spec.tty:
            live.take_no_output()
        try:
            entry = self._runs.run(spec, first)
        finally:
            close_fd(first)
        try:
            log = None if spec.tty else entry.open_log(self._site.state_of(spec.name))
            return AttachedRun(entry, log, live.begin() if live else None)
        finally:
            self._caretaker.watch(entry)

    def attach(self, name: str) -> AttachedRun:
        """What it writes from now on, and a way to its input; several may be attached."""
        return self._visits.attach(name)

    def start(self, name: str) -> bool:
        """Start one that was created or has ended, its writable layer kept; False if it runs."""
        return self._runs.start(name)

    def restart(self, name: str, timeout_sec: float | None = None) -> None:
        """Stop, where it runs, and start; its restart policy goes by the second alone."""
        entry = self._registry.entry(name)
        entry.held = True
        try:
            self._end(entry, timeout_sec)
            self._runs.start(name)
        finally:
            entry.held = False

    def describe(self, spec: ContainerSpec) -> list[str]:
        """What `run` would do, step by step."""
        return launch.describe(self._site, spec)

    def get(self, name: str) -> Container:
        return self._registry.entry(name).container

    @property
    def images(self) -> ImageStore:
        """The images that its containers can stand on."""
        return self._site.images

    def network_of(self, container: Container) -> dict[str, Any] | None:
        """Its place on the bridge; None for every other network, and once it has ended."""
        return self._site.networks.view(container.spec)

    def limited(self, name: str) -> Container | Group:
        """What has limits by that name: a container, or a group."""
        return self.groups.named(name) or self.get(name)

    def containers(self) -> tuple[Container, ...]:
        return self._registry.all()

    def state_of(self, name: str) -> str:
        return self.get(name).read_state()

    def stop(self, name: str, timeout_sec: float | None = None) -> bool:
        """The stop signal, then KILL after the time-out; False if it had ended. A frozen one is thawed to
        hear it. No restart policy starts it again, but `always` when the host is booted.
        """
        waited = self._registry.entry(name).container.starts_at is not None
        return self._end(self._runs.stop_wishing(name), timeout_sec) or waited

    def _end(self, entry: Entry, timeout_sec: float | None) -> bool:
        if entry.ended.is_set():
            return False
        spec = entry.container.spec
        patience = spec.stop_timeout_sec if timeout_sec is None else timeout_sec
        if patience > 0:
            self._thaw(entry)
            self._signal(entry, parse_signal(spec.stop_signal or "SIGTERM"))
        reach("stop.signalled")
        if not entry.ended.wait(patience):
            self._kill_all(entry)
            reach("stop.killed")
            self._caretaker.wait_for_end(entry, KILL_SEC)
        return True

    def kill(self, name: str, signal_number: int) -> None:
        """A signal for the first process; KILL takes everything in the container, frozen or not.

        KILL, and what `stop` would send, is the operator's word against the restart policy.
        """
        entry = self._registry.entry(name)
        if entry.ended.is_set():
            raise NotRunning(name, entry.container.state)
        if signal_number in (signal.SIGKILL, parse_signal(entry.container.spec.stop_signal or "SIGTERM")):
            entry = self._runs.stop_wishing(name)
        if signal_number == signal.SIGKILL:
            self._kill_all(entry)
        else:
            self._signal(entry, signal_number)

    def remove(self, name: str, *, force: bool = False) -> None:
        """Everything of it goes, the writable layer and the log too; the directory last."""
        entry = self._registry.entry(name)
        entry.held = force
        try:
            if not entry.ended.is_set():
                if not force:
                    raise StillRunning(name)
                with self._runs.removing(entry):
                    reach("rm.noted")
                    self._kill_all(entry)
                    reach("rm.killed")
                    self._caretaker.wait_for_end(entry, KILL_SEC)
                    self._drop(entry)
            else:
                self._drop(entry)
        finally:
            entry.held = False
        if self._registry.runs_again(entry):
            self.remove(name, force=force)  # somebody started it meanwhile

    def _drop(self, entry: Entry) -> None:
        with entry.lock:
            self._caretaker.remove(entry, "asked for")

    def wait(self, name: str, timeout_sec: float | None = None) -> int | None:
        """The exit code, or None if it has not ended in time."""
        entry = self._registry.entry(name)
        if not entry.ended.wait(timeout_sec):
            return None
        code = entry.container.exit_code
        if code is None and entry.container.state == "created":
            raise NotRunning(name, "created")
        if code is None:
            raise LauncherError(
                f"container {name!r} has ended, but its exit code was lost: no supervisor recorded it"
            )
        return code

    def exec(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        user: str | None = None,
        stdio: Stdio = NO_INPUT,
    ) -> ExecSession:
        """Start another program in the container, as confined as its first; raises what kept it out."""
        return self._visits.exec(name, command, env=env, workdir=workdir, user=user, stdio=stdio)

    def diff(self, name: str) -> list[Change]:
        """What the container has changed in its root, by path."""
        return self._layering.diff(name)

    def commit(self, name: str, ref: str) -> Image:
        """Keep what it has changed as one more layer of an image, named `ref`."""
        return self._layering.commit(name, ref)

    def read_log(
        self,
        name: str,
        *,
        tail: int | None = None,
        follow: bool = False,
        since: str | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Generator[LogLine, None, None]:
        """Lines on record; with `follow` also those to come, until the container has ended or `stopped()`."""
        entry = self._registry.entry(name)
        log = entry.open_log(self._site.state_of(name))
        if not follow:
            return log.read(tail, since, None)
        return log.read(tail, since, lambda seconds: entry.ended.wait(seconds) or stopped())

    def close(self) -> None:
        """Containers keep running; the next daemon adopts them. An empty parent cgroup goes."""
        self._checks.close()
        self._runs.close()
        self.groups.close()
        parent = self._site.parent_path
        running = any(not entry.ended.is_set() for entry in self._registry.entries())
        self._site.proc_view.close(in_use=running)
        self._caretaker.close()
        self._site.networks.close()
        for entry in self._registry.entries():
            if entry.container.cgroup is not None:
                entry.container.cgroup.close()
        if not self._site.hierarchies.children(parent):  # groups stay
            with contextlib.suppress(CgroupError):
                self._site.hierarchies.remove(parent, recursive=False)

    def _signal(self, entry: Entry, number: int) -> None:
        """By pidfd, and only if the process is the one on record."""
        container = entry.container
        if container.pid is None:
            return
        with (
            contextlib.suppress(ProcessLookupError),
            held_process(container.pid, container.start_ticks) as fd,
        ):
            signal.pidfd_send_signal(fd, number)

    def _thaw(self, entry: Entry) -> None:
        if entry.container.cgroup is not None and entry.container.read_state() == "frozen":
            with contextlib.suppress(CgroupGone):
                entry.container.cgroup.thaw()

    def _kill_all(self, entry: Entry) -> None:
        if entry.container.cgroup is not None:
            with contextlib.suppress(CgroupGone):
                entry.container.cgroup.kill()
