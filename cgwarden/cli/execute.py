"""`exec`: one more program in a running container, under its limits; input, output and exit code are here."""

from __future__ import annotations

from cgwarden.cli import failures
from cgwarden.cli.detaching import DETACH_KEYS, KEYS
from cgwarden.cli.names import container_path
from cgwarden.cli.options import Args, Option, Verb
from cgwarden.client import Daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Variable = tuple[str, str | None]


def parse_variable(text: str) -> Variable:
    """`KEY=VALUE`, or `KEY` alone for the caller's own value, if there is one, as docker."""
    import os

    key, equals, value = text.partition("=")
    if not key:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, value if equals else os.environ.get(key)


ENV = Option(
    "-e",
    "--env",
    value="KEY=VALUE",
    read=parse_variable,
    many=True,
    help="set a variable; KEY alone takes yours, if you have it",
)


def environment(variables: Iterable[Variable]) -> dict[str, str]:
    """The last word counts; one that the caller does not have is left out."""
    return {key: value for key, value in dict(variables).items() if value is not None}


def _exec(args: Args) -> int:
    from cgwarden.cli import session

    name, *command = args.words
    stdin, tty = args.on("interactive"), args.on("tty")
    session.check_input(stdin=stdin, tty=tty)
    body: dict[str, object] = {"command": command, "env": environment(args.get("env", []))}
    body |= {name: True for name, on in (("stdin", stdin), ("tty", tty)) if on}
    body |= {key: args.get(key) for key in ("workdir", "user") if args.get(key) is not None}
    body |= session.terminal_size() if tty else {}
    daemon = Daemon()
    response = daemon.open("POST", container_path(name, "exec"), body, timeout_sec=None)
    source = session.Input(daemon, stdin=stdin, tty=tty, keys=args.get("detach_keys", KEYS))
    one = session.Session(response, source)
    gone = "the daemon hung up before the program ended; it may still run"
    code = session.copy_live(one, gone, f"the program goes on in {name!r}")
    return failures.FAILED if code is None else code


VERBS = {
    "exec": Verb(
        "exec [-i] [-t] [-e KEY=VALUE] [-w DIR] [-u USER] NAME [--] COMMAND [ARG…]",
        "Run one more program in a running container, inside its limits. Ends with the program's exit code.",
        _exec,
        options=(
            Option("-i", "--interactive", help="our input goes to the program"),
            Option("-t", "--tty", help="give the program a terminal"),
            DETACH_KEYS,
            ENV,
            Option("-w", "--workdir", value="DIR", help="start in this directory"),
            Option("-u", "--user", value="UID[:GID]", help="run as this user"),
        ),
        words=(1, None),
        command=True,
        more="Exit codes: 3 no such container, 4 frozen or ended, 126 not executable, 127 not found.",
    ),
}
