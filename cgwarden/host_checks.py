"""What `doctor` finds on a host: asked by the daemon, and by the command line where no daemon answers."""

from __future__ import annotations

import os
from pathlib import Path

import cgroupfs
from cgroupfs import net_mount
from cgwarden.checks import Check, make_check
from cgwarden.hardening_checks import check_hardening
from cgwarden.launch_checks import check_launch
from cgwarden.root_checks import check_roots

MOUNT_NET = "where wanted: `[cgroups] mount_net = true` in the configuration, and restart the daemon"

COSTS = {
    "cpu": "no CPU limits",
    "cpuacct": "no CPU usage",
    "cpuset": "no pinning to CPUs and memory nodes",
    "memory": "no memory usage and no memory limits",
    "blkio": "no disk usage and no disk limits",
    "devices": "containers could open every device",
    "freezer": "freeze and thaw only where the unified tree is mounted",
    "pids": "no limit on processes",
    "unified": "no pressure of single containers, and slower killing",
}
NEEDED = frozenset({"cpu", "cpuacct", "memory", "devices", "pids"})
"""Without one of these a container cannot be held within limits, so nothing should be started."""


def check_host(*own: Check, parent: str) -> dict[str, object]:
    """The whole report: what the caller says of itself, then what this process may see of the host.

    `parent` is the name of the parent of all containers, as it is configured.
    """
    checks = [
        *own,
        _privilege(),
        *_hierarchies(parent),
        _pressure(),
        _network(),
        *check_launch(),
        *check_roots(),
    ]
    checks += check_hardening()
    return {"ok": all(check["state"] != "missing" for check in checks), "checks": checks}


def _privilege() -> Check:
    if os.geteuid() == 0:
        return make_check("privilege", "ok", "root")
    advice = "`cgwarden serve` needs root; the other verbs only the socket"
    return make_check("privilege", "missing", f"uid {os.geteuid()}", advice)


def _hierarchies(parent: str) -> list[Check]:
    try:
        hierarchies = cgroupfs.Hierarchies.read()
        placement = cgroupfs.place(hierarchies, parent)
        return [*map(check_hierarchy, _report(hierarchies, placement)), _check_placement(placement)]
    except cgroupfs.NoCgroups as error:
        return [make_check("cgroups", "missing", str(error))]


def check_hierarchy(report: cgroupfs.HierarchyReport) -> Check:
    """One controller: which interface, where, how many of our fields it gives, and what the rest costs."""
    name = report.controller
    if report.mounted_at is None:
        return _not_mounted(report)
    detail = f"{report.kind} at {report.mounted_at}"
    if not report.known:
        return make_check(name, "ok", f"{detail}; no group has it yet, so its files do not show")
    detail += f", {len(report.fields)} fields"
    lost = [loss for loss in report.lost if loss.files]
    if quiet := [field for loss in lost if not loss.cost for field in loss.fields]:
        detail += f"; this kernel lacks {', '.join(quiet)}"
    costs = [f"without {' or '.join(loss.files)}: {loss.cost}" for loss in lost if loss.cost]
    if costs:
        return make_check(name, "degraded", f"{detail}; {'; '.join(costs)}")
    return make_check(name, "ok", detail)


def _not_mounted(report: cgroupfs.HierarchyReport) -> Check:
    name = report.controller
    if name in COSTS:
        state = "missing" if name in NEEDED else "degraded"
        advice = f"mount -t cgroup -o {name} {name} DIR, at boot"
        return make_check(name, state, f"not mounted: {COSTS[name]}", advice)
    fields = [field for loss in report.lost for field in loss.fields]
    why = f"no {', '.join(fields)}" if fields else "nothing here needs it"
    # Not degraded: a mount is for the whole host, and few want these marks.
    advice = MOUNT_NET if name in net_mount.CONTROLLERS else ""
    return make_check(name, "ok", f"not mounted: {why}", advice)


def _report(
    hierarchies: cgroupfs.Hierarchies, placement: cgroupfs.Placement
) -> list[cgroupfs.HierarchyReport]:
    """Most files show in groups alone: one is made for a moment where that is ours to do."""
    if os.geteuid() != 0 or placement.advice:
        return hierarchies.report()
    # Not `within`: that leaves out hierarchies which are not handed down, and those are to be told too.
    name = f"{placement.parent.rpartition('/')[2]}-doctor-{os.getpid()}"
    return hierarchies.based(placement.base).probe(name)


def _check_placement(found: cgroupfs.Placement) -> Check:
    """Where groups go on this host, and whether somebody else might write there."""
    state = "degraded" if found.advice else "ok"
    return make_check("placement", state, f"{found.parent}: {found.why}", found.advice)


def _pressure() -> Check:
    offered = [name for name in ("cpu", "memory", "io") if Path("/proc/pressure", name).exists()]
    if len(offered) == 3:
        return make_check("pressure", "ok", "cpu, memory and io")
    detail = f"only {', '.join(offered) or 'none'}: policies see usage, but not who waits"
    return make_check("pressure", "degraded", detail, "boot with psi=1")


def _network() -> Check:
    if os.geteuid() != 0:
        return make_check("network", "ok", "bridge networks are tried out by root alone")
    from launcher.network.checks import examine

    return make_check("network", *examine())
