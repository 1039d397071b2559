"""`ps`: every container of this daemon, running or not, as the kernel has it now."""

from __future__ import annotations

from cgwarden.cli.limit import show_value
from cgwarden.cli.options import JSON, Args, Option, UsageError, Verb
from cgwarden.cli.terminal import print_json, table
from cgwarden.client import Daemon
from cgwarden.units import format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, value


def _ps(args: Args) -> int:
    containers = [one for one in Daemon().get("/api/v1/containers")["containers"] if _wanted(one, args)]
    if args.on("json"):
        print_json(containers)
    elif args.on("quiet"):
        print("".join(f"{one['name']}\n" for one in containers), end="")
    else:
        print("\n".join(_lines(containers)))
    return 0


def _lines(containers: list[dict[str, Any]]) -> list[str]:
    """Columns of the network only where some container has one of its own."""
    networked = any(one.get("net") for one in containers)
    network = ("ADDRESS", "PORTS") if networked else ()
    header = ("NAME", "STATE", "PID", "AGE", "CPUS", "MEMORY", "PIDS", "CLASS", "IMAGE", *network, "COMMAND")
    rows = [
        (*row[:-1], *(_network(one) if networked else ()), row[-1])
        for one in containers
        for row in [_row(one)]
    ]
    return table(header, rows, right=(2,))


def _wanted(container: dict[str, Any], args: Args) -> bool:
    labels = container.get("labels") or {}
    if any(labels.get(key) != value for key, value in args.get("label", [])):
        return False
    for key, value in args.get("filter", []):
        if key not in ("state", "name", "class"):
            raise UsageError(f"--filter: {key!r} is not one of state, name, class")
        if container.get(key) != value:
            return False
    return True


def _row(container: dict[str, Any]) -> tuple[str, ...]:
    limits = container.get("limits") or {}
    state = container["state"]
    if state == "exited":
        state = f"exited ({container['exit_code'] if container['exit_code'] is not None else 'lost'})"
        state = "oom-killed" if container.get("oom_killed") else state
        state = f"restarting, {state}" if container.get("starts_at") else state
    if container.get("health"):
        state = f"{state} ({container['health']['state']})"
    return (
        container["name"],
        state,
        str(container["pid"] or "-"),
        age(container.get("started_at") or container["created_at"]),
        show_value("cpu_max_cores", limits.get("cpu_max_cores")),
        show_value("memory_max_bytes", limits.get("memory_max_bytes")),
        show_value("pids_max", limits.get("pids_max")),
        container.get("class") or "-",
        container["image"] or "-",
        _short(" ".join(container.get("command") or [])),
    )


def _network(container: dict[str, Any]) -> tuple[str, str]:
    """Its address on the bridge, and the published ports as `8080>80/tcp`."""
    net = container.get("net") or {}
    ports = (
        f"{port['host_ip'] + ':' if port['host_ip'] else ''}"
        f"{port['host_port']}>{port['container_port']}/{port['protocol']}"
        for port in net.get("ports", [])
    )
    return net.get("address") or "-", " ".join(ports) or "-"


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def age(moment: str | None) -> str:
    """How long ago an RFC 3339 UTC time was; `time` and not datetime, which costs a hot verb 2 ms."""
    if not moment:
        return "-"
    return format_duration(max(0.0, _now() - seconds_of(moment)))


def seconds_of(moment: str) -> float:
    """Unix seconds of an RFC 3339 time in UTC, as the API writes them."""
    day, _, clock = moment.removesuffix("Z").partition("T")
    year, month, date = (int(part) for part in day.split("-"))
    hours, minutes, rest = clock.removesuffix("+00:00").split(":")
    # Days since 1970 by counting from March, so that leap days fall at the end (Hinnant, days_from_civil).
    year -= month <= 2
    of_era = year % 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + date - 1
    days = year // 400 * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return days * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(rest)


def _now() -> float:
    import time

    return time.time()


VERBS = {
    "ps": Verb(
        "ps [-q] [--filter state=running] [-l KEY=VALUE] [--json]",
        "List the containers: running, frozen and ended ones, with the limits that the kernel has.",
        _ps,
        options=(
            Option("-q", "--quiet", help="names only"),
            Option(
                "--filter", value="KEY=VALUE", read=_pair, many=True, help="state, name or class equals VALUE"
            ),
            Option(
                "-l", "--label", value="KEY=VALUE", read=_pair, many=True, help="only those with this label"
            ),
            Option("-a", "--all", help="accepted for docker's sake: all are always listed"),
            JSON,
        ),
        more="Alias: ls.",
    ),
}
