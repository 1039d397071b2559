"""`diff` and `commit`: what a container changed in its root, and an image of it."""

from __future__ import annotations

from cgwarden.cli.names import container_path
from cgwarden.cli.options import JSON, Args, Verb
from cgwarden.cli.terminal import print_json
from cgwarden.client import Daemon

_LETTERS = {"added": "A", "changed": "C", "deleted": "D"}


def _diff(args: Args) -> int:
    answer = Daemon().call("GET", container_path(args.words[0], "diff"), timeout_sec=None)
    if args.on("json"):
        print_json(answer["changes"])
        return 0
    for change in answer["changes"]:
        # A name may hold anything, and this is somebody's terminal.
        path = "".join(char if char.isprintable() else "?" for char in change["path"])
        print(_LETTERS[change["kind"]], path)
    return 0


def _commit(args: Args) -> int:
    name, reference = args.words
    wish = {"reference": reference}
    image = Daemon().call("POST", container_path(name, "commit"), wish, timeout_sec=None)
    if args.on("json"):
        print_json(image)
    else:
        print(image["id"])
    return 0


VERBS = {
    "diff": Verb(
        "diff [--json] NAME",
        "List what a container has added (A), changed (C) and deleted (D) in its root.",
        _diff,
        options=(JSON,),
        words=(1, 1),
        more="A directory counts as changed when something in it was. A running container is frozen while\n"
        'its changes are read. With --json: [{"kind": "added|changed|deleted", "path", "size_bytes"}].',
    ),
    "commit": Verb(
        "commit [--json] NAME IMAGE",
        "Make an image of a container: its own image's layers, and its changes as one more.",
        _commit,
        options=(JSON,),
        words=(2, 2),
        more="Command, environment, user and the like are the container's. One that was started with\n"
        "--rootfs has no image below: its whole tree becomes the only layer. Prints the image's id.",
    ),
}
