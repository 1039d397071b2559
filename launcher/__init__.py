"""Containers on one host: started, supervised, stopped, adopted again after a crash, removed without a trace.

Names are imported when they are first used: the spawner imports this package too, and stays small.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launcher.attached import AttachedRun
    from launcher.beside.spawner import Spawner
    from launcher.container import Container, LauncherEvent
    from launcher.devices import DEFAULT_DEVICE_RULES
    from launcher.errors import (
        BadSpec,
        CannotInvoke,
        CommandNotFound,
        ContainerFrozen,
        LauncherError,
        LaunchFailed,
        MissingRoot,
        MountInTheWay,
        NameTaken,
        NotRunning,
        StillRunning,
        StopTimeout,
        SupervisorLost,
        TooLittleMemory,
        UnknownContainer,
    )
    from launcher.launcher import Launcher
    from launcher.logfile import LogLine
    from launcher.sessions import ExecSession, Stdio
    from launcher.spec import ContainerSpec, parse_signal

_MODULES = {
    "attached": "AttachedRun",
    "container": "Container LauncherEvent",
    "devices": "DEFAULT_DEVICE_RULES",
    "errors": "BadSpec CannotInvoke CommandNotFound ContainerFrozen LauncherError LaunchFailed MissingRoot "
    "MountInTheWay NameTaken NotRunning StillRunning StopTimeout SupervisorLost TooLittleMemory "
    "UnknownContainer",
    "launcher": "Launcher",
    "logfile": "LogLine",
    "sessions": "ExecSession Stdio",
    "beside.spawner": "Spawner",
    "spec": "ContainerSpec parse_signal",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "DEFAULT_DEVICE_RULES",
    "AttachedRun",
    "BadSpec",
    "CannotInvoke",
    "CommandNotFound",
    "Container",
    "ContainerFrozen",
    "ContainerSpec",
    "ExecSession",
    "LaunchFailed",
    "Launcher",
    "LauncherError",
    "LauncherEvent",
    "LogLine",
    "MissingRoot",
    "MountInTheWay",
    "NameTaken",
    "NotRunning",
    "Spawner",
    "Stdio",
    "StillRunning",
    "StopTimeout",
    "SupervisorLost",
    "TooLittleMemory",
    "UnknownContainer",
    "parse_signal",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'launcher' has no attribute {name!r}")
    return getattr(importlib.import_module(f"launcher.{_HOME[name]}"), name)
