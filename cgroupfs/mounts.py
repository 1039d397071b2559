"""Which controller is mounted where: told per controller from mountinfo, since one host can mix both kinds.

The options of a mount tell its controllers, never the directory's name; co-mounted ones share a directory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from cgroupfs.errors import ParseError
from cgroupfs.values import parse_flag, parse_int, split_lines

_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_V1_OPTIONS: Final = frozenset({"rw", "ro", "none", "clone_children", "xattr", "noprefix", "cpuset_v2_mode"})


class Mount(NamedTuple):
    """A cgroup mount; `controllers` is empty for the unified tree and for v1 hierarchies with just a name."""

    kind: str  # "v1" or "v2"
    mounted_at: str
    root: str
    controllers: frozenset[str]


class KnownController(NamedTuple):
    """A line of ``/proc/cgroups``; hierarchy 0: not bound to a v1 mount."""

    name: str
    hierarchy: int
    enabled: bool


class Place(NamedTuple):
    """Where one controller is served; `root` is the group that stands at `mounted_at`."""

    controller: str
    kind: str
    mounted_at: str
    root: str = "/"


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """The cgroup mounts of ``/proc/self/mountinfo``."""
    return tuple(mount for mount in map(_parse_mount, split_lines(text)) if mount is not None)


def _parse_mount(line: str) -> Mount | None:
    before, dash, after = line.partition(" - ")
    words, rest = before.split(" "), after.split(" ")
    if not dash or len(words) < 6 or not rest[0]:
        raise ParseError("mountinfo", line)
    if rest[0] not in ("cgroup", "cgroup2"):
        return None
    if len(rest) < 3:
        raise ParseError("mountinfo", line)
    mounted_at, root = _unescape(words[4]), _unescape(words[3])
    if rest[0] == "cgroup2":
        return Mount("v2", mounted_at, root, frozenset())
    names = (option for option in rest[2].split(",") if option not in _V1_OPTIONS and "=" not in option)
    return Mount("v1", mounted_at, root, frozenset(names))


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def parse_proc_cgroups(text: str) -> tuple[KnownController, ...]:
    """``/proc/cgroups``."""
    known = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 4:
            raise ParseError("/proc/cgroups", line)
        known.append(
            KnownController(
                words[0], parse_int(words[1], "/proc/cgroups"), parse_flag(words[3], "/proc/cgroups")
            )
        )
    return tuple(known)


def controller_of(name: str) -> str:
    """Our name for a controller of the unified tree, which calls one otherwise."""
    return "blkio" if name == "io" else name


def find_places(mounts: Iterable[Mount], read_offered: Callable[[str], str | None]) -> dict[str, Place]:
    """The place of each controller; key ``unified`` is the v2 tree itself.

    A v1 mount takes a controller away from the unified tree, so it is asked first. `read_offered` gives the
    ``cgroup.controllers`` of the unified tree mounted at a path.
    """
    places: dict[str, Place] = {}
    # The mount of a whole hierarchy, then a bind mount of a part, then one from outside our cgroup namespace.
    ordered = sorted(mounts, key=lambda mount: (mount.root != "/", mount.root.startswith("/..")))
    for mount in ordered:
        for controller in sorted(mount.controllers):
            places.setdefault(controller, Place(controller, "v1", mount.mounted_at, mount.root))
    for mount in ordered:
        if mount.kind == "v2" and "unified" not in places:
            places["unified"] = Place("unified", "v2", mount.mounted_at, mount.root)
            for controller in (read_offered(mount.mounted_at) or "").split():
                name = controller_of(controller)
                places.setdefault(name, Place(name, "v2", mount.mounted_at, mount.root))
    return places
