"""What the web side asks of the other parts, as protocols, so that a test can pass plain objects instead."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from launcher import Container, ContainerSpec, LogLine, Stdio
from launcher.groups import Group
from launcher.images import Image, ImageStore
from launcher.named_volumes import NamedVolume
from launcher.rootfs.changes import Change
from monitor import Event, HistoryPage, Snapshot, Tombstone, Totals
from web.access import Access
from web.health import Health


class InputPart(Protocol):
    """Takes input. No call waits: `write` tells how much was taken, `end_input` whether the end was."""

    def write(self, data: bytes) -> int: ...

    def end_input(self) -> bool: ...

    def resize(self, rows: int, columns: int) -> None: ...

    def detach(self) -> None: ...


class ExecPart(InputPart, Protocol):
    """A program that was started inside a container: its output, then its exit code."""

    @property
    def exit_code(self) -> int | None: ...

    def __iter__(self) -> Generator[tuple[str, bytes], None, None]: ...

    def hang_up(self) -> None: ...


class LivePart(InputPart, Protocol):
    """One who is attached: the container's output as it comes."""

    tty: bool
    takes_input: bool

    def __iter__(self) -> Generator[tuple[str, bytes], None, None]: ...


class AttachedPart(Protocol):
    """A container that was started for somebody who takes its whole output, and then its exit code."""

    container: Container

    @property
    def live(self) -> LivePart | None: ...

    @property
    def exit_code(self) -> int | None: ...

    def output(self, stopped: Callable[[], bool] = ...) -> Generator[LogLine, None, None]: ...

    def why_cut(self) -> str | None: ...

    def hang_up(self, *, end_input: bool) -> None: ...


class GroupsPart(Protocol):
    """Cgroups between the parent and containers. Every call but `all` and `members` may block."""

    def create(self, name: str, limits: Mapping[str, object]) -> Group: ...

    def remove(self, name: str) -> None: ...

    def get(self, name: str) -> Group: ...

    def all(self) -> Sequence[Group]: ...

    def members(self, name: str) -> Sequence[str]: ...


class VolumesPart(Protocol):
    """Directories with names, for containers to mount. Every call may block."""

    def create(self, name: str) -> NamedVolume: ...

    def remove(self, name: str) -> None: ...

    def get(self, name: str) -> NamedVolume: ...

    def all(self) -> Sequence[NamedVolume]: ...


class CopyInPart(InputPart, Protocol):
    """Takes an archive; `finish` tells what has become of it."""

    def finish(self) -> Mapping[str, int]: ...

    def hang_up(self) -> None: ...


class CopierPart(Protocol):
    """Copies out of and into containers."""

    def copy_out(self, name: str, path: str, *, follow: bool = False) -> Generator[bytes, None, None]: ...

    def copy_in(self, name: str, path: str, *, kind: str, owners: bool = False) -> CopyInPart: ...


class LauncherPart(Protocol):
    """Starts, stops and lists containers. Every call but `get` and `containers` may block."""

    @property
    def images(self) -> ImageStore: ...

    @property
    def groups(self) -> GroupsPart: ...

    @property
    def volumes(self) -> VolumesPart: ...

    def run(self, spec: ContainerSpec) -> Container: ...

    def create(self, spec: ContainerSpec) -> Container: ...

    def start(self, name: str) -> bool: ...

    def restart(self, name: str, timeout_sec: float | None = None) -> None: ...

    def run_attached(self, spec: ContainerSpec, size: tuple[int, int] | None = None) -> AttachedPart: ...

    def attach(self, name: str) -> AttachedPart: ...

    @property
    def copier(self) -> CopierPart: ...

    def describe(self, spec: ContainerSpec) -> list[str]: ...

    def get(self, name: str) -> Container: ...

    def containers(self) -> Sequence[Container]: ...

    def network_of(self, container: Container) -> Mapping[str, Any] | None: ...

    def stop(self, name: str, timeout_sec: float | None = None) -> bool: ...

    def kill(self, name: str, signal: int) -> None: ...

    def remove(self, name: str, *, force: bool = False) -> None: ...

    def diff(self, name: str) -> list[Change]: ...

    def commit(self, name: str, ref: str) -> Image: ...

    def wait(self, name: str, timeout_sec: float | None = None) -> int | None: ...

    def exec(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] = ...,
        workdir: str | None = None,
        user: str | None = None,
        stdio: Stdio = ...,
    ) -> ExecPart: ...

    def read_log(
        self,
        name: str,
        *,
        tail: int | None = None,
        follow: bool = False,
        since: str | None = None,
        stopped: Callable[[], bool] = ...,
    ) -> Generator[LogLine, None, None]: ...


