"""Resource limits of processes (`--ulimit`): refused where this host cannot give them, set last of all."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from launcher.errors import BadSpec
from launcher.scene.operations import Scene
from launcher.spec_parts import RLIMITS

CAP_SYS_RESOURCE: Final = 24
INFINITY: Final = resource.RLIM_INFINITY  # -1, as in a description


def check_rlimits(rlimits: Mapping[str, Sequence[int]]) -> None:
    """BadSpec with the field: without CAP_SYS_RESOURCE on the host nobody raises a hard limit."""
    if not rlimits or _may_raise():
        return
    for name, (_soft, hard) in rlimits.items():
        ours = resource.getrlimit(RLIMITS[name])[1]
        if ours != INFINITY and (hard == INFINITY or hard > ours):
            why = f"cgwarden runs without CAP_SYS_RESOURCE and cannot go above its own hard limit, {ours}"
            raise BadSpec(f"rlimits/{name}", why)


def _may_raise() -> bool:
    with open("/proc/self/status", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1)


def raise_rlimits(rlimits: Mapping[str, Sequence[int]]) -> None:
    """Those hard limits that only the host's root may set: before it is given up."""
    for name, (_soft, hard) in rlimits.items():
        soft_now, hard_now = resource.getrlimit(RLIMITS[name])
        if hard_now != INFINITY and (hard == INFINITY or hard > hard_now):
            resource.setrlimit(RLIMITS[name], (soft_now, hard))


def set_rlimits(rlimits: Mapping[str, Sequence[int]]) -> None:
    """All of them, right before execve: a low one would hinder what we do ourselves."""
    for name, (soft, hard) in rlimits.items():
        resource.setrlimit(RLIMITS[name], (soft, hard))


@dataclass(frozen=True, slots=True)
class RaiseLimits:
    rlimits: Mapping[str, Sequence[int]]

    def describe(self) -> str:
        pairs = (f"{name}={soft}:{hard}" for name, (soft, hard) in self.rlimits.items())
        return "limit resources of each process: " + " ".join(pairs)

    def execute(self, scene: Scene) -> None:
        raise_rlimits(self.rlimits)
