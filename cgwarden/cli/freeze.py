"""`freeze` and `thaw`: stop a container's processes where they are, and let them go on."""

from __future__ import annotations

from cgwarden.cli.each import for_each
from cgwarden.cli.names import container_path
from cgwarden.cli.options import JSON, Args, Option, UsageError, Verb
from cgwarden.client import Daemon
from cgwarden.units import parse_lease, parse_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REASON = "asked for on the command line"
_SLACK_SEC = 20.0
"""How much longer than the kernel's deadline we wait for the daemon's own answer."""


def _freeze(args: Args) -> int:
    timeout_sec = args.get("timeout", 10.0)
    wish = {"reason": args.get("reason", REASON), "timeout_sec": timeout_sec}
    if args.get("for") is not None:
        wish["lease_sec"] = args.get("for")
    return _change(args, "freeze", wish, timeout_sec)


def _thaw(args: Args) -> int:
    return _change(args, "thaw", {"force": args.on("force")}, 10.0)


def _change(args: Args, verb: str, wish: dict[str, object], timeout_sec: float) -> int:
    daemon = Daemon()

    def act(name: str) -> Any:
        return daemon.call("POST", container_path(name, verb), wish, timeout_sec=timeout_sec + _SLACK_SEC)

    return for_each(_names(args, daemon), act, as_json=args.on("json"), say=_say)


def _say(name: str, answer: dict[str, Any]) -> str:
    holders = answer.get("holders") or []
    if answer.get("state") == "running" or not holders or holders == ["operator"]:
        return name
    return f"{name}  held by {', '.join(map(str, holders))}"


def _names(args: Args, daemon: Daemon) -> list[str]:
    if not args.on("all"):
        if not args.words:
            raise UsageError("name a container, or say --all")
        return args.words
    if args.words:
        raise UsageError("give either names or --all, not both")
    listed = daemon.get("/api/v1/containers")["containers"]
    return [container["name"] for container in listed if container["state"] in ("running", "frozen")]


_TIMEOUT = Option(
    "--timeout", value="TIME", read=parse_timeout, help="give up after this long and undo it (10s)"
)
_REASON = Option("--reason", value="TEXT", help="why, for `cgwarden why` and the event log")
_ALL = Option("-a", "--all", help="every running container")

VERBS = {
    "freeze": Verb(
        "freeze [--for TIME] [--reason TEXT] NAME…",
        "Stop every process of a container where it is; memory stays. Freezing a frozen one succeeds.",
        _freeze,
        options=(
            Option("--for", value="TIME", read=parse_lease, help="thaw by itself after this long (30s, 5m)"),
            _REASON,
            _TIMEOUT,
            _ALL,
            JSON,
        ),
        words=(0, None),
        more='Alias: pause. With --json: {"name", "changed", "state", "holders", "decision"}; not changed\n'
        "where it was frozen already. What does not freeze in time is thawed again: exit code 124.",
    ),
    "thaw": Verb(
        "thaw [--force] NAME…",
        "Let a frozen container go on. Drops your own hold; policies may still hold it.",
        _thaw,
        options=(Option("-f", "--force", help="drop everybody's hold"), _ALL, JSON),
        words=(0, None),
        more="Alias: unpause. Thawing a running container succeeds and changes nothing.",
    ),
}
