"""`events`: what happened on this host, by whom and why; also as it happens."""

from __future__ import annotations

import sys

from cgwarden.cli.options import JSON, Args, Option, UsageError, Verb
from cgwarden.cli.terminal import harmless, paint, print_json
from cgwarden.client import Daemon, NoDaemon
from cgwarden.units import BadQuantity, parse_count, parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_PAGE = 1000
_COLOURS = {
    "container.oom": "red",
    "limit.change": "cyan",
    "limit.drift": "yellow",
    "container.freeze": "blue",
    "supervisor.lost": "red",
    "spawner.restart": "yellow",
}


def _since(text: str) -> float:
    """Unix seconds of `10m`, `3m ago`, or an RFC 3339 time in UTC."""
    import time

    from cgwarden.cli.ps import seconds_of

    wish = text.strip()
    if len(wish) > 10 and wish[4:5] == "-":
        try:
            return seconds_of(wish)
        except ValueError:
            raise BadQuantity(f"{text!r} is not a UTC time such as 2026-01-31T08:00:00Z") from None
    return time.time() - parse_duration(wish.removesuffix("ago").strip())


def _events(args: Args) -> int:
    daemon = Daemon()
    if args.on("json") and args.on("follow"):
        raise UsageError("--json prints one document and -f never ends; use --jsonl with -f")
    events, last = _recent(daemon, args)
    if args.on("json"):
        print_json(events)
        return 0
    for event in events:
        _print(event, args)
    if args.on("follow"):
        for event in stream(daemon, last):
            if _wanted(event, args):
                _print(event, args)
    return 0


def _recent(daemon: Daemon, args: Args) -> tuple[list[dict[str, Any]], int]:
    """The events that were asked for, oldest first, and the last id of all."""
    found, last = _pages(daemon, args)
    events = [event for event in found if _wanted(event, args)]
    return events[-args.get("tail", len(events) or 1) :], last


def _pages(daemon: Daemon, args: Args) -> tuple[list[dict[str, Any]], int]:
    """All events after --after; those since --since; else the newest ones."""
    query = {"container": args.get("container"), "limit": _PAGE}
    after = args.get("after")
    if after is None:
        newest = daemon.get("/api/v1/events", **query)
        if (
            args.get("since") is None
            or len(newest["events"]) < _PAGE
            or not _is_recent(newest["events"][0], args)
        ):
            return newest["events"], newest["last_id"]
        after = 0
    events: list[dict[str, Any]] = []
    while True:
        page = daemon.get("/api/v1/events", after=after, **query)
        events += page["events"]
        after = page["last_id"]
        if len(page["events"]) < _PAGE:
            return events, after


def _wanted(event: dict[str, Any], args: Args) -> bool:
    types = args.get("type", [])
    if types and not any(event["type"] == kind or event["type"].startswith(f"{kind}.") for kind in types):
        return False
    name = (event.get("container") or {}).get("name")
    return args.get("container") in (None, name) and _is_recent(event, args)


def _is_recent(event: dict[str, Any], args: Args) -> bool:
    from cgwarden.cli.ps import seconds_of

    return args.get("since") is None or seconds_of(event["time"]) >= args.get("since")


def stream(daemon: Daemon, after: int) -> Iterator[dict[str, Any]]:
    """Events with an id above `after` as they happen; ends with NoDaemon when the daemon stops."""
    import json

    response = daemon.open(
        "GET", "/api/v1/events", query={"after": after}, accept="text/event-stream", timeout_sec=None
    )
    data: list[str] = []
    for raw in response.lines():
        line = raw.decode(errors="replace").rstrip("\r")
        if line.startswith("data:"):
            data.append(line[5:].lstrip())
        elif not line and data:
            document = json.loads("\n".join(data))
            data = []
            if isinstance(document, dict) and "type" in document:
                yield document
    raise NoDaemon("the daemon ended the stream of events; it is being stopped")


def _print(event: dict[str, Any], args: Args) -> None:
    if args.on("jsonl"):
        import json

        print(json.dumps(event, ensure_ascii=False), flush=True)
    else:
        print(describe(event), flush=True)
    if not sys.stdout.isatty():
        sys.stdout.flush()


def describe(event: dict[str, Any]) -> str:
    """One line: time, what, which container, before -> after, by whom, why."""
    actor = event.get("actor") or {}
    parts = [
        paint(event["time"][:19].replace("T", " "), "dim"),
        paint(f"{event['type']:18}", _COLOURS.get(event["type"], "")),
    ]
    parts.append(str((event.get("container") or {}).get("name") or "-"))
    if event.get("before") is not None:
        parts.append(f"{_brief(event['before'])} -> {_brief(event.get('after'))}")
    elif event.get("after") is not None:
        parts.append(_brief(event["after"]))
    if event.get("reason"):
        parts.append(str(event["reason"]))
    if actor.get("kind") not in (None, "kernel", "daemon"):
        name = actor.get("name")
        parts.append(f"[{actor['kind']}:{name}]" if name and name != actor["kind"] else f"[{actor['kind']}]")
    return "  ".join(part if "\x1b" in part[:1] else harmless(part) for part in parts)


def _brief(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "-"
    return "-" if value is None else str(value)


VERBS = {
    "events": Verb(
        "events [-f] [--since TIME] [--type TYPE] [--json|--jsonl]",
        "List what happened: starts, exits, OOM kills, freezes, limit changes; by whom and why.",
        _events,
        options=(
            Option("-f", "--follow", help="go on as events happen"),
            Option("--since", value="TIME", read=_since, help="10m, 2h, or 2026-01-31T08:00:00Z"),
            Option(
                "--type",
                value="TYPE",
                many=True,
                help="container.oom, limit.change …, or container for all of them",
            ),
            Option("--container", value="NAME", help="only those of this container"),
            Option(
                "--after",
                value="ID",
                read=lambda text: parse_count(text, 0, 2**62),
                help="only later than this id",
            ),
            Option(
                "-n",
                "--tail",
                value="N",
                read=lambda text: parse_count(text, 1, 10**7),
                help="only the last N",
            ),
            JSON,
            Option("--jsonl", help="one JSON document a line"),
        ),
    ),
}
