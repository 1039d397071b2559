"""`group`: a cgroup between the parent and containers, with limits that they share."""

from __future__ import annotations

from cgwarden.cli.limit import CHANGE_OPTIONS, change_limits, show_value
from cgwarden.cli.limit_extras import REFUSED_OPTIONS
from cgwarden.cli.limit_flags import LIMIT_OPTIONS, read_limits
from cgwarden.cli.names import check_name
from cgwarden.cli.options import JSON, Args, Option, Verb
from cgwarden.cli.subverbs import delete_each, noun_verb
from cgwarden.cli.terminal import print_json, table
from cgwarden.client import Daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_API = "/api/v1/groups"


def group_path(name: str, *parts: str) -> str:
    """The URL path of a group or of something below it."""
    return "/".join((_API, check_name(name), *parts))


def _create(args: Args) -> int:
    name = check_name(args.words[0])
    made = Daemon().call("POST", _API, {"name": name, "limits": read_limits(args)})
    if args.on("json"):
        print_json(made)
    else:
        print(name)
    return 0


def _ls(args: Args) -> int:
    groups = Daemon().get(_API)["groups"]
    if args.on("json"):
        print_json(groups)
        return 0
    print("\n".join(table(("GROUP", "CPUS", "MEMORY", "PIDS", "CONTAINERS"), [_row(one) for one in groups])))
    return 0


def _row(group: dict[str, Any]) -> tuple[str, ...]:
    shown = (show_value(field, group["limits"].get(field)) for field in _SHOWN)
    return (group["name"], *shown, ", ".join(group["containers"]) or "-")


_SHOWN = ("cpu_max_cores", "memory_max_bytes", "pids_max")


def _rm(args: Args) -> int:
    return delete_each(args, group_path, "unknown-group")


def _limit(args: Args) -> int:
    return change_limits(args, group_path)


SUBVERBS = {
    "create": Verb(
        "group create NAME [LIMITS]",
        "Make a group; what is started in it (`run --group NAME`) shares its limits.",
        _create,
        options=(*LIMIT_OPTIONS, JSON),
        hidden=REFUSED_OPTIONS,
        words=(1, 1),
        more="A group is kept until `group rm`, over restarts of the daemon and of the host.\n"
        "Example:\n  cgwarden group create batch --cpus 2 --memory 1G",
    ),
    "ls": Verb("group ls", "List the groups, their limits and what is in them.", _ls, options=(JSON,)),
    "limit": Verb(
        "group limit NAME… [LIMITS]",
        "Show the limits of groups, or change them. As `limit` does for containers.",
        _limit,
        options=(*LIMIT_OPTIONS, *CHANGE_OPTIONS),
        hidden=REFUSED_OPTIONS,
        words=(1, None),
    ),
    "rm": Verb(
        "group rm [--if-exists] NAME…",
        "Remove groups that no container is in.",
        _rm,
        options=(Option("--if-exists", help="succeed where there is no such group"), JSON),
        words=(1, None),
    ),
}
VERBS = noun_verb(
    "group",
    "Groups with shared limits: create, ls, limit, rm.",
    SUBVERBS,
    {"list": "ls", "remove": "rm", "update": "limit"},
)
