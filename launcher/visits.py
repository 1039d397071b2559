"""Visits to a running container: one more program in it, or a look at what it writes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from cgroupfs import CgroupGone
from launcher import channel
from launcher.attached import AttachedRun, Attachment
from launcher.errors import ContainerFrozen, LaunchFailed, NotRunning, SupervisorLost
from launcher.klass import oom_score_of
from launcher.lives import launch
from launcher.processes import is_alive
from launcher.procview.hint import quota_threads
from launcher.registry import Entry, Registry
from launcher.scene import plan
from launcher.scene.inside import JOIN_STEP
from launcher.scene.seal import Program
from launcher.sessions import ExecSession, Stdio
from launcher.site import Site
from launcher.spec import ContainerSpec

CONNECT_SEC: Final = 10.0
JOIN_SEC: Final = 1.0


class Visits:
    def __init__(self, site: Site, registry: Registry) -> None:
        self._site = site
        self._registry = registry

    def attach(self, name: str) -> AttachedRun:
        """What it writes from now on, and a way to its input; several may be attached."""
        entry = self._registry.entry(name)
        self._require_supervisor(entry)
        try:
            return AttachedRun(entry, None, Attachment.connect(self._site.run_of(name)))
        except OSError as e:
            if self._ends(entry, JOIN_SEC):
                raise NotRunning(name, "exited") from None
            raise LaunchFailed("reach the supervisor", e.strerror or str(e)) from e

    def _require_supervisor(self, entry: Entry) -> None:
        container = entry.container
        if container.state != "running" or container.cgroup is None:
            raise NotRunning(container.name, container.state)
        if not container.supervised:
            raise SupervisorLost(container.name)

    def exec(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None,
        workdir: str | None,
        user: str | None,
        stdio: Stdio,
    ) -> ExecSession:
        """Start another program in the container, as confined as its first; raises what kept it out."""
        entry = self._registry.entry(name)
        container = entry.container
        if container.read_state() == "frozen":
            raise ContainerFrozen(name)
        self._require_supervisor(entry)
        wanted = ContainerSpec.from_wire(
            container.spec.to_wire()
            | {
                "entrypoint": None,
                "init": False,
                "command": list(command),
                "env": dict(container.spec.env) | dict(env or {}),
            }
            | {key: value for key, value in (("workdir", workdir), ("user", user)) if value is not None}
        )
        try:
            return self._exec(entry, wanted, stdio)
        except LaunchFailed as e:
            if self._ends(entry, JOIN_SEC if e.step == JOIN_STEP else 0):
                raise NotRunning(name, "exited") from None
            raise

    def _ends(self, entry: Entry, patience_sec: float) -> bool:
        """Has it ended, or does it at this moment? What joins it fails before others see the end."""
        container = entry.container
        return entry.ended.wait(patience_sec) or not is_alive(container.pid, container.start_ticks)

    def _exec(self, entry: Entry, wanted: ContainerSpec, stdio: Stdio) -> ExecSession:
        assert entry.container.cgroup is not None
        try:
            control = channel.connect_control(self._site.run_of(wanted.name), CONNECT_SEC)
        except OSError as e:
            raise LaunchFailed("reach the supervisor", e.strerror or str(e)) from e
        try:
            fds, unified = launch.entry_fds(entry.container.cgroup)
        except CgroupGone:
            control.close()
            raise NotRunning(wanted.name, "exited") from None
        try:
            return ExecSession.start(control, self._program(wanted), fds, unified, stdio)
        except CgroupGone:
            control.close()
            raise NotRunning(wanted.name, "exited") from None
        except OSError as e:
            raise LaunchFailed("reach the supervisor", e.strerror or str(e)) from e
        finally:
            for fd in fds:
                os.close(fd)

    def _program(self, wanted: ContainerSpec) -> Program:
        threads = 0
        if self._site.proc_view.wanted(wanted):
            threads = quota_threads(self._site.hierarchies, self._site.cgroup_of(wanted))
        program = plan.plan_program(wanted, self._site.confiner.confine(wanted), threads=threads)
        return replace(program, oom_score_adj=oom_score_of(wanted, self._site.host_bytes))
