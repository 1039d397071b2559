"""What a caller may ask for: a container's description, checked strictly before anything is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from launcher import spec_parts as part
from launcher import spec_values as of
from launcher.errors import BadSpec
from launcher.scene.capabilities import plan_capabilities
from launcher.spec_values import NAME, parse_name, parse_signal

__all__ = ["NAME", "ContainerSpec", "parse_name", "parse_signal"]

CLASSES: Final = ("guaranteed", "burstable", "besteffort")
DRIVERS: Final = ("", "overlay", "btrfs", "vfs", "devmapper")
# One argument may have 128 KiB (MAX_ARG_STRLEN); all together must also fit one message to the supervisor.
LARGEST_COMMAND_BYTES: Final = 1 << 20
# What only a container on the daemon's bridge can have.
_OF_A_BRIDGE: Final = ("publish", "ip", "net_egress_bits_per_sec", "net_ingress_bits_per_sec")
# Empty where nobody said it: the image's own, filled in before the launch.
_FROM_IMAGE: Final = ("user", "workdir", "stop_signal")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One container as asked for. `limits` has the field names of `cgroupfs.Limits`; `klass` is `class` on
    the wire. Objects inside (volumes, devices …) are as `spec_parts` reads them.
    """

    name: str
    rootfs: str = ""
    command: tuple[str, ...] = ()
    image: str = ""
    entrypoint: tuple[str, ...] | None = None
    driver: str = ""
    storage_bytes: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    hostname: str = ""
    pid: str = "private"
    ipc: str = "private"
    uts: str = "private"
    cgroupns: str = "private"
    userns: str = "host"
    time_offsets: Mapping[str, int] = field(default_factory=dict)
    network: str = "none"
    ip: str = ""
    publish: tuple[Mapping[str, Any], ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    net_egress_bits_per_sec: int | None = None
    net_ingress_bits_per_sec: int | None = None
    volumes: tuple[Mapping[str, Any], ...] = ()
    tmpfs: tuple[Mapping[str, Any], ...] = ()
    shm_bytes: int = 64 << 20
    devices: tuple[Mapping[str, Any], ...] = ()
    limits: Mapping[str, object] = field(default_factory=dict)
    rlimits: Mapping[str, list[int]] = field(default_factory=dict)
    oom_score_adj: int | None = None
    group: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    klass: str = "burstable"
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    seccomp: str | Mapping[str, Any] = "default"
    apparmor: str = ""
    selinux: str = ""
    mdwe: bool = False
    read_only: bool = False
    proc: str = "auto"
    tty: bool = False
    stdin: bool = False
    init: bool = False
    restart: str = "no"
    health: Mapping[str, Any] = field(default_factory=dict)
    log_max_bytes: int | None = None
    log_max_files: int | None = None
    stop_signal: str = "SIGTERM"
    stop_timeout_sec: float = 10.0
    auto_remove: bool = False

    @classmethod
    def from_wire(cls, wire: Mapping[str, object]) -> ContainerSpec:
        """Strict: an unknown key, a wrong type or an impossible value raises `BadSpec` with the field."""
        if not isinstance(wire, Mapping):
            raise BadSpec("spec", "must be an object")
        for key in wire:
            if key not in _READERS:
                raise BadSpec(str(key)[:64], "is not a field of a container")
        unsaid = () if wire.get("rootfs") else _FROM_IMAGE
        said = {key: v for key, v in wire.items() if v is not None and (v != "" or key not in unsaid)}
        given: dict[str, Any] = {key: _READERS[key](key, value) for key, value in said.items()}
        _check_root(given)
        given = dict.fromkeys(unsaid, "") | given
        given.setdefault("name", f"c{os.urandom(5).hex()}")
        given.setdefault("image", given.get("rootfs"))
        given.setdefault("hostname", given["name"].rstrip("_.-").replace("_", "-"))
        if "class" in given:
            given["klass"] = given.pop("class")
        spec = cls(**given)
        _refuse_contradictions(spec)
        _check_size(spec)
        return spec

    @property
    def argv(self) -> tuple[str, ...]:
        """The program and all its arguments."""
        return (*(self.entrypoint or ()), *self.command)

    def to_wire(self) -> dict[str, object]:
        wire = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        wire["class"] = wire.pop("klass")
        return wire


def _check_root(given: dict[str, Any]) -> None:
    if not given.get("rootfs") and not given.get("image"):
        raise BadSpec("rootfs", "is required: a root directory, or an image")
    if given.get("rootfs") and not given.get("command"):
        raise BadSpec("command", "is required")
    if given.get("rootfs") and given.get("entrypoint"):
        raise BadSpec("entrypoint", "belongs to an image; with a root directory the command says it all")


def _refuse_contradictions(spec: ContainerSpec) -> None:
    if spec.auto_remove and spec.restart != "no":
        raise BadSpec("restart", "a container that is removed at its end cannot be started again")
    for field_name in _OF_A_BRIDGE:
        if getattr(spec, field_name) and spec.network != "bridge":
            raise BadSpec(field_name, f"needs a network of its own: --network bridge, not {spec.network}")
    if spec.net_egress_bits_per_sec and "NET_ADMIN" in plan_capabilities(spec.cap_add, spec.cap_drop):
        raise BadSpec("net_egress_bits_per_sec", "a container with NET_ADMIN could lift it: drop that")


def _check_size(spec: ContainerSpec) -> None:
    environment = sum(len(k) + len(v) for k, v in spec.env.items())
    if sum(map(len, spec.command)) + environment > LARGEST_COMMAND_BYTES:
        raise BadSpec("command", "command and environment together are larger than 1 MiB")


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


_RATE: Final = of.whole_number(8_000, 10**13)
_READERS: Final[dict[str, of.Reader]] = {
    "name": lambda key, value: parse_name(value, key),
    "rootfs": lambda key, value: "" if value == "" else of.read_absolute(key, value),
    "image": of.read_text,
    "entrypoint": of.read_command,
    "command": of.read_command,
    "driver": of.one_of(*DRIVERS),
    "storage_bytes": of.whole_number(1 << 20),
    "env": of.read_env,
    "workdir": of.read_absolute,
    "user": of.read_user,
    "hostname": of.matching(of.HOSTNAME, "a host name"),
    "pid": part.namespace("private", "host"),
    "ipc": part.namespace("private", "host"),
    "uts": part.namespace("private", "host"),
    "cgroupns": of.one_of("private", "host"),
    "userns": of.matching(part.USERNS, "host, auto or auto:SIZE"),
    "time_offsets": part.read_time_offsets,
    "network": part.namespace("none", "host", "bridge"),
    "ip": part.read_address,
    "publish": part.one_by_one(part.read_port),
    "dns": part.read_nameservers,
    "dns_search": part.read_search,
    "extra_hosts": part.read_hosts,
    "net_egress_bits_per_sec": _RATE,
    "net_ingress_bits_per_sec": _RATE,
    "volumes": part.one_by_one(part.read_volume),
    "tmpfs": part.one_by_one(part.read_tmpfs),
    "shm_bytes": of.whole_number(4096),
    "devices": part.one_by_one(part.read_device),
    "limits": of.read_limits,
    "rlimits": part.read_rlimits,
    "oom_score_adj": of.whole_number(-1000, 1000),
    "group": part.read_group,
    "labels": of.read_texts_by_name,
    "class": of.one_of(*CLASSES),
    "cap_add": of.read_capabilities,
    "cap_drop": of.read_capabilities,
    "seccomp": part.read_seccomp,
    "apparmor": part.read_lsm_name,
    "selinux": part.read_lsm_name,
    "mdwe": of.read_flag,
    "read_only": of.read_flag,
    "proc": of.one_of("auto", "limited", "plain"),
    "tty": of.read_flag,
    "stdin": of.read_flag,
    "init": of.read_flag,
    "restart": of.matching(part.RESTART, "no, on-failure[:N], always or unless-stopped"),
    "health": part.read_health,
    "log_max_bytes": of.whole_number(4096),
    "log_max_files": of.whole_number(1, 100),
    "stop_signal": of.read_signal,
    "stop_timeout_sec": of.read_seconds,
    "auto_remove": of.read_flag,
}
