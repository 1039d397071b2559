"""`stop`, `kill`, `rm` and `wait`: the ways a container ends, and how a script learns that it did."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]

from cgwarden.cli.each import for_each
from cgwarden.cli.names import container_path
from cgwarden.cli.options import JSON, Args, Option, Verb
from cgwarden.client import Daemon, Problem
from cgwarden.units import BadQuantity, parse_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SLACK_SEC = 30.0


def parse_signal(text: str) -> str:
    """`KILL`, `SIGKILL` or `9` as `KILL`; the _signal module has the names without the enum's price."""
    numbers = {
        getattr(_signal, name): name[3:] for name in dir(_signal) if name.startswith("SIG") and name[3] != "_"
    }
    wish = text.upper().removeprefix("SIG")
    wish = numbers.get(int(wish), wish) if wish.isascii() and wish.isdigit() else wish
    if wish not in numbers.values():
        raise BadQuantity(f"{text!r} is not a signal; write KILL, TERM, HUP, INT, USR1 or a number such as 9")
    return wish


def _stop(args: Args) -> int:
    daemon, timeout = Daemon(), args.get("time")

    def act(name: str) -> Any:
        body = {} if timeout is None else {"timeout_sec": timeout}
        wait_sec = (60.0 if timeout is None else timeout) + _SLACK_SEC
        return {"name": name, **daemon.call("POST", container_path(name, "stop"), body, timeout_sec=wait_sec)}

    return for_each(args.words, act, as_json=args.on("json"))


def _kill(args: Args) -> int:
    daemon, body = Daemon(), {"signal": args.get("signal", "KILL")}

    def act(name: str) -> Any:
        return {"name": name, **daemon.call("POST", container_path(name, "kill"), body)}

    return for_each(args.words, act, as_json=args.on("json"))


def _rm(args: Args) -> int:
    daemon = Daemon()

    def act(name: str) -> Any:
        try:
            daemon.call("DELETE", container_path(name), query={"force": args.get("force")})
        except Problem as problem:
            if problem.slug != "unknown-container" or not args.on("if_exists"):
                raise
            return {"name": name, "changed": False}
        return {"name": name, "changed": True}

    return for_each(args.words, act, as_json=args.on("json"))


def _wait(args: Args) -> int:
    daemon, timeout = Daemon(), args.get("timeout")

    def act(name: str) -> Any:
        return {"name": name, "exit_code": wait_for_exit(daemon, name, timeout)}

    return for_each(args.words, act, as_json=args.on("json"), say=_say_code)


def _say_code(name: str, answer: dict[str, Any]) -> str:
    return "unknown" if answer["exit_code"] is None else str(answer["exit_code"])


def wait_for_exit(daemon: Daemon, name: str, timeout_sec: float | None) -> int | None:
    """The exit code, waiting as long as it takes, or Problem `timeout` after `timeout_sec`."""
    body = {} if timeout_sec is None else {"timeout_sec": timeout_sec}
    while True:
        try:
            answer = daemon.call("POST", container_path(name, "wait"), body, timeout_sec=None)
        except Problem as problem:
            # The daemon bounds a long poll of its own accord; only a time limit of ours ends the waiting.
            if problem.slug != "timeout" or timeout_sec is not None:
                raise
            answer = daemon.get(container_path(name))
            if answer["state"] != "exited":
                continue
        # None where nobody saw the end: the supervisor was lost.
        code: int | None = answer["exit_code"]
        return code


VERBS = {
    "stop": Verb(
        "stop [-t TIME] NAME…",
        "Ask a container to end, and kill it where it has not ended in time. A stopped one succeeds.",
        _stop,
        options=(
            Option(
                "-t", "--time", value="TIME", read=parse_timeout, help="how long to wait before killing (10s)"
            ),
            JSON,
        ),
        words=(1, None),
    ),
    "kill": Verb(
        "kill [-s SIGNAL] NAME…",
        "Send a signal to a container's first process; KILL ends every process in it.",
        _kill,
        options=(
            Option("-s", "--signal", value="SIGNAL", read=parse_signal, help="KILL unless told otherwise"),
            JSON,
        ),
        words=(1, None),
        more="Killing a container that has ended is a conflict: exit code 4.",
    ),
    "rm": Verb(
        "rm [-f] [--if-exists] NAME…",
        "Remove containers that have ended: their files, log and cgroups.",
        _rm,
        options=(
            Option("-f", "--force", help="kill one that still runs, at once"),
            Option("--if-exists", help="succeed where there is no such container"),
            JSON,
        ),
        words=(1, None),
    ),
    "wait": Verb(
        "wait [--timeout TIME] NAME…",
        "Wait until a container has ended and print its exit code.",
        _wait,
        options=(
            Option(
                "--timeout", value="TIME", read=parse_timeout, help="give up after this long: exit code 124"
            ),
            JSON,
        ),
        words=(1, None),
    ),
}
