"""`inspect` and `procs`: everything known about a container, and the processes in it."""

from __future__ import annotations

from cgwarden.cli.names import check_name, container_path
from cgwarden.cli.options import JSON, Args, Option, Verb
from cgwarden.cli.terminal import table
from cgwarden.client import Daemon
from cgwarden.units import format_bytes


def _inspect(args: Args) -> int:
    import json

    daemon = Daemon()
    names = [check_name(name) for name in args.words]
    found = [daemon.get(container_path(name)) for name in names]
    print(json.dumps(found[0] if len(found) == 1 else found, indent=2, ensure_ascii=False))
    return 0


def _procs(args: Args) -> int:
    from cgwarden.cli.terminal import print_json

    answer = Daemon().get(container_path(args.words[0], "processes"))
    if args.on("json"):
        print_json(answer["processes"])
        return 0
    rows = [
        (
            str(one["pid"]),
            str(one["ppid"]),
            str(one["user"]),
            one["state"],
            format_bytes(one["rss_bytes"]),
            one["command"],
        )
        for one in answer["processes"]
    ]
    print("\n".join(table(("PID", "PPID", "USER", "STATE", "RSS", "COMMAND"), rows, right=(0, 1, 4))))
    return 0


VERBS = {
    "inspect": Verb(
        "inspect NAME…",
        "Print all about a container as JSON: state, limits, owners, cgroups (several names: a list).",
        _inspect,
        options=(Option("--json", help="accepted: the answer is always JSON"),),
        words=(1, None),
    ),
    "procs": Verb("procs NAME", "List the processes in a container.", _procs, options=(JSON,), words=(1, 1)),
}
