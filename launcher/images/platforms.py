"""Which of the images in an index is for this machine (OCI image-spec image-index.md, GOARCH names)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

_ARCHITECTURES: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
MACHINE: Final = _ARCHITECTURES.get(os.uname().machine, os.uname().machine)


def fits(platform: Mapping[str, Any]) -> bool:
    """Whether an image of this platform runs here; one that says nothing may."""
    return bool(platform.get("os", "linux") == "linux" and platform.get("architecture", MACHINE) == MACHINE)
