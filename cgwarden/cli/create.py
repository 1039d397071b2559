"""`create`, `start` and `restart`: a container on record, and the beginnings of its runs."""

from __future__ import annotations

from cgwarden.cli.each import for_each
from cgwarden.cli.names import container_path
from cgwarden.cli.options import JSON, Args, Option, Verb
from cgwarden.cli.run import START_TIMEOUT_SEC, print_plan, refused, tell
from cgwarden.cli.spec_flags import read_spec
from cgwarden.cli.spec_options import HIDDEN_OPTIONS, SPEC_OPTIONS
from cgwarden.client import Daemon, Problem
from cgwarden.units import parse_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STOP_SEC = 60.0


def _create(args: Args) -> int:
    spec, daemon = read_spec(args), Daemon()
    try:
        if args.on("dry_run"):
            return print_plan(daemon, spec, args)
        query = {"start": False}
        made = daemon.call("POST", "/api/v1/containers", spec, query=query, timeout_sec=START_TIMEOUT_SEC)
    except Problem as problem:
        return refused(problem)
    return tell(made, args)


def _start(args: Args) -> int:
    daemon = Daemon()

    def act(name: str) -> Any:
        path = container_path(name, "start")
        return {"name": name, **daemon.call("POST", path, {}, timeout_sec=START_TIMEOUT_SEC)}

    return for_each(args.words, act, as_json=args.on("json"))


def _restart(args: Args) -> int:
    daemon, timeout = Daemon(), args.get("time")

    def act(name: str) -> Any:
        body = {} if timeout is None else {"timeout_sec": timeout}
        wait_sec = (_STOP_SEC if timeout is None else timeout) + START_TIMEOUT_SEC
        path = container_path(name, "restart")
        return {"name": name, **daemon.call("POST", path, body, timeout_sec=wait_sec)}

    return for_each(args.words, act, as_json=args.on("json"))


VERBS = {
    "create": Verb(
        "create [--name NAME] (--rootfs DIR | --image REF) [OPTIONS] -- [COMMAND [ARG…]]",
        "Put a container on record, with its writable layer, to be started later.",
        _create,
        options=(
            Option("--dry-run", help="print what create and start would do, step by step, and do nothing"),
            JSON,
            *SPEC_OPTIONS,
        ),
        hidden=HIDDEN_OPTIONS,
        words=(0, None),
        command=True,
        own_command=True,
        more="It has no processes, no cgroups and no limits in force until `cgwarden start NAME`.",
    ),
    "start": Verb(
        "start NAME…",
        "Start what was created, or what has ended: its files and its log are kept. A running one succeeds.",
        _start,
        options=(JSON,),
        words=(1, None),
        more="Its restart policy counts anew from here on.",
    ),
    "restart": Verb(
        "restart [-t TIME] NAME…",
        "Stop a container as `stop` does, where it runs, and start it.",
        _restart,
        options=(
            Option(
                "-t", "--time", value="TIME", read=parse_timeout, help="how long to wait before killing (10s)"
            ),
            JSON,
        ),
        words=(1, None),
    ),
}
