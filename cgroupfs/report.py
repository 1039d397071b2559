"""What each hierarchy offers, and what a host without some of it cannot do: for `doctor` and for people.

Nothing is changed to find out, so a controller of the unified tree that no group has yet shows no files.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cgroupfs.errors import CgroupGone
from cgroupfs.fields import Field, FileName, read_fields
from cgroupfs.files import ControlDir
from cgroupfs.mounts import Place

DEPTH: Final = 2  # a parent of containers and its children; deeper groups offer nothing else
WIDTH: Final = 20
_PAGE_SIZE: Final = re.compile(r"^hugetlb\.[0-9]+[KMG]B\.")


@dataclass(frozen=True, slots=True)
class Loss:
    """Fields that are null here.

    Attributes:
        fields: as ``area.name``.
        files: those that would give them; empty if this interface has none at all.
        cost: what that means for people, where the fields' names do not tell.
        why: when that is so.
    """

    fields: tuple[str, ...]
    files: tuple[str, ...]
    cost: str
    why: str


@dataclass(frozen=True, slots=True)
class HierarchyReport:
    """One controller, for people.

    Attributes:
        kind: which interface, or "not mounted".
        offered: kernel files found in its root and in groups below.
        missing: kernel files that would be used and are not there.
        cost_usec: what one small read took just now.
        known: some group has the controller, so that `missing` and `lost` say something.
        fields: what works, as ``area.name``.
        lost: what does not.
    """

    controller: str
    mounted_at: str | None
    kind: str
    offered: tuple[str, ...]
    missing: tuple[str, ...]
    cost_usec: float | None
    known: bool = True
    fields: tuple[str, ...] = ()
    lost: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at one place."""

    files: frozenset[str]
    known: bool
    cost_usec: float


def make_reports(places: Mapping[str, Place], unmounted: tuple[str, ...]) -> list[HierarchyReport]:
    """A report for each controller, sorted; then those that the kernel has and nobody has mounted."""
    looks = {name: _look(place) for name, place in places.items()}
    rows = assign(places, unmounted)
    reports = [judge(place, looks[name], rows.get(name, ()), looks) for name, place in sorted(places.items())]
    return reports + [
        HierarchyReport(name, None, "not mounted", (), (), None, lost=_lose(rows.get(name, ()), ()))
        for name in unmounted
    ]


def assign(
    places: Mapping[str, Place], unmounted: tuple[str, ...]
) -> dict[str, tuple[tuple[Field, str], ...]]:
    """Controller -> its fields, each with the interface that serves it on this host."""
    found: dict[str, list[tuple[Field, str]]] = {}
    for field in read_fields():
        home = _home(field, places) or next(((name, "v1") for name, _ in field.v1 if name in unmounted), None)
        if home is not None:
            found.setdefault(home[0], []).append((field, home[1]))
    return {name: tuple(fields) for name, fields in found.items()}


def _home(field: Field, places: Mapping[str, Place]) -> tuple[str, str] | None:
    """The controller where people look for the field, and its interface there."""
    for name, _ in field.v1 or field.v2:
        if name != "unified" and name in places:
            return name, places[name].kind
    return next(((name, "v2") for name, _ in field.v2 if name in places), None)


def judge(
    place: Place, look: Look, rows: tuple[tuple[Field, str], ...], looks: Mapping[str, Look]
) -> HierarchyReport:
    """What works and what does not; a field works if one of its files is there."""
    works: list[str] = []
    lost: list[Loss] = []
    missing: list[str] = []
    for field, kind in rows if look.known else ():
        files = field.files(kind)
        absent = [name for name in files if name.controller in looks and not _offers(looks, name)]
        missing += [file for controller, file in absent if controller == place.controller]
        if any(_offers(looks, name) for name in files):
            works += _names(field)
        else:
            lost += _lose(((field, kind),), tuple(file for _, file in files))
    return HierarchyReport(
        place.controller,
        place.mounted_at,
        place.kind,
        tuple(sorted(look.files)),
        tuple(dict.fromkeys(missing)),
        look.cost_usec,
        look.known,
        tuple(works),
        tuple(lost),
    )


def _offers(looks: Mapping[str, Look], name: FileName) -> bool:
    look = looks.get(name.controller)
    return look is not None and name.file in look.files


def _lose(rows: tuple[tuple[Field, str], ...], files: tuple[str, ...]) -> tuple[Loss, ...]:
    return tuple(Loss(_names(field), files, field.cost, field.absent) for field, _ in rows)


def _names(field: Field) -> tuple[str, ...]:
    if field.action:
        return (f"{field.area} {field.names[1]}",)
    return tuple(f"{field.area}.{name}" for name in field.names)


def _look(place: Place) -> Look:
    """The files in the root, which lacks some, and in groups below that have the controller."""
    with contextlib.closing(ControlDir.open(place.mounted_at)) as top:
        files, cost_usec = top.files(), _measure(top)
        # The root of all groups has no events and no freezer; that of a namespace has, and then it tells.
        known = place.controller == "unified" and "cgroup.events" in files
        for below in _walk(top, DEPTH):
            if _has(below, place):
                known = True
                files |= below.files()
    return Look(frozenset(_PAGE_SIZE.sub("hugetlb.SIZE.", name) for name in files), known, cost_usec)


def _has(directory: ControlDir, place: Place) -> bool:
    if place.kind == "v1" or place.controller == "unified":
        return True
    name = "io" if place.controller == "blkio" else place.controller
    return name in (directory.read("cgroup.controllers") or "").split()


def _walk(top: ControlDir, depth: int) -> Iterator[ControlDir]:
    for name in top.children()[:WIDTH] if depth else ():
        with contextlib.suppress(CgroupGone), contextlib.closing(top.open_child(name)) as child:
            yield child
            yield from _walk(child, depth - 1)


def _measure(directory: ControlDir) -> float:
    start = time.perf_counter()
    directory.read_bytes("cgroup.procs")
    return (time.perf_counter() - start) * 1e6
