"""`stats`: what the containers use, beside what they may use."""

from __future__ import annotations

import sys

from cgwarden.cli.names import check_name
from cgwarden.cli.options import JSON, Args, Option, Verb
from cgwarden.cli.terminal import print_json, table
from cgwarden.client import Daemon
from cgwarden.units import format_bytes, parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

HEADER = (
    "NAME",
    "STATE",
    "CPU",
    "%LIMIT",
    "MEMORY",
    "LIMIT",
    "%LIMIT",
    "READ/S",
    "WRITE/S",
    "NET IN/S",
    "NET OUT/S",
    "PIDS",
    "PSI CPU",
    "PSI MEM",
    "PSI IO",
)
_RIGHT = tuple(range(2, len(HEADER)))


def _stats(args: Args) -> int:
    names = [check_name(name) for name in args.words]
    daemon = Daemon()
    once = args.on("no_stream") or args.on("json") or not (args.on("jsonl") or sys.stdout.isatty())
    while True:
        containers = read_containers(daemon, names)
        if args.on("jsonl"):
            _print_jsonl(containers)
        elif args.on("json"):
            print_json([_document(one) for one in containers])
        else:
            lines = usage_table(containers)
            print("\n".join(lines) if once else _in_place(lines), flush=True)
        if once:
            return 0
        _sleep(args.get("interval", 1.0))


def read_containers(daemon: Daemon, names: Sequence[str]) -> list[dict[str, Any]]:
    """The named containers, or all that are not ended; an unknown name is the daemon's own 404."""
    listed = daemon.get("/api/v1/containers")["containers"]
    if not names:
        return [one for one in listed if one["state"] != "exited"]
    by_name = {one["name"]: one for one in listed}
    return [by_name.get(name) or daemon.get(f"/api/v1/containers/{name}") for name in names]


def usage_table(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of the table; what is not known stays a dash, never 0."""
    return table(HEADER, [_row(one) for one in containers], right=_RIGHT)


def _row(container: Mapping[str, Any]) -> tuple[str, ...]:
    usage = container.get("usage") or {}
    limit = (container.get("limits") or {}).get("memory_max_bytes")
    return (
        container["name"],
        container["state"],
        _number(usage.get("cpu_cores")),
        _percent(usage.get("cpu_limit_fraction")),
        _bytes(usage.get("memory_usage_bytes")),
        _bytes(limit) if isinstance(limit, int) else str(limit or "-"),
        _percent(usage.get("memory_limit_fraction")),
        _bytes(usage.get("io_read_bytes_per_sec")),
        _bytes(usage.get("io_write_bytes_per_sec")),
        _bytes(usage.get("net_rx_bytes_per_sec")),
        _bytes(usage.get("net_tx_bytes_per_sec")),
        "-" if usage.get("pids_current") is None else f"{usage['pids_current']:.0f}",
        _percent(usage.get("cpu_pressure_fraction")),
        _percent(usage.get("memory_pressure_fraction")),
        _percent(usage.get("io_pressure_fraction")),
    )


def _document(container: Mapping[str, Any]) -> dict[str, Any]:
    return {key: container.get(key) for key in ("name", "state", "usage", "limits")}


def _print_jsonl(containers: Sequence[Mapping[str, Any]]) -> None:
    import json

    for container in containers:
        print(json.dumps(_document(container), ensure_ascii=False), flush=True)


def _in_place(lines: Sequence[str]) -> str:
    """Home, each line with its tail erased, the rest of the screen erased: no flicker, no scrolling."""
    return "\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J"


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction * 100:.0f}%"


def _bytes(value: float | None) -> str:
    return "-" if value is None else format_bytes(value)


VERBS = {
    "stats": Verb(
        "stats [--no-stream] [-i TIME] [NAME…]",
        "Show CPU, memory, disk, network, processes and pressure; on a terminal again each second.",
        _stats,
        options=(
            Option("--no-stream", help="once, then end (so it is when stdout is not a terminal)"),
            Option("-i", "--interval", value="TIME", read=parse_duration, help="how often (1s)"),
            JSON,
            Option("--jsonl", help="one JSON line per container and interval, without end"),
        ),
        words=(0, None),
        more="PSI: the share of the last second in which something in it waited for CPU, memory or disk.",
    ),
}
