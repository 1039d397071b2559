"""`exec`: one more program in a running container, under its limits, with its output and exit code here."""

from __future__ import annotations

import sys

from cgwarden.cli.names import container_path
from cgwarden.cli.options import Args, Option, UsageError, Verb
from cgwarden.client import Daemon, NoDaemon


def parse_variable(text: str) -> tuple[str, str]:
    """`KEY=VALUE`, or `KEY` alone for the caller's own value, as docker."""
    import os

    key, equals, value = text.partition("=")
    if not key:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, value if equals else os.environ.get(key, "")


def _exec(args: Args) -> int:
    import binascii
    import json

    if args.on("tty") or args.on("interactive"):
        raise UsageError(
            f"{args.given.get('tty') or args.given['interactive']} is not available yet: exec has no input"
        )
    name, *command = args.words
    body = {"command": command, "env": dict(args.get("env", []))}
    body |= {key: args.get(key) for key in ("workdir", "user") if args.get(key) is not None}
    streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
    response = Daemon().open("POST", container_path(name, "exec"), body, timeout_sec=None)
    for line in response.lines():
        if not line.strip():
            continue
        message = json.loads(line)
        if "exit_code" in message:
            return int(message["exit_code"])
        stream = streams[message["stream"]]
        stream.write(binascii.a2b_base64(message["data_b64"]))
        stream.flush()
    raise NoDaemon("the daemon hung up before the program ended; it may still run")


VERBS = {
    "exec": Verb(
        "exec [-e KEY=VALUE] [-w DIR] [-u USER] NAME [--] COMMAND [ARG…]",
        "Run one more program in a running container, inside its limits. Ends with the program's exit code.",
        _exec,
        options=(
            Option("-e", "--env", value="KEY=VALUE", read=parse_variable, many=True, help="set a variable"),
            Option("-w", "--workdir", value="DIR", help="start in this directory"),
            Option("-u", "--user", value="UID[:GID]", help="run as this user"),
            Option("-i", "--interactive", help="not available yet"),
            Option("-t", "--tty", help="not available yet"),
        ),
        words=(1, None),
        command=True,
        more="Exit codes: 3 no such container, 4 frozen or ended, 126 not executable, 127 not found.",
    ),
}
