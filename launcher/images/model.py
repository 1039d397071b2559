"""An image as the rest of the launcher sees it, and its configuration as it is written (OCI image-spec).

Docker's configuration is a superset of OCI's with the same names, so that one parser reads both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from launcher.images.errors import BadImage
from launcher.images.reference import DIGEST

MOST_LAYERS: Final = 128
LARGEST_DOCUMENT_BYTES: Final = 4 << 20
_NSEC: Final = 10**9
_HEALTH_TIMES: Final = {
    "interval_sec": "Interval",
    "timeout_sec": "Timeout",
    "start_period_sec": "StartPeriod",
}
_PORT: Final = re.compile(r"[0-9]{1,5}(/(tcp|udp|sctp))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What an image says of how it wants to be run; None or empty where it says nothing."""

    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    user: str = ""
    stop_signal: str = ""
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)
    """As a container's own: command, interval_sec, timeout_sec, retries, start_period_sec."""

    def to_oci(self) -> dict[str, Any]:
        """The `config` object of an image's configuration; what is empty is left out."""
        told = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.exposed_ports},
            "Env": [f"{name}={value}" for name, value in self.env.items()],
            "Entrypoint": list(self.entrypoint or ()),
            "Cmd": list(self.command),
            "Volumes": {path: {} for path in self.volumes},
            "WorkingDir": self.workdir,
            "Labels": dict(self.labels),
            "StopSignal": self.stop_signal,
            "Healthcheck": health_to_oci(self.health),
        }
        return {key: value for key, value in told.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """`id` is the digest of the configuration; `layers` are diff ids, the lowest first."""

    id: str
    layers: tuple[str, ...]
    config: ImageConfig
    architecture: str = ""
    os: str = "linux"
    created_at: str = ""
    references: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0

    def to_wire(self) -> dict[str, Any]:
        """Everything, as `image inspect` shows it."""
        config = self.config
        return {
            "id": self.id,
            "references": list(self.references),
            "digests": list(self.digests),
            "created_at": self.created_at or None,
            "architecture": self.architecture,
            "os": self.os,
            "size_bytes": self.size_bytes,
            "layers": list(self.layers),
            "config": {
                "entrypoint": None if config.entrypoint is None else list(config.entrypoint),
                "command": list(config.command),
                "env": dict(config.env),
                "workdir": config.workdir,
                "user": config.user,
                "stop_signal": config.stop_signal,
                "exposed_ports": list(config.exposed_ports),
                "volumes": list(config.volumes),
                "labels": dict(config.labels),
                "health": dict(config.health),
            },
        }


def parse_health(wire: Mapping[str, Any]) -> dict[str, Any]:
    """Docker's Healthcheck, which OCI does not have; times are in nanoseconds, and 0 means the default."""
    test = _texts(wire, "Test")
    if len(test) < 2 or test[0] not in ("CMD", "CMD-SHELL"):
        return {}
    told: dict[str, Any] = {"command": list(test[1:] if test[0] == "CMD" else ("/bin/sh", "-c", test[1]))}
    for field_name, key in _HEALTH_TIMES.items():
        if isinstance(wire.get(key), int) and wire[key] > 0:
            told[field_name] = wire[key] / _NSEC
    if isinstance(wire.get("Retries"), int) and wire["Retries"] > 0:
        told["retries"] = wire["Retries"]
    return told


def health_to_oci(health: Mapping[str, Any]) -> dict[str, Any]:
    """The way back."""
    if not health:
        return {}
    times = {key: round(health[name] * _NSEC) for name, key in _HEALTH_TIMES.items() if name in health}
    retries = {"Retries": health["retries"]} if "retries" in health else {}
    return {"Test": ["CMD", *health["command"]], **times, **retries}


def parse_object(text: bytes, what: str) -> dict[str, Any]:
    """A JSON object; BadImage for anything else, and for one that no image needs to be that large."""
    if len(text) > LARGEST_DOCUMENT_BYTES:
        raise BadImage(f"{what} is larger than the {LARGEST_DOCUMENT_BYTES >> 20} MiB that are read of one")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadImage(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise BadImage(f"{what} is not a JSON object")
    return value


def parse_config(text: bytes) -> Image:
    """An image's configuration, without what the store adds: id, references, size."""
    wire = parse_object(text, "the image's configuration")
    rootfs = _mapping(wire, "rootfs")
    layers = _texts(rootfs, "diff_ids")
    if len(layers) > MOST_LAYERS:
        raise BadImage(
            f"the image has {len(layers)} layers, more than the {MOST_LAYERS} that are mounted here"
        )
    if not all(DIGEST.fullmatch(layer) for layer in layers):
        raise BadImage(
            "the image's configuration has a diff id that is not sha256: and 64 hexadecimal digits"
        )
    return Image(
        id="",
        layers=layers,
        config=_parse_run_config(_mapping(wire, "config")),
        architecture=_text(wire, "architecture"),
        os=_text(wire, "os"),
        created_at=_text(wire, "created"),
    )


def _parse_run_config(wire: Mapping[str, Any]) -> ImageConfig:
    return ImageConfig(
        entrypoint=None if wire.get("Entrypoint") is None else _texts(wire, "Entrypoint"),
        command=_texts(wire, "Cmd"),
        env=_parse_env(_texts(wire, "Env")),
        workdir=_text(wire, "WorkingDir"),
        user=_text(wire, "User"),
        stop_signal=_text(wire, "StopSignal"),
        exposed_ports=tuple(port for port in _mapping(wire, "ExposedPorts") if _PORT.fullmatch(port)),
        volumes=tuple(_mapping(wire, "Volumes")),
        health=parse_health(_mapping(wire, "Healthcheck")),
        labels={key: value for key, value in _mapping(wire, "Labels").items() if isinstance(value, str)},
    )


def _parse_env(variables: Iterable[str]) -> dict[str, str]:
    pairs = (text.partition("=") for text in variables)
    return {name: value for name, _, value in pairs if name}


def _mapping(wire: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = wire.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadImage(f"the image's configuration: {key} is not an object")
    return value


def _texts(wire: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = wire.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadImage(f"the image's configuration: {key} is not a list of texts")
    return tuple(value)


def _text(wire: Mapping[str, Any], key: str) -> str:
    value = wire.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadImage(f"the image's configuration: {key} is not a text")
    return value