class HistoryPart(Protocol):
    """The rings; the name "" asks for the host's own series."""

    def query(
        self, name: str, metrics: Sequence[str], since_sec: float, points: int | None
    ) -> HistoryPage: ...

    def names(self) -> list[str]: ...

    @property
    def memory_bytes(self) -> int: ...


class MonitorPart(Protocol):
    """The newest sweep and what was kept of the former ones."""

    @property
    def history(self) -> HistoryPart: ...

    def latest(self) -> Snapshot | None: ...

    def changed_since_sweep(self) -> frozenset[str]: ...

    def totals(self) -> Totals: ...

    def tombstones(self) -> Mapping[str, Tombstone]: ...


class EventsPart(Protocol):
    """The event log; `subscribe` calls back from whichever thread appended."""

    def page(
        self,
        after: int = 0,
        limit: int = 200,
        container: str | None = None,
        types: Sequence[str] | None = None,
        newest: bool = False,
    ) -> list[Event]: ...

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]: ...


class LimitOutcomePart(Protocol):
    """What came of a wish for limits."""

    @property
    def changed(self) -> bool: ...

    @property
    def status(self) -> str: ...

    @property
    def decision(self) -> str | None: ...

    @property
    def writes(self) -> Sequence[Any]: ...


class FreezeOutcomePart(Protocol):
    """What came of a freeze or a thaw, and who still holds the container frozen."""

    @property
    def changed(self) -> bool: ...

    @property
    def state(self) -> str: ...

    @property
    def holders(self) -> Sequence[Any]: ...

    @property
    def decision(self) -> str | None: ...


class EnforcerPart(Protocol):
    """The one way to change a running container's limits and freezer. Every call may block."""

    def set_limits(
        self,
        name: str,
        wanted: Mapping[str, object],
        *,
        owner: str = "operator",
        reason: str,
        lease_sec: float | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> LimitOutcomePart: ...

    def release(
        self,
        name: str,
        fields: Sequence[str],
        *,
        owner: str = "operator",
        reason: str = ...,
        force: bool = False,
    ) -> LimitOutcomePart: ...

    def limits(self, name: str) -> Mapping[str, Mapping[str, Any]]: ...

    def freeze(
        self,
        name: str,
        *,
        owner: str = "operator",
        reason: str,
        lease_sec: float | None = None,
        timeout_sec: float = 10.0,
    ) -> FreezeOutcomePart: ...

    def thaw(self, name: str, *, owner: str = "operator", force: bool = False) -> FreezeOutcomePart: ...

    def holders(self, name: str) -> Sequence[Any]: ...

    def decisions(
        self, container: str | None = None, after: int = 0, limit: int = 100
    ) -> list[dict[str, Any]]: ...

    def decision(self, id: str) -> dict[str, Any]: ...

    def policies(self) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything the application works with; made once, by the daemon.

    `info` holds `version`, `boot_id`, `started_at` and `listen` (a list of "host:port", for log-in links).
    `hierarchies` is asked at each GET /host, `health` at each GET /healthz; `decided` counts decisions by
    (policy, outcome).
    """

    launcher: LauncherPart
    monitor: MonitorPart
    enforcer: EnforcerPart
    events: EventsPart
    access: Access
    info: Mapping[str, Any]
    doctor: Callable[[], Mapping[str, Any]]
    hierarchies: Callable[[], Sequence[Any]] = field(default=tuple)
    health: Callable[[], Health] = field(default=Health)
    decided: Callable[[], Mapping[tuple[str, str], int]] = field(default=dict)
