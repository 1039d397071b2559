"""What `doctor` finds by itself on a host where no daemon answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def check_host(no_daemon: str) -> dict[str, Any]:
    """A report of the same shape as the daemon's, from what this process may see."""
    checks = [
        _check("daemon", "degraded", no_daemon, "start it with `cgwarden serve`"),
        _root(),
        *_hierarchies(),
        *_pressure(),
    ]
    return {"ok": all(check["state"] != "missing" for check in checks), "checks": checks}


def _check(name: str, state: str, detail: str, advice: str = "") -> dict[str, str]:
    return {"name": name, "state": state, "detail": detail, "advice": advice}


def _root() -> dict[str, str]:
    if os.geteuid() == 0:
        return _check("privilege", "ok", "root")
    return _check(
        "privilege",
        "missing",
        f"uid {os.geteuid()}",
        "`cgwarden serve` needs root; the command line only the socket",
    )


def _hierarchies() -> list[dict[str, str]]:
    import cgroupfs

    try:
        found = cgroupfs.Hierarchies.read().report()
    except cgroupfs.NoCgroups as error:
        return [_check("cgroups", "missing", str(error))]
    return [_hierarchy(report) for report in found]


def _hierarchy(report: Any) -> dict[str, str]:
    if not report.mounted_at:
        return _check(report.controller, "degraded", "not mounted", str(report.cost or ""))
    lacking = f"; lacks {', '.join(report.missing)}" if report.missing else ""
    state = "degraded" if report.missing else "ok"
    return _check(
        report.controller, state, f"{report.kind} at {report.mounted_at}{lacking}", str(report.cost or "")
    )


def _pressure() -> list[dict[str, str]]:
    offered = [name for name in ("cpu", "memory", "io") if Path("/proc/pressure", name).exists()]
    if len(offered) == 3:
        return [_check("pressure", "ok", "cpu, memory and io")]
    advice = "boot with psi=1; without it policies see no stalls, only usage"
    return [_check("pressure", "degraded", ", ".join(offered) or "none", advice)]
