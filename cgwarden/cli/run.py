"""`run`: start a container; unless told to detach, stand in for its program: output, signals, exit code."""

from __future__ import annotations

import os

from cgwarden.cli import failures
from cgwarden.cli.execute import parse_variable
from cgwarden.cli.invoke import fail
from cgwarden.cli.lifecycle import parse_signal
from cgwarden.cli.limit_flags import LIMIT_OPTIONS, read_limits
from cgwarden.cli.names import check_name
from cgwarden.cli.options import JSON, Args, Option, UsageError, Verb
from cgwarden.cli.terminal import print_json
from cgwarden.client import Daemon, Problem
from cgwarden.units import parse_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLASSES = ("guaranteed", "burstable", "besteffort")
NETWORKS = ("none", "host")
_LATER = {
    "--image": "images",
    "-i": "input",
    "-t": "terminals",
    "-v": "volumes",
    "--mount": "volumes",
    "--tmpfs": "volumes",
    "-p": "published ports",
    "--restart": "restart policies",
    "--entrypoint": "images",
    "--security-opt": "security options",
    "--ulimit": "ulimits",
    "--device": "devices",
    "--init": "an init process",
    "--privileged": "privileged containers",
}
_START_TIMEOUT_SEC = 120.0
# fmt: off
_ADJECTIVES = ("able", "brisk", "calm", "deft", "eager", "fair", "glad", "keen",
               "lucid", "mild", "neat", "quick", "sage", "spry", "tidy", "warm")
_ANIMALS = ("adder", "bison", "crane", "dingo", "egret", "finch", "gecko", "heron",
            "ibis", "koala", "lemur", "marten", "newt", "otter", "panda", "raven")
# fmt: on


def _run(args: Args) -> int:
    _refuse_later(args)
    spec = read_spec(args)
    daemon = Daemon()
    try:
        if args.on("dry_run"):
            return _print_plan(daemon, spec, args)
        if not args.on("detach"):
            from cgwarden.cli.attached import run_attached

            return run_attached(daemon, spec, as_json=args.on("json"))
        started = daemon.call("POST", "/api/v1/containers", spec, timeout_sec=_START_TIMEOUT_SEC)
    except Problem as problem:
        return _refused(problem)
    if args.on("json"):
        print_json(started)
    else:
        print(started["name"])
    return failures.DONE


def _refused(problem: Problem) -> int:
    """The daemon's no: 125 where docker's run would say so too, else the code every verb has for it."""
    code = fail(problem)
    ours = code == failures.FAILED or problem.slug in ("missing-root", "launch-failed")
    return failures.REFUSED_RUN if ours else code


def _print_plan(daemon: Daemon, spec: dict[str, object], args: Args) -> int:
    answer = daemon.call("POST", "/api/v1/containers", spec, query={"dry_run": True})
    if args.on("json"):
        print_json(answer)
    else:
        print("\n".join(answer["plan"]))
    return failures.DONE


def _refuse_later(args: Args) -> None:
    for field, spelling in args.given.items():
        if field.startswith("later_"):
            what = _LATER[field.removeprefix("later_")]
            instead = "; use --rootfs DIR" if what == "images" else ""
            raise UsageError(
                f"{spelling}: {what} are not available yet{instead}".replace("input are", "input is")
            )


def read_spec(args: Args) -> dict[str, object]:
    """The body of `POST /api/v1/containers` that the flags ask for."""
    if not args.get("rootfs"):
        raise UsageError("--rootfs DIR is needed: the directory the container starts from (/ is allowed)")
    spec: dict[str, object] = {
        "name": check_name(args.get("name")) if args.get("name") is not None else invent_name(),
        "rootfs": os.path.abspath(args.get("rootfs")),
        "command": args.words,
        "env": _environment(args),
        "limits": read_limits(args),
        "labels": dict(args.get("label", [])),
    }
    plain = ("workdir", "user", "hostname", "network", "class", "stop_signal", "stop_timeout_sec")
    spec |= {field: args.get(field) for field in plain if args.get(field) is not None}
    lists = ("cap_add", "cap_drop")
    spec |= {field: args.get(field) for field in lists if args.get(field)}
    switches = ("read_only", "auto_remove")
    return spec | {field: True for field in switches if args.on(field)}


def _environment(args: Args) -> dict[str, str]:
    env: dict[str, str] = {}
    for path in args.get("env_file", []):
        env |= dict(_read_env_file(path))
    return env | dict(args.get("env", []))


