"""`logs`: what a container's program wrote, stdout and stderr apart."""

from __future__ import annotations

from cgwarden.cli.names import container_path
from cgwarden.cli.options import Args, Option, Verb
from cgwarden.client import Daemon
from cgwarden.units import parse_count


def _logs(args: Args) -> int:
    from cgwarden.cli.attached import copy_log

    container_path(args.words[0])
    copy_log(
        Daemon(), args.words[0], follow=args.on("follow"), tail=args.get("tail"), times=args.on("timestamps")
    )
    return 0


def _tail(text: str) -> int | None:
    return None if text == "all" else parse_count(text, 0, 10_000_000)


VERBS = {
    "logs": Verb(
        "logs [-f] [--tail N] [-t] NAME",
        "Print what a container wrote. On a terminal control characters are replaced.",
        _logs,
        options=(
            Option("-f", "--follow", help="go on until the container has ended"),
            Option("-n", "--tail", value="N", read=_tail, help="only the last N lines"),
            Option("-t", "--timestamps", help="put the time before each line"),
        ),
        words=(1, 1),
    ),
}
