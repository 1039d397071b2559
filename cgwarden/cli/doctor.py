"""`doctor`: what this host offers and lacks; through the daemon, or by looking itself where none runs."""

from __future__ import annotations

import os

from cgwarden.cli.options import JSON, Args, Verb
from cgwarden.cli.terminal import paint, print_json
from cgwarden.client import Daemon, NoDaemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_COLOURS = {
    "ok": "green",
    "degraded": "yellow",
    "missing": "red",
    "on": "green",
    "off": "dim",
    "unknown": "dim",
}


def _doctor(args: Args) -> int:
    report = read_report()
    if args.on("json"):
        print_json(report)
    else:
        print("\n".join(_lines(report)))
    return 0 if report["ok"] else 1


def read_report() -> Mapping[str, Any]:
    """The daemon's report, or our own where no daemon answers."""
    try:
        report: Mapping[str, Any] = Daemon().get("/api/v1/doctor")
        return report
    except (NoDaemon, PermissionError) as error:
        from cgwarden.checks import make_check
        from cgwarden.host_checks import check_host

        why = str(error) if isinstance(error, NoDaemon) else "the socket may not be used by this user"
        daemon = make_check("daemon", "degraded", why, "start it with `cgwarden serve`")
        return check_host(daemon, parent=_configured_parent())


def _configured_parent() -> str:
    """As `cgwarden serve` would have it; what is wrong with the configuration is told by that."""
    from cgwarden.config import Config, ConfigError, read_config

    try:
        return read_config(None, {}, os.environ).cgroup_parent
    except (ConfigError, OSError):
        return Config().cgroup_parent


def _lines(report: Mapping[str, Any]) -> list[str]:
    width = max(len(check["name"]) for check in report["checks"])
    lines: list[str] = []
    section = ""
    for check in report["checks"]:
        if check.get("section", "") != section:
            section = check["section"]
            lines += ["", section]
        state = paint(f"{check['state']:8}", _COLOURS.get(check["state"], ""))
        lines.append(f"{state}  {check['name']:{width}}  {check['detail']}")
        if check.get("advice"):
            lines.append(f"{'':8}  {'':{width}}  {paint(check['advice'], 'dim')}")
    return [*lines, "", _verdict(report)]


def _verdict(report: Mapping[str, Any]) -> str:
    if not report["ok"]:
        return "something that is needed is missing"
    degraded = sum(check["state"] == "degraded" for check in report["checks"])
    if not degraded:
        return "everything needed is there"
    return f"works, with {degraded} thing{'s' if degraded > 1 else ''} degraded"


VERBS = {
    "doctor": Verb(
        "doctor [--json]",
        "Check the host: controllers, pressure, privileges; what is missing and what that costs.",
        _doctor,
        options=(JSON,),
        more="Exit code 1 where something needed is missing. Works without a daemon too.",
    ),
}
