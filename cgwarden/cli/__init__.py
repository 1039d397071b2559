"""The command line. This entry point imports nothing: the first word selects one module, for speed."""

from __future__ import annotations

import sys

MODULES = {
    "serve": "serve",
    "run": "run",
    "create": "create",
    "start": "create",
    "restart": "create",
    "ps": "ps",
    "inspect": "inspect",
    "diff": "diff",
    "commit": "diff",
    "procs": "inspect",
    "stats": "stats",
    "logs": "logs",
    "exec": "execute",
    "attach": "attach",
    "cp": "cp",
    "stop": "lifecycle",
    "kill": "lifecycle",
    "rm": "lifecycle",
    "wait": "lifecycle",
    "freeze": "freeze",
    "thaw": "freeze",
    "limit": "limit",
    "group": "group",
    "volume": "volume",
    "events": "events",
    "why": "why",
    "image": "image",
    "doctor": "doctor",
    "demo": "demo",
    "dashboard": "about",
    "version": "about",
    "help": "about",
}
ALIASES = {
    "pause": "freeze",
    "unpause": "thaw",
    "update": "limit",
    "ls": "ps",
    "--help": "help",
    "-h": "help",
    "--version": "version",
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit code; every failure is one line on stderr."""
    words = sys.argv[1:] if argv is None else argv
    name = ALIASES.get(words[0], words[0]) if words else "help"
    # __import__ and not importlib, which would itself be the largest import of a hot verb.
    module = __import__(f"cgwarden.cli.{MODULES.get(name, 'about')}", fromlist=["VERBS"])
    from cgwarden.cli import invoke

    if name not in MODULES:
        return invoke.fail(module.unknown_verb(name))
    return invoke.invoke(module.VERBS[name], words[1:])
