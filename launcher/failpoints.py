"""Failpoints: die, fail or linger at a named step, so that crash tests hit each; inert outside test mode.

`CGWARDEN_FAILPOINT=launch.limits:kill,rm.hidden:delay=50` counts only with `CGWARDEN_TEST_MODE=1`. Daemon,
spawner, supervisor and first process pass steps of different names, so one variable reaches each of them.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Mapping
from typing import Final

STEPS: Final = (
    # the daemon, in the order of a life
    "create.directory",
    "create.intent",
    "create.root",
    "create.kept",
    # the daemon, in a root driver other than overlay
    "root.base",
    "root.copied",
    "root.noted",
    "root.unmade",
    "launch.run-dir",
    "launch.requested",
    "launch.cgroups",
    "launch.network",
    "launch.limits",
    "launch.sent",
    "launch.started",
    "start.kept",
    "start.init-gone",
    "start.exit-aside",
    "stop.wished",
    "stop.signalled",
    "stop.killed",
    "end.read",
    "end.recorded",
    "end.cgroups",
    "rm.noted",
    "rm.killed",
    "rm.hidden",
    "rm.dropped",
    # the daemon, where there is a bridge
    "network.noted",
    "network.bridged",
    "network.ruled",
    "network.unruled",
    "network.unbridged",
    "network.leased",
    "network.linked",
    "network.configured",
    "network.plugged",
    "network.unlinked",
    "network.given",
    "network.assigned",
    # the daemon, at an import
    "image.staged",
    "image.unpacked",
    "image.kept",
    "image.configured",
    "image.named",
    "image.aside",
    # the spawner
    "spawner.taken",
    # the supervisor
    "supervisor.begun",
    "supervisor.pipes",
    "supervisor.cloned",
    "supervisor.recorded",
    "supervisor.opened",
    "supervisor.told",
    "supervisor.ended",
    "supervisor.exit-recorded",
    # the first process
    "first.begun",
    "first.scene",
)


def parse_failpoints(environment: Mapping[str, str]) -> dict[str, str]:
    """Step -> action; nothing unless test mode is on."""
    if environment.get("CGWARDEN_TEST_MODE") != "1":
        return {}
    parts = (part.partition(":") for part in environment.get("CGWARDEN_FAILPOINT", "").split(",") if part)
    return {step.strip(): action.strip() for step, _, action in parts}


_ARMED: Final = parse_failpoints(os.environ)


def reach(step: str) -> None:
    """Pass a step, or do what it is armed with."""
    if _ARMED and step in _ARMED:
        _act(step, _ARMED[step])


def _act(step: str, action: str) -> None:
    word, _, amount = action.partition("=")
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
        os._exit(128 + signal.SIGKILL)  # the first process of a pid namespace does not hear its own signals
    elif word == "delay":
        time.sleep(int(amount or 0) / 1000)
    elif word == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), step)
    elif word:
        raise OSError(errno.EIO, os.strerror(errno.EIO), step)
