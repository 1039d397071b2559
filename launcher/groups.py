"""Groups: a cgroup between the parent and containers, whose limits they share; on record until it is removed.

STATE_DIR/groups/NAME.json is the intent. A record without a cgroup, after a crash or a boot, gets its cgroup
from the next daemon; an empty cgroup without a record is a leak, which that daemon removes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from cgroupfs import LIMIT_FIELDS, Cgroup, CgroupError, CgroupGone
from launcher import records
from launcher.errors import BadSpec, GroupInUse, LaunchFailed, NameTaken, UnknownGroup
from launcher.registry import Registry
from launcher.site import Site
from launcher.spec import NAME, ContainerSpec
from launcher.spec_values import parse_name, read_limits

_LOG: Final = logging.getLogger("cgwarden.launcher")
_ENDING: Final = ".json"
_DAMAGES: Final = (OSError, ValueError, KeyError, TypeError, BadSpec, CgroupError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`limits` are those it was made with; the kernel's own are read from its cgroup."""

    name: str
    limits: Mapping[str, object]
    created_at: str
    cgroup: Cgroup | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    klass: str = "burstable"

    @property
    def started_at(self) -> str:
        """As the enforcer asks for it."""
        return self.created_at


class Groups:
    """Any thread may call; `record_limits` journals what a group is made with, as it does for containers."""

    def __init__(
        self,
        site: Site,
        registry: Registry,
        emit: Callable[[str, str | None, str, Mapping[str, object]], None],
        record_limits: Callable[[Any, Any, str], None],
    ) -> None:
        self._site = site
        self._registry = registry
        self._emit = emit
        self._record_limits = record_limits
        self._lock = threading.RLock()
        self._groups: dict[str, Group] = {}
        self._directory = f"{site.state_dir}/groups"
        os.makedirs(self._directory, 0o700, exist_ok=True)

    def adopt(self) -> None:
        """Before the containers: theirs are inside. What a crash or a boot has taken is made again."""
        for file in sorted(os.listdir(self._directory)):
            if _is_half_written(file):
                continue
            name = file.removesuffix(_ENDING)
            if not file.endswith(_ENDING) or not NAME.fullmatch(name):
                _LOG.warning("%r in %s is no group of ours; it is left alone", file, self._directory)
                continue
            try:
                self._groups[name] = self._with_cgroup(self._read(name, file))
            except _DAMAGES as e:
                self._keep_populated(name, f"{type(e).__name__}: {e}")

    def _read(self, name: str, file: str) -> Group:
        """Raises one of _DAMAGES."""
        record = records.read_record(self._directory, file)
        if record is None:
            raise ValueError("it is no whole record")
        written_at = os.lstat(f"{self._directory}/{file}").st_mtime
        return Group(
            name=name,
            limits=read_limits("limits", record["limits"]),
            created_at=_moment(record.get("created_at")) or records.rfc3339(written_at),
        )

    def _keep_populated(self, name: str, why: str) -> None:
        """A damaged record hides no group that has containers running: its limits are those in force."""
        where = f"{self._directory}/{name}{_ENDING}"
        try:
            if self._site.hierarchies.children(self._site.group_path(name)):
                self._groups[name] = _as_in_force(name, self._found(name))
                _LOG.warning("%s is damaged: %s; the group keeps the limits that are in force", where, why)
                return
        except (CgroupError, OSError) as e:
            why = f"{why}; {e}"
        _LOG.warning("%s is no record of a group; it is left alone: %s", where, why)

    def _with_cgroup(self, group: Group) -> Group:
        """Its own where there is one, with whatever limits it has by now."""
        path = self._site.group_path(group.name)
        try:
            cgroup = self._site.hierarchies.cgroup(path)
        except CgroupGone:
            cgroup = self._make_cgroup(group.name, group.limits)
        return replace(group, cgroup=cgroup)

    def _make_cgroup(self, name: str, limits: Mapping[str, object]) -> Cgroup:
        path = self._site.group_path(name)
        with contextlib.ExitStack() as undo:
            cgroup = self._site.hierarchies.create(path)
            undo.callback(self._site.hierarchies.remove, path)
            undo.callback(cgroup.close)
            spec = _as_spec(name, limits)
            writes = cgroup.plan_limits(limits)
            if limits:
                self._record_limits(spec, None, "intent")
            written = cgroup.apply(writes)
            if limits:
                self._record_limits(spec, written, "applied")
            undo.pop_all()
        return cgroup

    def create(self, name: str, limits: Mapping[str, object]) -> Group:
        """On record, then in the kernel; whatever fails, nothing is left."""
        parse_name(name)
        limits = read_limits("limits", limits)
        with self._lock, self._registry.reserved(name):
            self._refuse_taken(name)
            group = Group(name=name, limits=limits, created_at=records.rfc3339())
            self._write(group)
            with contextlib.ExitStack() as undo:
                undo.callback(self._unlink, name)
                made = replace(group, cgroup=self._make_cgroup(name, limits))
                undo.pop_all()
            self._groups[name] = made
        self._emit("group.create", name, "asked for", {})
        return made

    def _refuse_taken(self, name: str) -> None:
        if name in self._groups:
            raise NameTaken(name, "a group of that name exists")
        with contextlib.suppress(CgroupGone), contextlib.closing(self._found(name)) as found:
            if found.procs():
                raise NameTaken(name, f"the cgroup {found.path} has processes that cgwarden did not start")

    def _found(self, name: str) -> Cgroup:
        return self._site.hierarchies.cgroup(self._site.group_path(name))

    def remove(self, name: str) -> None:
        """Refused while there are containers in it, ended ones too."""
        with self._lock:
            group = self.get(name)
            inside = self.members(name)
            if inside:
                raise GroupInUse(name, inside)
            self._unlink(name)
            if group.cgroup is not None:
                group.cgroup.close()
            self._site.hierarchies.remove(self._site.group_path(name))
            del self._groups[name]
        self._emit("group.remove", name, "asked for", {})

    def members(self, name: str) -> list[str]:
        """The containers in it, ended ones too."""
        return self._registry.grouped(name)

    def get(self, name: str) -> Group:
        if name not in self._groups:
            raise UnknownGroup(name)
        return self._groups[name]

    def named(self, name: str) -> Group | None:
        return self._groups.get(name)

    def all(self) -> list[Group]:
        return [group for _, group in sorted(self._groups.items())]

    def check(self, spec: ContainerSpec) -> None:
        """For a container whose name is reserved: from then on its group cannot go."""
        if spec.name in self._groups:
            raise NameTaken(spec.name, "a group of that name exists")
        with self._lock if spec.group else contextlib.nullcontext():
            if spec.group and spec.group not in self._groups:
                raise BadSpec("group", f"there is no group {spec.group!r}; `cgwarden group create` makes one")

    def close(self) -> None:
        """Let go of the descriptors; groups stay."""
        for group in self._groups.values():
            if group.cgroup is not None:
                group.cgroup.close()

    def _write(self, group: Group) -> None:
        value = {"name": group.name, "limits": dict(group.limits), "created_at": group.created_at}
        try:
            with records.opened_directory(self._directory) as fd:
                records.write_record(fd, group.name + _ENDING, value)
        except OSError as e:
            raise LaunchFailed("record the group", f"{self._directory}: {e.strerror}") from e

    def _unlink(self, name: str) -> None:
        """A directory in its place is not ours, and stays."""
        gone = (FileNotFoundError, IsADirectoryError)
        with contextlib.suppress(*gone), records.opened_directory(self._directory) as fd:
            os.unlink(name + _ENDING, dir_fd=fd)
            os.fsync(fd)


def _as_spec(name: str, limits: Mapping[str, object]) -> ContainerSpec:
    """What the journal of limits takes: it looks at the name and the limits."""
    return ContainerSpec(name=name, limits=limits)


def _is_half_written(file: str) -> bool:
    """By a daemon that died before its record was whole: nobody was told of it."""
    return file.startswith(".") and file.endswith(f"{_ENDING}.new")


def _moment(text: object) -> str | None:
    with contextlib.suppress(ValueError, TypeError):
        datetime.fromisoformat(text)  # type: ignore[arg-type]
        return str(text)
    return None


def _as_in_force(name: str, cgroup: Cgroup) -> Group:
    with contextlib.ExitStack() as undo:
        undo.callback(cgroup.close)
        told = cgroup.read_limits().to_wire()
        undo.pop_all()
    limits = {field: told[field] for field in LIMIT_FIELDS if told[field] not in (None, "max")}
    return Group(name=name, limits=limits, created_at=records.rfc3339(), cgroup=cgroup)