def _read_env_file(path: str) -> list[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--env-file {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        return [parse_variable(line) for line in lines if line and not line.startswith("#")]
    except ValueError as error:
        raise UsageError(f"--env-file {path}: {error}") from None


def invent_name() -> str:
    """A name such as `calm-otter-3f2a`: easy to say, and unlikely to be taken."""
    chance = os.urandom(4)
    return f"{_ADJECTIVES[chance[0] % 16]}-{_ANIMALS[chance[1] % 16]}-{chance[2:].hex()}"


def _one_of(words: tuple[str, ...], later: tuple[str, ...] = ()) -> Any:
    def read(text: str) -> str:
        if text in later:
            raise ValueError(f"{text!r} is not available yet; choose {' or '.join(words)}")
        if text not in words:
            raise ValueError(f"{text!r} is not one of {', '.join(words)}")
        return text

    return read


def _label(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    if not key:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, value


def _capability(text: str) -> str:
    name = text.upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


_SECURITY = "Security"
_OPTIONS = (
    Option("-d", "--detach", help="return as soon as the program runs, and print the container's name"),
    Option("--name", value="NAME", help="the container's name; one is invented if not given"),
    Option(
        "--rootfs", value="DIR", help="the root directory; it gets a private writable layer (/ is allowed)"
    ),
    Option(
        "-e",
        "--env",
        value="KEY=VALUE",
        read=parse_variable,
        many=True,
        help="set a variable; KEY alone takes yours",
    ),
    Option("--env-file", value="FILE", many=True, help="variables from a file, one KEY=VALUE a line"),
    Option("-w", "--workdir", value="DIR", help="start in this directory (/)"),
    Option("-u", "--user", value="UID[:GID]", help="run as this user (0:0)"),
    Option("-h", "--hostname", value="NAME", help="the container's own host name (its name)"),
    Option(
        "--network",
        "--net",
        value="KIND",
        read=_one_of(NETWORKS, ("bridge",)),
        field="network",
        help="none or host (none)",
    ),
    Option("-l", "--label", value="KEY=VALUE", read=_label, many=True, help="a label; policies choose by it"),
    Option(
        "--class",
        value="CLASS",
        read=_one_of(CLASSES),
        help="guaranteed, burstable or besteffort (burstable)",
    ),
    Option("--rm", field="auto_remove", help="remove the container when it has ended"),
    Option(
        "--stop-signal",
        value="SIGNAL",
        read=lambda text: f"SIG{parse_signal(text)}",
        help="what `stop` sends (TERM)",
    ),
    Option(
        "--stop-timeout",
        value="TIME",
        read=parse_timeout,
        field="stop_timeout_sec",
        help="before `stop` kills (10s)",
    ),
    Option("--dry-run", help="print what would be done, step by step, and do nothing"),
    JSON,
    *LIMIT_OPTIONS,
    Option(
        "--cap-add",
        value="CAP",
        read=_capability,
        many=True,
        help="keep a capability, or ALL",
        group=_SECURITY,
    ),
    Option(
        "--cap-drop",
        value="CAP",
        read=_capability,
        many=True,
        help="drop a capability, or ALL",
        group=_SECURITY,
    ),
    Option("--read-only", help="a root that cannot be written", group=_SECURITY),
)
_SWITCHES_LATER = ("-i", "-t", "--init", "--privileged")
_HIDDEN = tuple(
    Option(name, value="" if name in _SWITCHES_LATER else "X", many=True, field=f"later_{name}", help="")
    for name in _LATER
)

VERBS = {
    "run": Verb(
        "run [-d] [--name NAME] --rootfs DIR [OPTIONS] -- COMMAND [ARG…]",
        "Start a container. Its limits are in force before the program's first instruction.",
        _run,
        options=_OPTIONS,
        hidden=_HIDDEN,
        words=(0, None),
        command=True,
        more="Without -d its output is shown here, SIGINT and SIGTERM go to it, and its exit code is ours.\n"
        "Exit codes: 2 usage, 4 name taken, 125 refused or failed, 126 cannot be invoked, 127 not found,\n"
        "128+n ended by signal n.\n"
        "Example:\n  cgwarden run -d --name web --rootfs / --memory 256M --cpus 0.5 -- sleep 100",
    ),
}
