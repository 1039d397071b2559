"""Verbs of a noun (`image ls`, `group rm`): found, explained and refused alike for every noun."""

from __future__ import annotations

from cgwarden.cli.each import for_each
from cgwarden.cli.options import Args, UsageError, Verb, closest
from cgwarden.client import Daemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def noun_verb(
    noun: str, summary: str, subverbs: Mapping[str, Verb], aliases: Mapping[str, str], more: str = ""
) -> dict[str, Verb]:
    """The verb that leads to `subverbs`, by their names or aliases; its help lists them."""

    def act(args: Args) -> int:
        from cgwarden.cli import invoke

        name = aliases.get(args.words[0], args.words[0])
        if name not in subverbs:
            near = closest(name, list(subverbs))
            hint = f"did you mean {near}?" if near else f"there are {', '.join(subverbs)}"
            raise UsageError(f"there is no verb `{noun} {name}` ({hint})")
        return invoke.invoke(subverbs[name], args.words[1:])

    listed = [f"  {verb.usage:30}{verb.summary.partition('. ')[0].rstrip('.')}" for verb in subverbs.values()]
    listed += ["", f"`cgwarden {noun} VERB --help` explains one.{more}"]
    usage = f"{noun} VERB …"
    return {noun: Verb(usage, summary, act, words=(0, 0), command=True, more="\n".join(listed))}


def delete_each(args: Args, path_of: Callable[[str], str], unknown: str) -> int:
    """DELETE what the words name; with --if-exists a name that nobody has (`unknown`) is no failure."""
    daemon = Daemon()

    def act(name: str) -> Any:
        try:
            daemon.call("DELETE", path_of(name))
        except Problem as problem:
            if problem.slug != unknown or not args.on("if_exists"):
                raise
            return {"name": name, "changed": False}
        return {"name": name, "changed": True}

    return for_each(args.words, act, as_json=args.on("json"))
