"""Our default seccomp profile as an OCI bundle says it, so that runc loads the same filter."""

from __future__ import annotations

import os
from typing import Any

from launcher.scene.capabilities import DEFAULT
from launcher.seccomp import profile


def seccomp_of_default() -> dict[str, Any]:
    """`linux.seccomp` of a bundle: what of the profile applies here, with the conditions already decided."""
    document = profile.read_default()
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    major, minor = (int(part) for part in os.uname().release.split(".")[:2])
    entries = zip(document["syscalls"], profile.parse_profile(document).entries, strict=True)
    kept = ("names", "action", "errnoRet", "args")
    return {
        "defaultAction": document["defaultAction"],
        "defaultErrnoRet": document.get("defaultErrnoRet", 1),
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
        if arch == "amd64"
        else ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "syscalls": [
            {key: written[key] for key in kept if key in written}
            for written, entry in entries
            if entry.applies(frozenset(DEFAULT), arch, (major, minor))
        ],
    }
