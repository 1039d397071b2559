"""Plain stand-ins for the parts below `web`: containers and limits in dicts, numbers that a test chose."""

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from cgroupfs import (
    UNLIMITED,
    Cgroup,
    Limits,
)
from enforcer.errors import BadWish, BelowUsage, OwnerConflict, UnknownTarget
from enforcer.outcomes import FreezeOutcome, LimitOutcome, WriteRecord
from launcher import Container, ContainerSpec, LogLine, Stdio
from launcher.errors import (
    CommandNotFound,
    NameTaken,
    NotRunning,
    StillRunning,
    UnknownContainer,
    UnknownGroup,
)
from launcher.images import Image, ImageConfig
from launcher.rootfs.changes import Change
from tests.web.fake_programs import FakeCopier, FakeExec, FakeLive, FakeRun

IN_USE_BYTES = 20_000_000


@dataclass
class FakeCgroup:
    """One container's cgroup, with limits that the test's enforcer changes."""

    path: str
    inode: int
    fields: dict[str, Any]
    frozen: bool = False
    pids: tuple[int, ...] = ()
    reads: int = 0

    def paths(self) -> dict[str, str]:
        return {"memory": f"/sys/fs/cgroup/memory{self.path}"}

    def read_limits(self) -> Limits:
        self.reads += 1
        return make_limits(**self.fields)

    def read_freezer(self) -> str:
        self.reads += 1
        return "frozen" if self.frozen else "thawed"

    def procs(self) -> list[int]:
        return list(self.pids)


class FakeGroups:
    """No group is there, and none can be made."""

    def all(self) -> tuple[()]:
        return ()

    def __getattr__(self, verb: str) -> Any:
        def refuse(name: str, *_: object) -> None:
            raise UnknownGroup(name)

        return refuse


