"""Runs `inmate`, a hostile program, in a container whose root is this machine's, which has a Python."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launcher import Container, Launcher
from launcher.seccomp import library

INMATE = Path(__file__).with_name("inmate.py").read_text()
INTERPRETER = os.path.realpath(sys.executable)
Probe = Callable[..., dict[str, Any]]


def number_of(name: str) -> int:
    """A system call's number here; those that libseccomp is too old for are the same everywhere."""
    number = {"cachestat": 451}.get(name) or library.resolve(library.native_architecture(), name)
    assert number >= 0, name
    return number


def call(name: str, *arguments: object) -> list[object]:
    """An attempt of a system call, named after it."""
    return [name, "call", number_of(name), *arguments]


def make_probe(launcher: Launcher, run: Callable[..., Container]) -> Probe:
    """Attempts in, answers out."""

    def probe(*attempts: list[object], **fields: object) -> dict[str, Any]:
        command = [INTERPRETER, "-I", "-S", "-c", INMATE, json.dumps(attempts)]
        run(command, **{"rootfs": "/", "network": "none", **fields})
        launcher.wait("t", 60)
        lines = [line.data.decode() for line in launcher.read_log("t")]
        launcher.remove("t")
        assert len(lines) == 1, lines
        answers: dict[str, Any] = json.loads(lines[0])
        return answers

    return probe
