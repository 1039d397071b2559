"""`run`: start a container; unless told to detach, stand in for its program: output, signals, exit code."""

from __future__ import annotations

from cgwarden.cli import failures
from cgwarden.cli.detaching import DETACH_KEYS, KEYS
from cgwarden.cli.invoke import fail
from cgwarden.cli.options import JSON, Args, Option, Verb
from cgwarden.cli.spec_flags import read_spec
from cgwarden.cli.spec_options import HIDDEN_OPTIONS, SPEC_OPTIONS
from cgwarden.cli.terminal import print_json
from cgwarden.client import Daemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

START_TIMEOUT_SEC = 120.0


def _run(args: Args) -> int:
    spec = read_spec(args)
    daemon = Daemon()
    try:
        if args.on("dry_run"):
            return print_plan(daemon, spec, args)
        if not args.on("detach"):
            from cgwarden.cli.attached import run_attached

            keys = args.get("detach_keys", KEYS)
            return run_attached(daemon, spec, keys=keys, as_json=args.on("json"))
        started = daemon.call("POST", "/api/v1/containers", spec, timeout_sec=START_TIMEOUT_SEC)
    except Problem as problem:
        return refused(problem)
    return tell(started, args)


def tell(container: dict[str, Any], args: Args) -> int:
    """What has been made: its name, or with --json all of it."""
    if args.on("json"):
        print_json(container)
    else:
        print(container["name"])
    return failures.DONE


def refused(problem: Problem) -> int:
    """The daemon's no: 125 where docker's run would say so too, else the code every verb has for it."""
    code = fail(problem)
    ours = code == failures.FAILED or problem.slug in ("missing-root", "launch-failed", "unknown-image")
    return failures.REFUSED_RUN if ours else code


def print_plan(daemon: Daemon, spec: dict[str, object], args: Args) -> int:
    """What the daemon would do, step by step."""
    answer = daemon.call("POST", "/api/v1/containers", spec, query={"dry_run": True})
    if args.on("json"):
        print_json(answer)
    else:
        print("\n".join(answer["plan"]))
    return failures.DONE


_OPTIONS = (
    Option("-d", "--detach", help="return as soon as the program runs, and print the container's name"),
    DETACH_KEYS,
    Option("--dry-run", help="print what would be done, step by step, and do nothing"),
    JSON,
    *SPEC_OPTIONS,
)

VERBS = {
    "run": Verb(
        "run [-d] [--name NAME] (--rootfs DIR | --image REF) [OPTIONS] -- [COMMAND [ARG…]]",
        "Start a container. Its limits are in force before the program's first instruction.",
        _run,
        options=_OPTIONS,
        hidden=HIDDEN_OPTIONS,
        words=(0, None),
        command=True,
        own_command=True,
        more="Without -d its output is shown here, SIGINT and SIGTERM go to it, and its exit code is ours.\n"
        "Exit codes: 2 usage, 4 name taken, 125 refused or failed, 126 cannot be invoked, 127 not found,\n"
        "128+n ended by signal n.\n"
        "Example:\n  cgwarden run -d --name web --rootfs / --memory 256M --cpus 0.5 -- sleep 100",
    ),
}
