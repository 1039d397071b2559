"""Capture one working container's cgroup from this kernel: `python -m tests.trees.capture FILE`, as root."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cgroupfs import Cgroup, Hierarchies
from tests.trees import pack
from tests.trees.work import container_at_work

_LEFT_OUT: Final = ("memory.kmem.slabinfo", "memory.shown_ram_in_bytes")
_HOST: Final = (
    "proc/cgroups",
    "sys/devices/system/cpu/possible",
    "sys/devices/system/cpu/online",
    "sys/devices/system/node/online",
)
_ABOVE: Final = ("cgroup.procs", "cgroup.controllers", "cgroup.subtree_control", "cpuset.cpus", "cpuset.mems")


def main(file: str) -> None:
    """Run some work under limits and write the archive `file`."""
    hierarchies = Hierarchies.read()
    with container_at_work(hierarchies) as cgroup:
        files = dict(_read_tree(cgroup)) | _read_host()
    Path(file).write_text(_remark(hierarchies) + pack(files))


def _remark(hierarchies: Hierarchies) -> str:
    kinds = {place.kind for place in hierarchies.places.values()}
    how = "hybrid: v1 controllers beside a unified tree" if "v1" in kinds else "all in the unified tree (v2)"
    return f"Linux {os.uname().release.split('-')[0]}, {how}.\n"


def _read_tree(cgroup: Cgroup) -> Iterator[tuple[str, str]]:
    """The container's own files, and of the groups above it what planning and mounting look at."""
    parent = f"/{cgroup.path.split('/')[1]}"
    for directory in map(Path, sorted(set(cgroup.paths().values()))):
        top = directory.parent.parent
        looked_at = [
            *directory.iterdir(),
            *(above / name for above in (directory.parent, top) for name in _ABOVE),
        ]
        for file in sorted(looked_at):
            if file.name in _LEFT_OUT or not file.is_file() or not file.stat().st_mode & 0o444:
                continue
            with contextlib.suppress(OSError):  # files that are there to be written, or polled, alone
                text = "" if file.parent == top and file.name == "cgroup.procs" else file.read_text()
                yield str(file).lstrip("/").replace(parent, "/cgwarden"), text


def _read_host() -> dict[str, str]:
    mounts = Path("/proc/self/mountinfo").read_text().splitlines(keepends=True)
    files = {name: Path("/", name).read_text() for name in _HOST}
    return files | {"proc/self/mountinfo": "".join(line for line in mounts if " - cgroup" in line)}


if __name__ == "__main__":
    main(sys.argv[1])
