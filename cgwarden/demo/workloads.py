"""The demo's four containers as the API takes them."""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from typing import Any

MIB = 1 << 20
_PYTHON = "/usr/bin/python3"


def read_specs() -> list[dict[str, Any]]:
    """Bodies for `POST /api/v1/containers`, one for each program."""
    return [
        _spec(
            "web",
            "guaranteed",
            {"app": "web"},
            {"memory_max_bytes": 128 * MIB, "cpu_max_cores": 1.0, "pids_max": 50},
        ),
        _spec("hog", "besteffort", {"app": "batch"}, {"memory_max_bytes": 128 * MIB, "pids_max": 1024}),
        _spec(
            "leaker",
            "burstable",
            {"app": "leaker", "headroom": "auto", "oom-guard": "freeze"},
            {"memory_max_bytes": 96 * MIB, "pids_max": 50},
        ),
        _spec(
            "writer",
            "burstable",
            {"app": "writer"},
            {"memory_max_bytes": 96 * MIB, "cpu_max_cores": 0.5, "pids_max": 50},
        ),
    ]


def _spec(name: str, klass: str, labels: dict[str, str], limits: dict[str, object]) -> dict[str, Any]:
    program = (files("cgwarden.demo.programs") / f"{name}.py").read_text(encoding="utf-8")
    return {
        "name": name,
        "rootfs": "/",
        "command": [_python(), "-I", "-c", program],
        "env": {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        "network": "none",
        "class": klass,
        "labels": labels,
        "limits": limits,
        "stop_timeout_sec": 2,
    }


def _python() -> str:
    """Debian's interpreter; else the real file of ours, as a virtual environment may lie outside the root."""
    return _PYTHON if os.access(_PYTHON, os.X_OK) else os.path.realpath(sys.executable)
