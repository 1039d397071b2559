"""`limit`: show who set which limit of a container, or change limits, with a lease if wished."""

from __future__ import annotations

from cgwarden.cli.each import for_each
from cgwarden.cli.limit_extras import REFUSED_OPTIONS
from cgwarden.cli.limit_flags import LIMIT_OPTIONS, read_limits
from cgwarden.cli.names import check_name, container_path
from cgwarden.cli.options import JSON, Args, Option, UsageError, Verb
from cgwarden.cli.terminal import print_json, table
from cgwarden.client import Daemon
from cgwarden.units import format_bytes, parse_lease

REASON = "asked for on the command line"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def _limit(args: Args) -> int:
    return change_limits(args, container_path)


def change_limits(args: Args, path: Callable[..., str]) -> int:
    """Show, change or give back the limits of what `path` leads to: containers, or groups."""
    wanted = read_limits(args)
    if args.on("reset"):
        return _reset(args, wanted, path)
    changing = [flag for flag in ("for", "force", "dry_run", "reason") if args.get(flag) is not None]
    if wanted:
        return _change(args, wanted, path)
    if changing:
        raise UsageError(f"{args.given[changing[0]]} needs a limit to change, such as --memory 512M")
    return _show(args, path)


def _change(args: Args, wanted: Mapping[str, object], path: Callable[..., str]) -> int:
    daemon = Daemon()
    query = {
        "dry_run": args.get("dry_run"),
        "force": args.get("force"),
        "lease_sec": args.get("for"),
        "reason": args.get("reason", REASON),
    }

    def act(name: str) -> Any:
        return daemon.call("PATCH", path(name, "limits"), wanted, query=query)

    say = _say_planned if args.on("dry_run") else _say_changed
    return for_each(args.words, act, as_json=args.on("json"), say=say)


def _reset(args: Args, wanted: Mapping[str, object], path: Callable[..., str]) -> int:
    beside = [flag for flag in ("for", "dry_run") if args.get(flag) is not None]
    if wanted or beside:
        raise UsageError("--reset gives back every change of yours; with it go --force, --reason, --json")
    daemon, query = Daemon(), {"force": args.get("force"), "reason": args.get("reason", REASON)}

    def act(name: str) -> Any:
        return daemon.call("DELETE", path(name, "limits"), query=query)

    return for_each(args.words, act, as_json=args.on("json"), say=_say_changed)


def _say_changed(name: str, answer: Mapping[str, Any]) -> str:
    if not answer["changed"]:
        return f"{name}  unchanged"
    writes = [f"{write['file']} {write['before']} -> {write['read_back']}" for write in answer["writes"]]
    return "\n".join([name, *(f"  {line}" for line in writes)])


def _say_planned(name: str, answer: Mapping[str, Any]) -> str:
    writes = [f"  {write['file']} {write['before']} -> {write['value']}" for write in answer["writes"]]
    return "\n".join([f"{name}  would write" if writes else f"{name}  nothing to write", *writes])


def _show(args: Args, path: Callable[..., str]) -> int:
    daemon = Daemon()
    names = [check_name(name) for name in args.words]
    shown = [{"name": name, **daemon.get(path(name, "limits"))} for name in names]
    if args.on("json"):
        print_json(shown[0] if len(shown) == 1 else shown)
        return 0
    for limits in shown:
        rows = [_row(field, entry) for field, entry in limits["fields"].items() if entry["value"] is not None]
        title = limits["name"] if len(shown) > 1 else "LIMIT"
        print("\n".join(table((title, "VALUE", "OWNER", "BASELINE", "UNTIL"), rows)))
    return 0


def _row(field: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    owner = str(entry.get("owner") or "-")
    return (
        field,
        show_value(field, entry["value"]),
        owner,
        show_value(field, entry.get("baseline")),
        _until(entry),
    )


def _until(entry: Mapping[str, Any]) -> str:
    return str(entry.get("waiting") or entry.get("expires_at") or "-")


def show_value(field: str, value: object) -> str:
    """A limit as people write it: bytes short, unlimited as max, absent as -, tables key by key."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return " ".join(f"{key}:{_of_key(field, item)}" for key, item in value.items()) or "max"
    if field.endswith("_bytes") and isinstance(value, int):
        return format_bytes(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _of_key(field: str, value: object) -> str:
    """Of one disk, page size or resource: a limit, or several by name."""
    if not isinstance(value, dict):
        return show_value(field, value)
    set_ = (f"{name}={amount}" for name, amount in value.items() if amount not in (None, "max"))
    return ",".join(set_) or "max"


CHANGE_OPTIONS = (
    Option(
        "--for",
        value="TIME",
        read=parse_lease,
        help="a lease: back to the baseline after this long (30m)",
    ),
    Option("--reset", help="give back what you changed: the next owner's value holds again"),
    Option("--dry-run", help="print the writes to the kernel and change nothing"),
    Option("--force", help="take a limit from its owner; allow one below present usage"),
    Option("--reason", value="TEXT", help="why, for `cgwarden why` and the event log"),
    JSON,
)
VERBS = {
    "limit": Verb(
        "limit NAME… [LIMITS] [--for TIME] [--dry-run] [--reset]",
        "Without limits: show each as the kernel has it, with owner and lease. With limits: change them.",
        _limit,
        options=(
            *LIMIT_OPTIONS,
            *CHANGE_OPTIONS,
        ),
        hidden=REFUSED_OPTIONS,
        words=(1, None),
        more="Alias: update. Writing what is there already succeeds and changes nothing.\n"
        "Examples:\n  cgwarden limit web --memory 2G --for 30m     more memory, for half an hour\n"
        "  cgwarden limit web --cpus max                lift a limit\n"
        "  cgwarden limit web --memory 96M --dry-run    what would be written",
    ),
}
