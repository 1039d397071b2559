"""`help`, `version` and `dashboard`: what this program is, and where to look at it."""

from __future__ import annotations

import cgwarden
from cgwarden.cli.options import JSON, Args, UsageError, Verb, closest
from cgwarden.cli.terminal import bold, print_json
from cgwarden.client import Daemon

_GROUPS = (
    ("Start and end", "run create start restart exec attach cp stop kill rm wait"),
    ("Look", "ps inspect stats procs logs events why dashboard"),
    ("Steer", "limit freeze thaw group volume"),
    ("Images", "image"),
    ("The service", "serve doctor demo version"),
)
_FIRST_STEPS = """\
First steps:
  cgwarden demo                                             four containers, policies at work, the dashboard
  cgwarden serve                                            the daemon (as root)
  cgwarden run -d --name web --rootfs / --memory 256M -- sleep 100
  cgwarden limit web --memory 512M --for 30m                more, for half an hour
  cgwarden freeze web; cgwarden thaw web
  cgwarden why web                                          who changed what, and for which reason

CGWARDEN_HOST=unix:///run/cgwarden/cgwarden.sock chooses the daemon. `cgwarden VERB --help` explains a verb.
Exit codes: 0 done or nothing to do, 1 failed, 2 usage, 3 no such container, 4 conflict, 5 denied,
6 no daemon, 124 timed out; run and exec: 125 ours, 126 cannot be invoked, 127 not found, 128+n signal."""


def unknown_verb(name: str) -> UsageError:
    """What to say to a verb that is none."""
    from cgwarden.cli import ALIASES, MODULES

    near = closest(name, [*MODULES, *ALIASES])
    return UsageError(
        f"there is no verb {name!r} "
        + (f"(did you mean {near}?)" if near else "(`cgwarden --help` lists them)")
    )


def overview() -> str:
    """The text of `cgwarden --help`."""
    from cgwarden.cli import MODULES

    lines = [
        f"{bold('cgwarden')} starts containers, watches what they use, and keeps them within limits.",
        "",
    ]
    lines += [f"{bold('Usage:')} cgwarden VERB [OPTIONS]"]
    for title, names in _GROUPS:
        lines += ["", bold(f"{title}:")]
        for name in names.split():
            module = __import__(f"cgwarden.cli.{MODULES[name]}", fromlist=["VERBS"])
            lines.append(f"  {name:11}{_first_sentence(module.VERBS[name].summary)}")
    return "\n".join([*lines, "", _FIRST_STEPS])


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def _help(args: Args) -> int:
    from cgwarden.cli import ALIASES, MODULES

    if not args.words:
        print(overview())
        return 0
    name = ALIASES.get(args.words[0], args.words[0])
    if name not in MODULES:
        raise unknown_verb(name)
    module = __import__(f"cgwarden.cli.{MODULES[name]}", fromlist=["VERBS"])
    print(module.VERBS[name].help(bold))
    return 0


def _version(args: Args) -> int:
    if args.on("json"):
        print_json({"version": cgwarden.__version__})
    else:
        print(f"cgwarden {cgwarden.__version__}")
    return 0


def _dashboard(args: Args) -> int:
    answer = Daemon().call("POST", "/api/v1/login-codes", {})
    if args.on("json"):
        print_json(answer)
    elif answer.get("url"):
        print(answer["url"])
    else:
        raise UsageError(
            "this daemon listens on its unix socket alone; start it with --listen 127.0.0.1:9380"
        )
    return 0


VERBS = {
    "help": Verb("help [VERB]", "Explain the program, or one verb.", _help, words=(0, 1)),
    "version": Verb("version", "Print the version.", _version, options=(JSON,)),
    "dashboard": Verb(
        "dashboard",
        "Print a link that opens the dashboard once, within a minute.",
        _dashboard,
        options=(JSON,),
        more="The link holds a one-time code; the browser gets a cookie for it.",
    ),
}
