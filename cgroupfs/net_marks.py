"""The marks that a container's packets carry: controllers ``net_cls`` (a class) and ``net_prio`` (v1 alone).

Documentation/admin-guide/cgroup-v1/net_cls.rst and net_prio.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from cgroupfs.errors import BadLimit, NotMounted, NotOffered
from cgroupfs.host import Host
from cgroupfs.statistic import Dirs
from cgroupfs.values import parse_int
from cgroupfs.wishes import Wanted, check_whole, is_lifted
from cgroupfs.writes import Write

CLASSID: Final = "net_cls.classid"
PRIO: Final = "net_prio.ifpriomap"
MOST: Final = 0xFFFFFFFF  # of more the kernel makes 0


class NetMarks(NamedTuple):
    """v1 marks; None: the hierarchy is not mounted."""

    classid: int | None
    prio: dict[str, int] | None


def parse_ifpriomap(text: str) -> dict[str, int]:
    """``net_prio.ifpriomap``: one ``interface priority`` a line."""
    priorities = {}
    for line in text.splitlines():
        name, _, number = line.rpartition(" ")
        priorities[name] = parse_int(number, PRIO)
    return priorities


def read_marks(dirs: Dirs) -> NetMarks:
    """The container's ``net_cls`` class and ``net_prio`` priorities."""
    classid = dirs["net_cls"].read(CLASSID) if "net_cls" in dirs else None
    prio = dirs["net_prio"].read(PRIO) if "net_prio" in dirs else None
    return NetMarks(
        None if classid is None else parse_int(classid, CLASSID),
        None if prio is None else parse_ifpriomap(prio),
    )


def plan_limits(dirs: Dirs, wanted: Wanted, host: Host) -> list[Write]:
    """Writes for ``net_classid`` and ``net_prio`` in `wanted`; lifted they are 0.

    BadLimit; NotMounted where mounting would help, else NotOffered.
    """
    if wanted.keys().isdisjoint({"net_classid", "net_prio"}):
        return []
    now = read_marks(dirs)
    writes = []
    if "net_classid" in wanted:
        value = wanted["net_classid"]
        classid = 0 if is_lifted(value) else check_whole("net_classid", value, 0, MOST)
        if now.classid is None:
            raise _not_offered(dirs, "net_cls", CLASSID, host)
        if classid != now.classid:
            writes.append(Write("net_cls", CLASSID, str(classid)))
    if "net_prio" in wanted:
        if now.prio is None:
            raise _not_offered(dirs, "net_prio", PRIO, host)
        writes += _plan_prio(now.prio, wanted["net_prio"])
    return writes


def _plan_prio(now: Mapping[str, int], value: object) -> list[Write]:
    """One interface per write; one of which this network namespace has none would be refused (ENODEV)."""
    if is_lifted(value):
        value = dict.fromkeys(now)
    if not isinstance(value, Mapping):
        raise BadLimit("net_prio", 'is a mapping such as {"eth0": 5}')
    unknown = [str(name)[:20] for name in value if name not in now]
    if unknown:
        raise BadLimit("net_prio", f"there is no interface {unknown[0]!r} here")
    chosen = {
        name: 0 if is_lifted(prio) else check_whole("net_prio", prio, 0, MOST) for name, prio in value.items()
    }
    return [
        Write("net_prio", PRIO, f"{name} {prio}", key=name)
        for name, prio in chosen.items()
        if prio != now[name]
    ]


def _not_offered(dirs: Dirs, controller: str, file: str, host: Host) -> NotOffered:
    """Which of three: the kernel lacks it, nobody mounted it, or the group is older than the mount."""
    if controller in dirs:
        return NotOffered(dirs[controller].path, file)
    hierarchy = host.read_controllers().get(controller)
    if hierarchy is None:
        return NotOffered(controller, file)
    if hierarchy == 0:
        return NotMounted(controller, file, f"nobody has mounted it on this host, so there is no {file}")
    why = f"the group has no {file}: it is older than the mount, or the mount cannot be seen from here"
    return NotMounted(controller, file, why)
