"""Where the top of our own cgroup namespace lies in a mount that was made outside of it.

Such a mount shows as ``/..`` in field 4 of mountinfo, and its top is a group that is not ours. The kernel
tells how far up it is and not the names in between, so the group is found by looking for ourselves.
cgroup_namespaces(7).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from cgroupfs.errors import CgroupGone, ParseError
from cgroupfs.files import ControlDir
from cgroupfs.mounts import Mount
from cgroupfs.values import split_lines

MOST_LOOKED_AT = 10_000  # directories; a host with more has them all in one place, and then ours is not found


def parse_proc_cgroup(text: str) -> dict[str, str]:
    """``/proc/PID/cgroup`` as controller -> path; key ``unified`` is the v2 tree, ``name=x`` a named one.

    The kernel appends `` (deleted)`` for a process whose group was removed; such a path is left out.
    """
    paths: dict[str, str] = {}
    for line in split_lines(text):
        number, colon, rest = line.partition(":")
        names, slash, path = rest.partition(":")
        if not (colon and slash and number.isascii() and number.isdigit() and path.startswith("/")):
            raise ParseError("/proc/self/cgroup", line)
        if not path.endswith(" (deleted)"):
            paths |= dict.fromkeys(names.split(",") if names else ["unified"], path)
    return paths


def localise(mount: Mount, own: Mapping[str, str]) -> Mount:
    """The mount as if made in our namespace, so that paths in it are those of ``/proc/self/cgroup``.

    Unchanged where it was, or where our group cannot be found in it.
    """
    ups = [name for name in mount.root.split("/") if name]
    key = "unified" if mount.kind == "v2" else next(iter(sorted(mount.controllers)), "")
    if not ups or set(ups) != {".."} or key not in own:
        return mount
    below = own[key].strip("/")
    for directory in _walk_to(mount.mounted_at, len(ups)):
        if _holds(f"{directory}/{below}".rstrip("/"), os.getpid()):
            return mount._replace(mounted_at=directory, root="/")
    return mount


def _walk_to(top: str, depth: int) -> Iterator[str]:
    """Directories exactly `depth` below `top`."""
    level, looked_at = [top], 0
    for _ in range(depth):
        deeper: list[str] = []
        for path in level:
            with contextlib.suppress(CgroupGone), contextlib.closing(ControlDir.open(path)) as directory:
                deeper += [f"{path}/{name}" for name in directory.children()]
            if (looked_at := looked_at + 1) > MOST_LOOKED_AT:
                return
        level = deeper
    yield from level


def _holds(path: str, pid: int) -> bool:
    with contextlib.suppress(CgroupGone), contextlib.closing(ControlDir.open(path)) as directory:
        return str(pid) in (directory.read("cgroup.procs") or "").split()
    return False
