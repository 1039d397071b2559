"""What an image says of how it is run, beneath what was asked for: docker's rules, in one pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from launcher import spec_parts as part
from launcher import spec_values as of
from launcher.errors import BadSpec
from launcher.images.model import Image
from launcher.spec import ContainerSpec


def merge_image(spec: ContainerSpec, image: Image) -> ContainerSpec:
    """The spec with all that was left to the image filled in; BadSpec where the image says what cannot be.

    An entrypoint of one's own also sets the image's command aside, since that was made for the image's
    entrypoint. Variables and labels are merged one by one.
    """
    config = image.config
    entrypoint = config.entrypoint if spec.entrypoint is None else spec.entrypoint
    command = spec.command or (config.command if spec.entrypoint is None else ())
    if not (entrypoint or command):
        raise BadSpec("command", f"is required: image {spec.image!r} names no program itself")
    return replace(
        spec,
        entrypoint=of.read_command("entrypoint", entrypoint or ()),
        command=of.read_command("command", command),
        env=of.read_env("env", {**config.env, **spec.env}),
        labels=of.read_texts_by_name("labels", {**config.labels, **spec.labels}),
        workdir=spec.workdir or of.read_absolute("workdir", _absolute(config.workdir)),
        user=spec.user or of.read_user("user", config.user or "0:0"),
        health=spec.health or _health(config.health),
        stop_signal=spec.stop_signal or of.read_signal("stop_signal", config.stop_signal or "SIGTERM"),
    )


def _health(wire: Mapping[str, Any]) -> Mapping[str, Any]:
    """An image's check, as far as containers have one."""
    return part.read_health("health", dict(wire))


def _absolute(workdir: str) -> str:
    """Images have been seen with one that is relative; it is below the root then, as for docker."""
    return workdir if workdir.startswith("/") else f"/{workdir}"
