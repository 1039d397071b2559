"""`image`: what containers are made from – import, pull, list, inspect, name, verify, remove, collect."""

from __future__ import annotations

import os

from cgwarden.cli.options import JSON, Args, Option, UsageError, Verb
from cgwarden.cli.subverbs import noun_verb
from cgwarden.cli.terminal import print_json, table
from cgwarden.client import Daemon
from cgwarden.units import format_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = ("auto", "oci", "docker", "root")
_API = "/api/v1/images"
_ID_LENGTH = 12


def _ls(args: Args) -> int:
    images = Daemon().get(_API)["images"]
    if args.on("json"):
        print_json(images)
        return 0
    rows = [
        (name, _short(image["id"]), format_bytes(image["size_bytes"]), image["created_at"] or "-")
        for image in images
        for name in (map(familiar, image["references"]) if image["references"] else ("<none>",))
    ]
    print("\n".join(table(("IMAGE", "ID", "SIZE", "CREATED"), rows, right=(2,))))
    return 0


def _import(args: Args) -> int:
    path = args.words[0]
    if path == "-":
        return _import_input(args)
    return _import_path(args, os.path.abspath(path))


def _import_input(args: Args) -> int:
    """The daemon reads files, not our pipe: a copy in the temporary directory, gone afterwards."""
    import shutil
    import sys
    import tempfile

    with tempfile.NamedTemporaryFile(prefix="cgwarden-import-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        return _import_path(args, copy.name)


def _import_path(args: Args, path: str) -> int:
    wish = {"path": path, "kind": args.get("kind", "auto")}
    if len(args.words) > 1:
        wish["reference"] = args.words[1]
    answer = Daemon().call("POST", f"{_API}/import", wish, timeout_sec=None)
    return _tell(answer["images"], args)


def _pull(args: Args) -> int:
    wish = {"insecure": args.on("insecure")}
    if args.get("authfile"):
        wish["auth_file"] = os.path.abspath(args.get("authfile"))
    daemon = Daemon()
    pulled = [
        daemon.call("POST", f"{_API}/pull", wish | {"reference": word}, timeout_sec=None)
        for word in args.words
    ]
    return _tell(pulled, args)


def _tell(images: list[dict[str, Any]], args: Args) -> int:
    if args.on("json"):
        print_json(images[0] if len(images) == 1 else images)
        return 0
    for image in images:
        names = ", ".join(map(familiar, image["references"])) or "<none>"
        print(f"{names}  {_short(image['id'])}")
    return 0


def _inspect(args: Args) -> int:
    import json

    daemon = Daemon()
    found = [daemon.get(image_path(word)) for word in args.words]
    print(json.dumps(found[0] if len(found) == 1 else found, indent=2, ensure_ascii=False))
    return 0


def _tag(args: Args) -> int:
    wish = {"reference": args.words[0], "name": args.words[1]}
    return _tell([Daemon().call("POST", f"{_API}/tag", wish)], args)


def _verify(args: Args) -> int:
    daemon = Daemon()
    verified = [
        daemon.call("POST", f"{_API}/verify", {"reference": word}, timeout_sec=None) for word in args.words
    ]
    return _tell(verified, args)


def _rm(args: Args) -> int:
    from cgwarden.cli.each import for_each

    daemon = Daemon()

    def act(name: str) -> Any:
        return daemon.call("DELETE", image_path(name), query={"force": args.on("force")})

    return for_each(args.words, act, as_json=args.on("json"), say=_say_removed, check=image_path)


def _gc(args: Args) -> int:
    answer = Daemon().call("POST", f"{_API}/collect", {}, timeout_sec=None)
    if args.on("json"):
        print_json(answer)
    elif told := _removed(answer):
        print(told)
    return 0


def _say_removed(_name: str, answer: dict[str, Any]) -> str:
    return _removed(answer)


def _removed(answer: dict[str, Any]) -> str:
    lines = [f"untagged {familiar(name)}" for name in answer["references"]]
    lines += [f"removed image {_short(image)}" for image in answer["images"]]
    lines += [f"removed layer {_short(layer)}" for layer in answer["layers"]]
    return "\n".join(lines)


def image_path(reference: str) -> str:
    """The URL path of an image; what could mean something else in a URL is refused here."""
    allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@[]"
    if not reference or not set(allowed).issuperset(reference) or ".." in reference.split("/"):
        raise UsageError(f"{reference[:80]!r} is not a reference to an image: name[:tag][@digest], or an id")
    return f"{_API}/{reference}"


def familiar(name: str) -> str:
    """A whole reference as people write it."""
    return name.removeprefix("docker.io/").removeprefix("library/")


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:_ID_LENGTH]


def _read_kind(text: str) -> str:
    if text not in KINDS:
        raise ValueError(f"{text!r} is none of {', '.join(KINDS)}")
    return text


ALIASES = {"list": "ls", "remove": "rm", "prune": "gc", "load": "import"}
SUBVERBS = {
    "import": Verb(
        "image import PATH|- [NAME]",
        "Import an OCI layout, what docker save wrote, or a root directory's tar archive.",
        _import,
        options=(
            Option("--kind", value="KIND", read=_read_kind, help="auto, oci, docker or root (auto)"),
            JSON,
        ),
        words=(1, 2),
        more="PATH is read by the daemon: a directory with an OCI layout, or a tar archive (gzip, zstd,\n"
        "bzip2, xz or not compressed). - is this command's input. NAME renames the one image in it.",
    ),
    "pull": Verb(
        "image pull [--insecure] NAME…",
        "Pull images from their registry, by skopeo. Layers that are here are not fetched again.",
        _pull,
        options=(
            Option("--insecure", help="plain HTTP, or a certificate that nobody vouches for"),
            Option(
                "--authfile", value="FILE", help="credentials, as docker login and skopeo login keep them"
            ),
            JSON,
        ),
        words=(1, None),
    ),
    "ls": Verb("image ls", "List the images of this host.", _ls, options=(JSON,)),
    "inspect": Verb(
        "image inspect NAME…",
        "Print all about an image as JSON (several names: a list).",
        _inspect,
        options=(Option("--json", help="accepted: the answer is always JSON"),),
        words=(1, None),
    ),
    "tag": Verb("image tag NAME NEW", "Give an image one more name.", _tag, options=(JSON,), words=(2, 2)),
    "verify": Verb(
        "image verify NAME…",
        "Hold every file of an image's layers against what was unpacked.",
        _verify,
        options=(JSON,),
        words=(1, None),
    ),
    "rm": Verb(
        "image rm [-f] NAME…",
        "Take a name away; with the last one the image goes, and layers that nothing else needs.",
        _rm,
        options=(
            Option("-f", "--force", help="take the name away although a container uses the image"),
            JSON,
        ),
        words=(1, None),
    ),
    "gc": Verb(
        "image gc",
        "Remove images without a name, and layers that neither an image nor a container needs.",
        _gc,
        options=(JSON,),
    ),
}
VERBS = noun_verb(
    "image",
    "Images: import, pull, ls, inspect, tag, verify, rm, gc.",
    SUBVERBS,
    ALIASES,
    " NAME is name[:tag][@digest], an id, or the\nbeginning of one.",
)
