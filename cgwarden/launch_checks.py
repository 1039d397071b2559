"""What `doctor` finds of the things that containers are made with; each says what its absence costs."""

from __future__ import annotations

import os
import shutil
from typing import Final

from cgwarden.checks import Check, make_check

_PROGRAMS: Final = (
    ("pull", ("skopeo",), "images cannot be pulled from registries", "apt install skopeo"),
    ("init", ("tini-static", "tini", "catatonit"), "--init is refused", "apt install tini"),
)


def check_launch() -> list[Check]:
    """One line for each thing."""
    return [_proc_view(), *(_program(*program) for program in _PROGRAMS)]


def _proc_view() -> Check:
    if os.path.exists("/dev/fuse"):
        return make_check("proc view", "ok", "/dev/fuse: containers see their own memory and CPUs in /proc")
    detail = "no /dev/fuse: containers see the host's memory and CPUs in /proc"
    return make_check("proc view", "degraded", detail, "modprobe fuse")


def _program(name: str, programs: tuple[str, ...], cost: str, advice: str) -> Check:
    for program in programs:
        if path := shutil.which(program):
            return make_check(name, "ok", path)
    return make_check(name, "degraded", f"no {' or '.join(programs)}: {cost}", advice)
