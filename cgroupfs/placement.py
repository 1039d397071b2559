"""Where on a host our groups belong, and who must step aside so that they can have controllers.

Three grounds differ: systemd's, which leaves alone only what it has delegated; a cgroup namespace's, whose
top looks like the root of all groups and is not; and a host of our own. `Ground` says what is there,
`decide` is pure, and `settle` applies. systemd: CGROUP_DELEGATION.md; Linux: cgroup-v2.rst, "Delegation".
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cgroupfs import subtree
from cgroupfs.errors import CgroupError, CgroupGone, Refused
from cgroupfs.files import ControlDir
from cgroupfs.namespace import parse_proc_cgroup

if TYPE_CHECKING:
    from cgroupfs.hierarchies import Hierarchies

LEAF: Final = "daemon"  # also what `DelegateSubgroup=` in our unit says
MOVE_ROUNDS: Final = 20  # processes that fork while they are moved leave children behind
DELEGATED: Final = ("user.delegate", "trusted.delegate")  # the first since systemd 251
ADVICE: Final = (
    f"run it as a service with Delegate=yes, DelegateSubgroup={LEAF} and KillMode=process, or with"
    " `systemd-run --scope -p Delegate=yes`"
)


@dataclass(frozen=True, slots=True)
class Ground:
    """What there is, as one process sees it; paths start at the top of its cgroup namespace.

    Attributes:
        own: the group that the process is in.
        exempt: the tree's top is the root of all groups, which may hold processes and hand controllers down.
        hands_down: groups get controllers from the unified tree, so none of their parents may hold processes.
        systemd: systemd runs here.
        delegated: groups that systemd has delegated, of those that could be ours.
    """

    own: str
    exempt: bool
    hands_down: bool
    systemd: bool = False
    delegated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where groups go.

    Attributes:
        base: from here downwards the tree is ours; above it no file of a group that is there is written. In
            v1 hierarchies the groups above it are made where missing.
        parent: the parent of all containers.
        leaf: where processes of the base itself go first; None: they may stay.
        why: one line for people.
        advice: what would be better; empty if this is as it should be.
    """

    base: str
    parent: str
    leaf: str | None
    why: str
    advice: str = ""


def decide(ground: Ground, name: str) -> Placement:
    """Where the groups of the parent `name` go."""
    for base in _own_bases(ground.own) if ground.systemd else ():
        if base in ground.delegated:
            return _within(base, name, ground.hands_down, f"systemd has delegated {base} to this service")
    if ground.systemd and (others := sorted(ground.delegated)):
        return _within(others[0], name, False, f"systemd has delegated {others[0]}, which is named as ours")
    if ground.systemd:
        return _within("/", name, False, "systemd runs this host and has delegated no group to us", ADVICE)
    if ground.exempt or not ground.hands_down:
        return _within("/", name, False, "nobody else manages the groups of this host")
    return _within("/", name, True, "this cgroup namespace is ours; its processes make room")


def _own_bases(own: str) -> tuple[str, ...]:
    """Our own unit: the group that we are in, or its parent where we are in the leaf already.

    Not any ancestor: below ``user@1000.service``, say, another service manager is the one who writes.
    """
    above, _, last = own.rpartition("/")
    return (own, above) if last == LEAF and above else (own,)


def _within(base: str, name: str, move: bool, why: str, advice: str = "") -> Placement:
    stem = base.rstrip("/")
    return Placement(base, f"{stem}/{name}", f"{stem}/{LEAF}" if move else None, why, advice)


def read_ground(hierarchies: Hierarchies, name: str, root: str = "/") -> Ground:
    """What there is for this process and a parent called `name`; `root` is for fake trees."""
    systemd = Path(root, "run/systemd/system").is_dir()
    unified = hierarchies.places.get("unified")
    if unified is None:
        return Ground(own="/", exempt=True, hands_down=False, systemd=systemd)
    own = parse_proc_cgroup(os.fsdecode(Path(root, "proc/self/cgroup").read_bytes())).get("unified", "/")
    own = own.removeprefix(unified.root.rstrip("/")) or "/"
    with contextlib.closing(ControlDir.open(unified.mounted_at)) as top:
        served = subtree.read_words(top, "cgroup.controllers").intersection(subtree.SERVED)
        exempt = top.read("cgroup.type") is None
    candidates = (*_own_bases(own), *_named_as_ours(unified.mounted_at, name)) if systemd else ()
    delegated = tuple(dict.fromkeys(path for path in candidates if is_delegated(unified.mounted_at + path)))
    return Ground(own, exempt, bool(served), systemd, delegated)


def is_delegated(directory: str) -> bool:
    """Has systemd marked the group as one into which it does not reach?"""
    for attribute in DELEGATED:
        with contextlib.suppress(OSError):  # ENODATA: not marked; others: not to be told, which is no
            if os.getxattr(directory, attribute) == b"1":
                return True
    return False


def _named_as_ours(mounted_at: str, name: str) -> Iterator[str]:
    """Units ``NAME….scope`` and ``NAME….service``, in a slice at the top."""
    for slice_ in _children(mounted_at):
        if slice_.endswith(".slice"):
            for unit in _children(f"{mounted_at}/{slice_}"):
                stem, _, kind = unit.rpartition(".")
                if kind in ("scope", "service") and (stem == name or stem.startswith(f"{name}-")):
                    yield f"/{slice_}/{unit}"


def _children(directory: str) -> list[str]:
    with contextlib.suppress(CgroupGone), contextlib.closing(ControlDir.open(directory)) as held:
        return held.children()
    return []


def place(hierarchies: Hierarchies, name: str) -> Placement:
    """Where the groups of a parent called `name` go on this host; changes nothing."""
    return decide(read_ground(hierarchies, name), name)


def settle(hierarchies: Hierarchies, placement: Placement) -> Hierarchies:
    """Make room in the base, and give the hierarchies that enable controllers from there downwards only.

    Call it before other processes are forked, so that they are born in the leaf. `Refused` where a process
    cannot be moved.
    """
    unified = hierarchies.places.get("unified")
    if placement.leaf is not None and unified is not None:
        _move_aside(unified.mounted_at + placement.base.rstrip("/"), placement.leaf.rpartition("/")[2])
    return hierarchies.within(placement.base)


def _move_aside(base: str, leaf: str) -> None:
    with contextlib.ExitStack() as opened:
        parent = opened.enter_context(contextlib.closing(ControlDir.open(base)))
        if not subtree.read_missing(parent):
            return
        for _ in range(MOVE_ROUNDS):
            pids = (parent.read("cgroup.procs") or "").split()
            if not pids:
                return
            parent.make_child(leaf)
            child = opened.enter_context(contextlib.closing(parent.open_child(leaf)))
            for pid in pids:
                _move(child, pid)
        raise CgroupError(f"{base}: new processes keep coming into this group; stop them, or use another")


def _move(leaf: ControlDir, pid: str) -> None:
    try:
        leaf.write("cgroup.procs", pid)
    except Refused as e:
        if e.errno != errno.ESRCH:  # it has ended meanwhile
            raise
