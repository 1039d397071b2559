"""What of an image's configuration holds, and what of the request: docker's rules."""

from __future__ import annotations

from typing import Any

import pytest

from launcher import BadSpec, ContainerSpec
from launcher.images import Image, ImageConfig
from launcher.images.merge import merge_image


def merged(config: ImageConfig, **wanted: Any) -> ContainerSpec:
    spec = ContainerSpec.from_wire({"name": "t", "image": "tool", **wanted})
    return merge_image(spec, Image(id="sha256:0", layers=(), config=config))


FULL = ImageConfig(
    entrypoint=("/entry", "-e"),
    command=("cmd", "-c"),
    env={"PATH": "/opt/bin", "A": "image"},
    workdir="/srv",
    user="app:staff",
    stop_signal="SIGQUIT",
    labels={"from": "image", "both": "image"},
)


def test_what_nobody_asked_for_is_the_images() -> None:
    spec = merged(FULL)

    assert spec.argv == ("/entry", "-e", "cmd", "-c")
    assert (spec.env, spec.labels) == (FULL.env, FULL.labels)
    assert (spec.workdir, spec.user, spec.stop_signal) == ("/srv", "app:staff", "SIGQUIT")


@pytest.mark.parametrize(
    ("wanted", "argv"),
    [
        ({"command": ["x"]}, ("/entry", "-e", "x")),
        ({"entrypoint": ["x"]}, ("x",)),
        ({"entrypoint": ["x"], "command": ["y"]}, ("x", "y")),
        ({"entrypoint": [], "command": ["y"]}, ("y",)),
    ],
)
def test_a_command_of_ones_own(wanted: dict[str, Any], argv: tuple[str, ...]) -> None:
    assert merged(FULL, **wanted).argv == argv


def test_what_was_asked_for_stands_above_the_image() -> None:
    wanted = {
        "workdir": "/w",
        "user": "1:2",
        "stop_signal": "TERM",
        "env": {"A": "mine"},
        "labels": {"both": "mine"},
    }

    spec = merged(FULL, **wanted)

    assert (spec.workdir, spec.user, spec.stop_signal) == ("/w", "1:2", "SIGTERM")
    assert spec.env == {"PATH": "/opt/bin", "A": "mine"}
    assert spec.labels == {"from": "image", "both": "mine"}


def test_what_neither_says_is_as_for_a_root_directory() -> None:
    spec = merged(ImageConfig(command=("sh",)))

    assert (spec.workdir, spec.user, spec.stop_signal, spec.argv) == ("/", "0:0", "SIGTERM", ("sh",))


def test_a_working_directory_that_is_relative_is_below_the_root() -> None:
    assert merged(ImageConfig(command=("sh",), workdir="app")).workdir == "/app"


def test_merging_again_changes_nothing() -> None:
    once = merged(FULL, command=["x"])

    assert merge_image(once, Image(id="sha256:0", layers=(), config=FULL)) == once
    assert ContainerSpec.from_wire(once.to_wire()) == once


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (ImageConfig(), "command"),
        (ImageConfig(command=("",)), "command"),
        (ImageConfig(command=("a\0b",)), "command"),
        (ImageConfig(command=("sh",), user="a b"), "user"),
        (ImageConfig(command=("sh",), user="0x0"), "user"),
        (ImageConfig(command=("sh",), workdir="/a\0"), "workdir"),
        (ImageConfig(command=("sh",), stop_signal="SIGNONE"), "stop_signal"),
        (ImageConfig(command=("sh",), env={"A": "\0"}), "env"),
        (ImageConfig(command=("sh",), labels={"A\0": ""}), "labels"),
    ],
)
def test_an_image_that_says_what_cannot_be_is_refused_by_field(config: ImageConfig, field: str) -> None:
    with pytest.raises(BadSpec) as e:
        merged(config)
    assert e.value.field == field
