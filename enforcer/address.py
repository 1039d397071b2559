"""The address rail, for policies and people alike: root, own and PID 1's cgroups are never changed."""

from __future__ import annotations

from pathlib import Path

from enforcer.errors import Forbidden


def read_own_cgroups() -> frozenset[str]:
    """Paths that this process and PID 1 live in, over all hierarchies."""
    return frozenset(
        parse_proc_cgroup(_read(Path("/proc/self/cgroup"))) | parse_proc_cgroup(_read(Path("/proc/1/cgroup")))
    )


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def parse_proc_cgroup(text: str) -> set[str]:
    """The paths of `/proc/PID/cgroup`: lines of `id:controllers:path`."""
    return {line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2}


def check_address(path: str, own: frozenset[str]) -> None:
    """Raise `Forbidden` unless `path` is a cgroup that may be changed."""
    parts = path.split("/")
    if not path.startswith("/") or not path.strip("/"):
        raise Forbidden(path, "it is the root, or no path at all")
    if any(part in ("", ".", "..") for part in parts[1:]):
        raise Forbidden(path, "it is not a plain path")
    if any(other == path or other.startswith(f"{path}/") for other in own):
        raise Forbidden(path, "the daemon itself or PID 1 lives in it")
