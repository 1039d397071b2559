"""What others see of a container: an immutable snapshot, with its cgroup held open while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cgroupfs import Cgroup, CgroupGone
from launcher.spec import ContainerSpec

STARTING: Final = "starting"
HEALTHY: Final = "healthy"
UNHEALTHY: Final = "unhealthy"


@dataclass(frozen=True, slots=True)
class Health:
    """`failures` in a row; `output` of the last probe, its first 4 KiB."""

    state: str = STARTING
    failures: int = 0
    exit_code: int | None = None
    output: str = ""

    def to_wire(self) -> dict[str, object]:
        return {
            "state": self.state,
            "failures": self.failures,
            "exit_code": self.exit_code,
            "output": self.output,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """`state` is created, running or exited; frozen is read live, since anybody may freeze a cgroup."""

    spec: ContainerSpec
    state: str
    pid: int | None = None
    start_ticks: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    oom_killed: bool = False
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    supervised: bool = True
    restart_count: int = 0
    starts_at: str | None = None
    """When the restart policy will start it again."""
    oom_score_adj: int | None = None
    notes: tuple[str, ...] = ()
    """What became something else than asked for, on this host."""
    health: Health | None = None
    cgroup: Cgroup | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def image(self) -> str:
        return self.spec.image

    @property
    def rootfs(self) -> str:
        return self.spec.rootfs

    @property
    def command(self) -> tuple[str, ...]:
        return self.spec.argv

    @property
    def labels(self) -> Mapping[str, str]:
        return self.spec.labels

    @property
    def klass(self) -> str:
        return self.spec.klass

    @property
    def network(self) -> str:
        return self.spec.network

    @property
    def hostname(self) -> str:
        return self.spec.hostname

    def read_state(self) -> str:
        """The state with the freezer asked."""
        if self.state == "running" and self.cgroup is not None:
            with contextlib.suppress(CgroupGone):
                return "frozen" if self.cgroup.read_freezer() == "frozen" else "running"
        return self.state

    def to_wire(self, state: str | None = None) -> dict[str, Any]:
        """As the API tells it; `state` where somebody has read it already."""
        return {
            "name": self.name,
            "state": state or self.read_state(),
            "pid": self.pid if self.state == "running" else None,
            "exit_code": self.exit_code,
            "image": self.image,
            "labels": dict(self.labels),
            "created_at": self.created_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "class": self.klass,
            "command": list(self.command),
            "rootfs": self.rootfs,
            "driver": self.spec.driver,
            "storage_bytes": self.spec.storage_bytes,
            "network": self.network,
            "hostname": self.hostname,
            "supervised": self.supervised,
            "oom_killed": self.oom_killed,
            "tty": self.spec.tty,
            "stdin": self.spec.stdin,
            "signal": self.signal,
            "restart": self.spec.restart,
            "restart_count": self.restart_count,
            "starts_at": self.starts_at,
            "oom_score_adj": self.oom_score_adj if self.state == "running" else None,
            "notes": list(self.notes),
            "health": self.health.to_wire() if self.health and self.state == "running" else None,
        }


@dataclass(frozen=True, slots=True)
class LauncherEvent:
    """`type` is container.create, .start, .exit, .oom, .health, .restart, .remove or .adopt, group.create or
    .remove, supervisor.lost, or spawner.restart, which is about no container.
    """

    type: str
    container: str | None
    reason: str
    detail: dict[str, Any]