class FakeLauncher:
    """Containers that exist because the test says so."""

    def __init__(self) -> None:
        self.known: dict[str, Container] = {}
        self.images: Any = None  # a store, where a test has a directory for one
        self.volumes: Any = None  # as with images
        self.groups: Any = FakeGroups()
        self.cgroups: dict[str, FakeCgroup] = {}
        self.ended: dict[str, threading.Event] = {}
        self.lines: list[LogLine] = []
        self.followed = 0
        self.sessions: list[FakeExec] = []
        self.runs: list[FakeRun] = []
        self.cut: str | None = None
        self.copier = FakeCopier()
        self.signals: list[tuple[str, int]] = []

    def add(self, name: str, **wanted: Any) -> Container:
        wire = {"name": name, "rootfs": "/srv/root", "command": ["sleep", "100"], **wanted}
        return self.run(ContainerSpec.from_wire(wire))

    def run(self, spec: ContainerSpec) -> Container:
        if spec.name in self.known:
            raise NameTaken(spec.name)
        if spec.command[0] == "absent":
            raise CommandNotFound("absent")
        fields = {"memory_max_bytes": UNLIMITED, "pids_max": UNLIMITED, **spec.limits}
        cgroup = FakeCgroup(f"/cgwarden/{spec.name}", 1000 + len(self.cgroups), fields)
        container = Container(
            spec=spec,
            state="running",
            pid=4242,
            created_at="2026-11-24T04:00:00.000Z",
            started_at="2026-11-24T04:00:00.250Z",
            cgroup=cast(Cgroup, cgroup),
        )
        self.known[spec.name], self.cgroups[spec.name] = container, cgroup
        self.ended[spec.name] = threading.Event()
        return container

    def create(self, spec: ContainerSpec) -> Container:
        created = replace(self.run(spec), state="created", pid=None, started_at=None)
        self.known[spec.name] = created
        return created

    def start(self, name: str) -> bool:
        """False where it runs already."""
        container = self.get(name)
        if container.state == "running":
            return False
        self.known[name] = replace(container, state="running", pid=4242, exit_code=None)
        self.ended[name] = threading.Event()
        return True

    def restart(self, name: str, timeout_sec: float | None = None) -> None:
        self.stop(name, timeout_sec)
        self.start(name)

    def run_attached(self, spec: ContainerSpec, size: tuple[int, int] | None = None) -> FakeRun:
        live = FakeLive(spec.command) if spec.tty or spec.stdin else None
        self.runs.append(FakeRun(self.run(spec), self, live=live))
        return self.runs[-1]

    def attach(self, name: str) -> FakeRun:
        self.runs.append(
            FakeRun(self.get(name), self, exit_code=9, live=FakeLive(["on", "the", "air"]), cut=self.cut)
        )
        return self.runs[-1]

    def describe(self, spec: ContainerSpec) -> list[str]:
        return [f"make the cgroup of {spec.name}", f"run {spec.command[0]}"]

    def get(self, name: str) -> Container:
        if name not in self.known:
            raise UnknownContainer(name)
        return self.known[name]

    def containers(self) -> tuple[Container, ...]:
        return tuple(self.known.values())

    def end(self, name: str, code: int = 0) -> None:
        self.known[name] = replace(self.get(name), state="exited", exit_code=code, cgroup=None)
        self.ended[name].set()
        if self.known[name].spec.auto_remove:
            del self.known[name]

    def network_of(self, container: Container) -> None:
        return None

    def stop(self, name: str, timeout_sec: float | None = None) -> bool:
        was_running = self.get(name).state == "running"
        if was_running:
            self.end(name, 143)
        return was_running

    def kill(self, name: str, signal: int) -> None:
        if self.get(name).state != "running":
            raise NotRunning(name, "exited")
        self.signals.append((name, signal))

    def remove(self, name: str, *, force: bool = False) -> None:
        if self.get(name).state == "running" and not force:
            raise StillRunning(name)
        del self.known[name]

    def diff(self, name: str) -> list[Change]:
        self.get(name)
        found = [("C", "/etc"), ("D", "/etc/motd"), ("A", "/odd\udcffname")]
        return [Change(kind, path, None) for kind, path in found]

    def commit(self, name: str, ref: str) -> Image:
        self.get(name)
        return Image(id="sha256:" + "0" * 64, layers=(), config=ImageConfig(), references=(ref,))

    def wait(self, name: str, timeout_sec: float | None = None) -> int | None:
        self.get(name)
        return self.known[name].exit_code if self.ended[name].wait(timeout_sec) else None

    def exec(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        workdir: str | None = None,
        user: str | None = None,
        stdio: Stdio | None = None,
    ) -> FakeExec:
        self.get(name)
        if command[0] == "absent":
            raise CommandNotFound("absent")
        self.sessions.append(FakeExec(command))
        return self.sessions[-1]

    def read_log(
        self,
        name: str,
        *,
        tail: int | None = None,
        follow: bool = False,
        since: str | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Generator[LogLine, None, None]:
        self.get(name)
        return self._lines(name, tail, follow, stopped)

    def _lines(
        self, name: str, tail: int | None, follow: bool, stopped: Callable[[], bool]
    ) -> Generator[LogLine, None, None]:
        yield from self.lines if tail is None else self.lines[len(self.lines) - tail :]
        while follow and not stopped() and not self.ended[name].wait(0.01):
            pass
        self.followed += follow


@dataclass
class FakeEnforcer:
    """Limits and holders in dicts, with one owner who defends a field."""

    launcher: FakeLauncher
    held: dict[str, str] = field(default_factory=dict)
    holding: dict[str, list[str]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def set_limits(self, name: str, wanted: Mapping[str, object], **options: Any) -> LimitOutcome:
        self.calls.append((name, {"wanted": dict(wanted), **options}))
        fields = self._fields(name)
        for key, value in wanted.items():
            self._check(key, value, force=options["force"])
        writes = [
            WriteRecord(
                "memory", key, str(fields.get(key)), str(value), None if options["dry_run"] else str(value)
            )
            for key, value in wanted.items()
        ]
        if options["dry_run"]:
            return LimitOutcome(False, "planned", None, writes)
        changed = any(fields.get(key) != value for key, value in wanted.items())
        fields.update(wanted)
        return LimitOutcome(changed, "applied" if changed else "unchanged", "d-1", writes)

    def release(self, name: str, fields: Sequence[str], **options: Any) -> LimitOutcome:
        self.calls.append((name, {"released": list(fields), **options}))
        return LimitOutcome(True, "applied", "d-4", [])

    def limits(self, name: str) -> dict[str, dict[str, Any]]:
        return {
            key: {
                "value": value,
                "owner": self.held.get(key),
                "baseline": None,
                "expires_at": None,
                "waiting": None,
            }
            for key, value in self._fields(name).items()
        }

    def freeze(self, name: str, **options: Any) -> FreezeOutcome:
        self.calls.append((name, options))
        self._fields(name)
        cgroup = self.launcher.cgroups[name]
        changed, cgroup.frozen = not cgroup.frozen, True
        holders = self.holding.setdefault(name, [])
        if options["owner"] not in holders:
            holders.append(options["owner"])
        return FreezeOutcome(changed, "frozen", tuple(holders), "d-2")

    def thaw(self, name: str, **options: Any) -> FreezeOutcome:
        self._fields(name)
        cgroup = self.launcher.cgroups[name]
        changed, cgroup.frozen = cgroup.frozen, False
        self.holding[name] = []
        return FreezeOutcome(changed, "running", (), "d-3")

    def holders(self, name: str) -> list[str]:
        return self.holding.get(name, [])

    def decisions(
        self, container: str | None = None, after: int = 0, limit: int = 100
    ) -> list[dict[str, Any]]:
        return [{"id": "d-1", "container": container}]

    def decision(self, id: str) -> dict[str, Any]:
        return {"id": id}

    def policies(self) -> list[dict[str, Any]]:
        return [{"name": "headroom", "mode": "observe"}]

    def _fields(self, name: str) -> dict[str, Any]:
        if name not in self.launcher.known:
            raise UnknownTarget(name)
        return self.launcher.cgroups[name].fields

    def _check(self, key: str, value: object, *, force: bool) -> None:
        if key not in Limits.__dataclass_fields__:
            raise BadWish(key, "is not a limit")
        if value != "max" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise BadWish(key, "must be a number")
        if key in self.held and not force:
            raise OwnerConflict(key, self.held[key], "14:30Z")
        if key == "memory_max_bytes" and isinstance(value, int) and value < IN_USE_BYTES and not force:
            raise BelowUsage(key, value, IN_USE_BYTES)


def make_limits(**fields: Any) -> Limits:
    absent: dict[str, Any] = dict.fromkeys(Limits.__dataclass_fields__)
    given = {key: UNLIMITED if value == "max" else value for key, value in fields.items()}
    return Limits(**(absent | given))
