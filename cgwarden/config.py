"""What the daemon can be told: defaults < file < conf.d < environment < flags, checked before it starts.

One frozen dataclass is the whole configuration and its documentation. A key that nobody reads is a
mistake of the writer, so it stops the start with the file and line (exit status 78), as does a value
of the wrong type.
"""

import dataclasses
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

ROOT_DRIVERS: Final = ("overlay", "btrfs", "vfs", "devmapper")
DEFAULT_FILE: Final = "/etc/cgwarden/cgwarden.toml"
_PARENT_PATTERN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
_LISTEN_PATTERN = re.compile(r"(?P<host>\[[0-9a-fA-F:]+\]|[0-9A-Za-z.-]+):(?P<port>\d{1,5})")


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line: where, what, what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one daemon; the defaults are those of a host with a single cgwarden.

    Attributes:
        cgroup_parent: name of the directory, in every hierarchy, below which containers live.
        run_dir: sockets and locks; gone after a reboot.
        state_dir: intent, history, logs and writable layers; survives a reboot.
        policy_dir: every ``*.yaml`` here is a policy.
        listen: TCP addresses ``HOST:PORT``; port 0 lets the kernel choose; empty: the unix socket alone.
        allow_plain_http: permit an address that is not loopback although there is no TLS.
        allowed_hosts: names that a Host header may carry over TCP, beside the loopback names.
        trusted_origins: browser origins, beside our own, that may send changes (a reverse proxy).
        socket_group: unix group that may use the socket; unknown groups are simply not given access.
        metrics_open: serve /metrics without a token to loopback peers.
        cadvisor_names: render cAdvisor's metric names beside our own.
        mount_net: mount net_cls and net_prio where nobody has, for the whole host, as long as we serve.
        root_driver: what containers' roots are made with, unless they ask for another: overlay, btrfs, vfs or
            devmapper.
        network_pool: CIDR of containers on the bridge; ``auto``: a free part of 10.88.0.0/13.
        network_uplinks: devices that forward for containers, beside those of the default routes.
        network_prepared: networks that are made ahead of launches, once one was used.
        image_layer_bytes: what one layer of an image may unpack to.
        image_entries: how many files and directories one layer may have.
        interval_sec: seconds between two sweeps.
        history_sec: seconds of full-resolution history kept in memory.
    """

    cgroup_parent: str = "cgwarden"
    run_dir: str = "/run/cgwarden"
    state_dir: str = "/var/lib/cgwarden"
    policy_dir: str = "/etc/cgwarden/policies.d"
    listen: tuple[str, ...] = ("127.0.0.1:9380",)
    allow_plain_http: bool = False
    allowed_hosts: tuple[str, ...] = ()
    trusted_origins: tuple[str, ...] = ()
    socket_group: str = "cgwarden"
    metrics_open: bool = False
    cadvisor_names: bool = True
    mount_net: bool = False
    root_driver: str = "overlay"
    network_pool: str = "auto"
    network_uplinks: tuple[str, ...] = ()
    network_prepared: int = 4
    image_layer_bytes: int = 32 << 30
    image_entries: int = 500_000
    interval_sec: float = 1.0
    history_sec: float = 900.0

    @property
    def socket_path(self) -> str:
        """The unix socket that serves the whole API."""
        return os.path.join(self.run_dir, "cgwarden.sock")


def read_config(file: str | None, flags: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """The configuration in force.

    Args:
        file: the main file as given, or None for the default one, which may be missing.
        flags: settings from the command line, by field name; None means not given.
        environ: ``CGWARDEN_<FIELD>`` overrides the files.

    Raises:
        ConfigError: unreadable or broken file, unknown key, wrong type, impossible value.
    """
    settings: dict[str, object] = {}
    for path in _config_files(file):
        settings |= _read_file(path)
    for field in dataclasses.fields(Config):
        text = environ.get(f"CGWARDEN_{field.name.upper()}")
        if text is not None:
            settings[field.name] = _from_text(field.name, text, f"CGWARDEN_{field.name.upper()}")
    settings |= {
        name: _from_text(name, value, _flag(name)) if isinstance(value, str) else value
        for name, value in flags.items()
        if value is not None
    }
    return check_config(Config(**settings))  # type: ignore[arg-type]


def check_config(config: Config) -> Config:
    """The same configuration, or the first thing about it that cannot work."""
    if not _PARENT_PATTERN.fullmatch(config.cgroup_parent):
        raise ConfigError(
            f"cgroup parent {config.cgroup_parent!r} is not a name: use letters, digits, . _ - (63 at most)"
        )
    for name in ("run_dir", "state_dir", "policy_dir"):
        path = getattr(config, name)
        if not os.path.isabs(path) or "\0" in path:
            raise ConfigError(f"{name} {path!r} is not an absolute path: begin it with /")
    if not 0.1 <= config.interval_sec <= 60:
        raise ConfigError(f"interval {config.interval_sec:g}s is out of range: use 100ms to 60s")
    if not 10 <= config.history_sec <= 86_400:
        raise ConfigError(f"rings {config.history_sec:g}s is out of range: use 10s to 24h")
    if config.root_driver not in ROOT_DRIVERS:
        raise ConfigError(f"launcher.root_driver {config.root_driver!r} is none of {', '.join(ROOT_DRIVERS)}")
    _check_pool(config.network_pool)
    if not 0 <= config.network_prepared <= 256:
        raise ConfigError(f"network.prepared {config.network_prepared} is out of range: use 0 to 256")
    if config.image_layer_bytes < 1 << 20 or config.image_entries < 1:
        raise ConfigError("images.layer_bytes and images.entries are too small: use 1048576 and 1, or more")
    for address in config.listen:
        host, _ = parse_listen(address)
        if not is_loopback(host) and not config.allow_plain_http:
            raise ConfigError(
                f"listen {address}: tokens would cross the network in the clear; listen on 127.0.0.1 "
                "behind a TLS proxy, or set web.allow_plain_http = true where the network is trusted"
            )
    return config


def _check_pool(text: str) -> None:
    if text == "auto":
        return
    try:
        prefix = ipaddress.IPv4Network(text).prefixlen
    except ValueError as error:
        raise ConfigError(f"network pool {text!r} is no network such as 10.88.0.0/16: {error}") from None
    if not 8 <= prefix <= 30:
        raise ConfigError(f"network pool {text!r} has an unfit size: use /8 to /30")


def parse_listen(address: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``[IPv6]:PORT`` -> (host without brackets, port)."""
    match = _LISTEN_PATTERN.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:
        raise ConfigError(f"listen {address!r} is not HOST:PORT: for example 127.0.0.1:9380 or [::1]:9380")
    return match["host"].strip("[]"), int(match["port"])


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this host alone."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def parse_duration(text: str) -> float:
    """``100ms``, ``1s``, ``15m``, ``2h`` -> seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write a number and ms, s, m or h, as in 15m")
    return float(match[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text in quotes")
    return value


def _flag_value(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _whole(value: object) -> int:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of texts, as in ["127.0.0.1:9380"]')
    return tuple(value)


def _duration(value: object) -> float:
    return parse_duration(_text(value))


# (section, key) in the file -> (field, reader of its value)
_KEYS: Final[dict[tuple[str, str], tuple[str, Callable[[object], object]]]] = {
    ("daemon", "cgroup_parent"): ("cgroup_parent", _text),
    ("daemon", "run_dir"): ("run_dir", _text),
    ("daemon", "state_dir"): ("state_dir", _text),
    ("daemon", "policy_dir"): ("policy_dir", _text),
    ("web", "listen"): ("listen", _texts),
    ("web", "allow_plain_http"): ("allow_plain_http", _flag_value),
    ("web", "allowed_hosts"): ("allowed_hosts", _texts),
    ("web", "trusted_origins"): ("trusted_origins", _texts),
    ("web", "socket_group"): ("socket_group", _text),
    ("metrics", "open_on_loopback"): ("metrics_open", _flag_value),
    ("metrics", "cadvisor_names"): ("cadvisor_names", _flag_value),
    ("cgroups", "mount_net"): ("mount_net", _flag_value),
    ("launcher", "root_driver"): ("root_driver", _text),
    ("network", "pool"): ("network_pool", _text),
    ("network", "uplinks"): ("network_uplinks", _texts),
    ("network", "prepared"): ("network_prepared", _whole),
    ("images", "layer_bytes"): ("image_layer_bytes", _whole),
    ("images", "entries"): ("image_entries", _whole),
    ("monitor", "interval"): ("interval_sec", _duration),
    ("monitor", "rings"): ("history_sec", _duration),
}
_READERS: Final = dict(_KEYS.values())


def _config_files(file: str | None) -> Sequence[str]:
    main = file or DEFAULT_FILE
    if not os.path.exists(main):
        if file is not None:
            raise ConfigError(f"{file}: no such file: name an existing one with --config")
        return ()
    folder = os.path.join(os.path.dirname(main), "conf.d")
    more = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return (main, *(os.path.join(folder, name) for name in more if name.endswith(".toml")))


def _read_file(path: str) -> dict[str, object]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        tables: dict[str, Any] = tomllib.loads(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: cannot be read as TOML: {reason}") from error
    settings: dict[str, object] = {}
    for section, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{path}:{_line_of(text, section)}: {section}: keys belong into a [section]")
        for key, value in table.items():
            where = f"{path}:{_line_of(text, key)}: {section}.{key}"
            if (section, key) not in _KEYS:
                raise ConfigError(f"{where}: unknown key{_suggest(section, key)}")
            name, reader = _KEYS[section, key]
            try:
                settings[name] = reader(value)
            except ValueError as error:
                raise ConfigError(f"{where}: {error}") from error
    return settings


def _from_text(name: str, text: str, where: str) -> object:
    reader = _READERS[name]
    try:
        if reader is _texts:
            return tuple(part for part in text.split(",") if part)
        if reader is _flag_value:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return reader(text)
    except KeyError:
        raise ConfigError(f"{where}: {text!r} is neither true nor false") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-").removesuffix("-sec")


def _line_of(text: str, key: str) -> int:
    """The line of a key; the parser does not tell, so the first line that names it will do."""
    pattern = re.compile(rf"\s*\[?\s*[\"']?{re.escape(key)}[\"']?\s*[\]=]")
    return next((n for n, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _suggest(section: str, key: str) -> str:
    import difflib

    close = difflib.get_close_matches(f"{section}.{key}", [f"{s}.{k}" for s, k in _KEYS], n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
