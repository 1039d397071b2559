"""The documents of the API that more than one route or stream sends: containers, the host, limits."""

import os
from collections.abc import Mapping
from typing import Any, Final

from cgroupfs import LIMIT_FIELDS, CgroupError, CgroupGone, Limits
from enforcer.errors import TargetGone, UnknownTarget
from launcher import Container
from launcher.errors import NotRunning, UnknownContainer
from monitor import Observation, Snapshot
from web.parts import LauncherPart, Services
from web.wire import fields_to_wire, rfc3339, to_wire

_ENDED_MEANWHILE: Final = (CgroupGone, UnknownContainer, NotRunning, UnknownTarget, TargetGone)
_NOTHING_LIVE: Final[dict[str, Any]] = {
    "limits": None,
    "owners": {},
    "cgroups": {},
    "inode": None,
    "holders": [],
}
_RAW: Final = ("cpu", "memory", "io", "pids", "pressure", "net", "slow")


def container_row(
    launcher: LauncherPart, container: Container, seen: Observation | None, *, changed: bool
) -> dict[str, Any]:
    """A container as it stands in the list: as the last sweep saw it, or the kernel if it `changed` since."""
    state, limits = _state_and_limits(container, seen, changed)
    return container.to_wire(state) | {
        "net": launcher.network_of(container),
        "usage": None if seen is None else fields_to_wire(seen.usage),
        "limits": None if limits is None else fields_to_wire(limits),
        "stale": seen is not None and seen.stale,
    }


def _state_and_limits(
    container: Container, seen: Observation | None, changed: bool
) -> tuple[str, Limits | None]:
    # Of a thousand rows only those that need it may read the kernel.
    swept = None if seen is None else seen.limits
    if container.state != "running" or container.cgroup is None:
        return container.state, swept
    if seen is not None and not changed:
        return "frozen" if seen.freezer == "frozen" else "running", swept
    try:
        return container.read_state(), container.cgroup.read_limits()
    except (CgroupError, OSError):  # it ends just now
        return container.state, swept


def container_rows(services: Services, snapshot: Snapshot | None = None) -> list[dict[str, Any]]:
    """All containers, by name, as of `snapshot` or else the last sweep."""
    changed = services.monitor.changed_since_sweep()
    snapshot = snapshot or services.monitor.latest()
    seen: Mapping[str, Observation] = {} if snapshot is None else snapshot.containers
    containers = sorted(services.launcher.containers(), key=lambda container: container.name)
    return [
        container_row(
            services.launcher, container, seen.get(container.name), changed=container.name in changed
        )
        for container in containers
    ]


def container_frame(services: Services, snapshot: Snapshot, name: str) -> dict[str, Any]:
    """One container for its own stream; `gone` once it was removed."""
    stamp = _stamp(snapshot)
    try:
        container = services.launcher.get(name)
    except UnknownContainer:
        return stamp | {"name": name, "gone": True}
    changed = name in services.monitor.changed_since_sweep()
    return stamp | container_row(services.launcher, container, snapshot.containers.get(name), changed=changed)


def containers_frame(services: Services, snapshot: Snapshot) -> dict[str, Any]:
    """The whole list for the stream, with the sweep's time."""
    return _stamp(snapshot) | {"containers": container_rows(services, snapshot)}


def host_frame(snapshot: Snapshot) -> dict[str, Any]:
    """The host's totals of one sweep."""
    usage: dict[str, Any] = to_wire(snapshot.host)
    return _stamp(snapshot) | {"hostname": os.uname().nodename} | usage


def inspect_view(services: Services, container: Container) -> dict[str, Any]:
    """Everything about one container; the limits are read from the kernel now."""
    try:
        live = _live_view(services, container)
    except _ENDED_MEANWHILE:
        live = _NOTHING_LIVE
    asked = {"spec_limits": to_wire(container.spec.limits), "net": services.launcher.network_of(container)}
    return container.to_wire() | live | asked


def state_view(services: Services, name: str) -> dict[str, Any]:
    """State and exit code after a verb; a container that was to be removed at its end may be gone by now."""
    try:
        told = services.launcher.get(name).to_wire()
    except UnknownContainer:
        return {"state": "exited", "exit_code": None}
    return {"state": told["state"], "exit_code": told["exit_code"]}


def _live_view(services: Services, container: Container) -> dict[str, Any]:
    cgroup = container.cgroup
    if cgroup is None:
        return _NOTHING_LIVE
    fields = services.enforcer.limits(container.name)
    return {
        "limits": dict.fromkeys(LIMIT_FIELDS)
        | {name: to_wire(told["value"]) for name, told in fields.items()},
        "owners": {name: told["owner"] for name, told in fields.items() if told.get("owner")},
        "cgroups": dict(cgroup.paths()),
        "inode": cgroup.inode,
        "holders": to_wire(services.enforcer.holders(container.name)),
    }


def usage_view(seen: Observation, now: float) -> dict[str, Any]:
    """The newest usage with the raw counters that it comes from, by hierarchy."""
    sample = seen.sample
    return {
        "taken_at": rfc3339(sample.wall_time),
        "age_sec": round(max(0.0, now - sample.taken_at), 3),
        "stale": seen.stale,
        "usage": to_wire(seen.usage),
        "sample": {name: to_wire(getattr(sample, name)) for name in _RAW},
    }


def _stamp(snapshot: Snapshot) -> dict[str, Any]:
    return {"tick": snapshot.tick, "wall_time": round(snapshot.wall_time, 3)}
