"""From the flags of `run` and `create` to the API's description of a container."""

from __future__ import annotations

import os

from cgwarden.cli.execute import environment, parse_variable
from cgwarden.cli.limit_flags import read_limits
from cgwarden.cli.names import check_name
from cgwarden.cli.options import Args, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cgwarden.cli.execute import Variable

# fmt: off
_ADJECTIVES = ("able", "brisk", "calm", "deft", "eager", "fair", "glad", "keen",
               "lucid", "mild", "neat", "quick", "sage", "spry", "tidy", "warm")
_ANIMALS = ("adder", "bison", "crane", "dingo", "egret", "finch", "gecko", "heron",
            "ibis", "koala", "lemur", "marten", "newt", "otter", "panda", "raven")

# fmt: on
_PLAIN = (
    *("image", "driver", "storage_bytes", "workdir", "user", "hostname", "network", "ip", "class", "group"),
    *("pid", "ipc", "uts", "cgroupns", "userns", "time_offsets", "proc", "shm_bytes", "oom_score_adj"),
    *("net_egress_bits_per_sec", "net_ingress_bits_per_sec", "restart", "stop_signal", "stop_timeout_sec"),
)
_LISTS = ("cap_add", "cap_drop", "publish", "dns", "dns_search", "devices")
_SWITCHES = ("read_only", "auto_remove", "stdin", "tty", "init")
_HEALTH = ("interval", "timeout", "retries", "start_period")


def read_spec(args: Args) -> dict[str, object]:
    """The body of `POST /api/v1/containers` that the flags ask for."""
    _refuse(args)
    spec: dict[str, object] = {
        "name": check_name(args.get("name")) if args.get("name") is not None else invent_name(),
        "command": args.words,
        "env": _environment(args),
        "limits": read_limits(args),
        "labels": dict(args.get("label", [])),
    }
    if args.get("rootfs"):
        spec["rootfs"] = os.path.abspath(args.get("rootfs"))
    spec |= {field: args.get(field) for field in _PLAIN if args.get(field) is not None}
    spec |= {field: args.get(field) for field in _LISTS if args.get(field)}
    spec |= {field: True for field in _SWITCHES if args.on(field)}
    for field, flag in (("rlimits", "ulimit"), ("extra_hosts", "extra_hosts")):
        if args.get(flag):
            spec[field] = dict(args.get(flag))
    if args.get("entrypoint") is not None:
        spec["entrypoint"] = [args.get("entrypoint")] if args.get("entrypoint") else []
    return spec | _mounts(args) | _health(args) | dict(args.get("log_opt", [])) | _security(args)


def _refuse(args: Args) -> None:
    if args.on("privileged"):
        raise UsageError(
            "--privileged is not offered; give what is needed: --cap-add, --device, --security-opt"
        )
    if bool(args.get("rootfs")) == bool(args.get("image")):
        raise UsageError("--rootfs DIR or --image REF is needed, one of them (--rootfs / is allowed)")
    if args.get("rootfs") and not args.words:
        raise UsageError("something is missing: the program to run, after --")
    if args.get("rootfs") and args.get("entrypoint") is not None:
        raise UsageError("--entrypoint belongs to --image; with --rootfs the command says it all")


def _mounts(args: Args) -> dict[str, object]:
    volumes, tmpfs = list(args.get("volume", [])), list(args.get("tmpfs", []))
    for field, value in args.get("mount", []):
        (volumes if field == "volumes" else tmpfs).append(value)
    return {field: items for field, items in (("volumes", volumes), ("tmpfs", tmpfs)) if items}


def _health(args: Args) -> dict[str, object]:
    given = {key: args.get(f"health_{key}") for key in _HEALTH if args.get(f"health_{key}") is not None}
    command = args.get("health_cmd")
    if command is None:
        if given:
            raise UsageError("--health-… needs --health-cmd COMMAND beside it")
        return {}
    names = {"retries": "retries"}
    told = {names.get(key, f"{key}_sec"): value for key, value in given.items()}
    return {"health": {"command": ["/bin/sh", "-c", command]} | told}


def _security(args: Args) -> dict[str, object]:
    return {field: value for field, value in args.get("security_opt", []) if field}


def _environment(args: Args) -> dict[str, str]:
    filed = [variable for path in args.get("env_file", []) for variable in _read_env_file(path)]
    return environment([*filed, *args.get("env", [])])


def _read_env_file(path: str) -> list[Variable]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = [(number, line.strip()) for number, line in enumerate(file, 1)]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--env-file {path}: {getattr(error, 'strerror', None) or error}") from None
    return [_read_env_line(path, *line) for line in lines if line[1] and not line[1].startswith("#")]


def _read_env_line(path: str, number: int, line: str) -> Variable:
    try:
        key, value = parse_variable(line)
        if any(map(str.isspace, key)):
            raise ValueError(f"white space in the name {key!r}")
    except ValueError as error:
        raise UsageError(f"--env-file {path}, line {number}: {error}") from None
    return key, value


def invent_name() -> str:
    """A name such as `calm-otter-3f2a`: easy to say, and unlikely to be taken."""
    chance = os.urandom(4)
    return f"{_ADJECTIVES[chance[0] % 16]}-{_ANIMALS[chance[1] % 16]}-{chance[2:].hex()}"
