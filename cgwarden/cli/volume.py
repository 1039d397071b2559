"""`volume`: directories with a name that outlive the containers which mount them (`run -v NAME:DIR`)."""

from __future__ import annotations

from cgwarden.cli.names import check_name
from cgwarden.cli.options import JSON, Args, Option, Verb
from cgwarden.cli.subverbs import delete_each, noun_verb
from cgwarden.cli.terminal import print_json, table
from cgwarden.client import Daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

_API = "/api/v1/volumes"


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
    return delete_each(args, lambda name: f"{_API}/{check_name(name)}", "unknown-volume")


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
VERBS = noun_verb(
    "volume", "Named volumes: create, ls, inspect, rm.", SUBVERBS, {"list": "ls", "remove": "rm"}
)
