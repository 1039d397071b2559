"""`volume`: directories with a name that outlive the containers which mount them (`run -v NAME:DIR`)."""

from __future__ import annotations

from cgwarden.cli.each import for_each
from cgwarden.cli.names import check_name
from cgwarden.cli.options import JSON, Args, Option, UsageError, Verb, closest
from cgwarden.cli.terminal import print_json, table
from cgwarden.client import Daemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_API = "/api/v1/volumes"


def _volume(args: Args) -> int:
    from cgwarden.cli import invoke

    name = {"list": "ls", "remove": "rm"}.get(args.words[0], args.words[0])
    if name not in SUBVERBS:
        near = closest(name, list(SUBVERBS))
        hint = f"did you mean {near}?" if near else f"there are {', '.join(SUBVERBS)}"
        raise UsageError(f"there is no verb `volume {name}` ({hint})")
    return invoke.invoke(SUBVERBS[name], args.words[1:])


def _create(args: Args) -> int:
    made = Daemon().call("POST", _API, {"name": check_name(args.words[0])})
    if args.on("json"):
        print_json(made)
    else:
        print(made["name"])
    return 0


def _ls(args: Args) -> int:
    volumes = Daemon().get(_API)["volumes"]
    if args.on("json"):
        print_json(volumes)
        return 0
    rows = [(one["name"], ", ".join(one["containers"]) or "-", one["path"]) for one in volumes]
    print("\n".join(table(("VOLUME", "CONTAINERS", "PATH"), rows)))
    return 0


def _inspect(args: Args) -> int:
    print_json(Daemon().get(f"{_API}/{check_name(args.words[0])}"))
    return 0


def _rm(args: Args) -> int:
    daemon = Daemon()

    def act(name: str) -> Any:
        try:
            daemon.call("DELETE", f"{_API}/{check_name(name)}")
        except Problem as problem:
            if problem.slug != "unknown-volume" or not args.on("if_exists"):
                raise
            return {"name": name, "changed": False}
        return {"name": name, "changed": True}

    return for_each(args.words, act, as_json=args.on("json"))


SUBVERBS = {
    "create": Verb(
        "volume create NAME",
        "Make an empty volume; `run -v NAME:DIR` makes one too, with what the root has at DIR.",
        _create,
        options=(JSON,),
        words=(1, 1),
    ),
    "ls": Verb("volume ls", "List the volumes and who mounts them.", _ls, options=(JSON,)),
    "inspect": Verb("volume inspect NAME", "Print all about one as JSON.", _inspect, words=(1, 1)),
    "rm": Verb(
        "volume rm [--if-exists] NAME…",
        "Remove volumes, with all that is in them, that no container mounts.",
        _rm,
        options=(Option("--if-exists", help="succeed where there is no such volume"), JSON),
        words=(1, None),
    ),
}
VERBS = {
    "volume": Verb(
        "volume VERB …",
        "Named volumes: create, ls, inspect, rm.",
        _volume,
        words=(0, 0),
        command=True,
        more="\n".join(
            f"  {verb.usage:30}{verb.summary.partition('. ')[0].rstrip('.')}" for verb in SUBVERBS.values()
        )
        + "\n\n`cgwarden volume VERB --help` explains one.",
    ),
}
