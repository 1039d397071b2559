"""The host's cgroup hierarchies as one: a container has one directory at the same path in each."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from cgroupfs import subtree, tree
from cgroupfs.cgroup import Cgroup
from cgroupfs.errors import CgroupError, CgroupGone, NoCgroups
from cgroupfs.files import ControlDir
from cgroupfs.host import Disk, Host
from cgroupfs.io_counting import begin_counting
from cgroupfs.mounts import Place, controller_of, find_places, parse_mountinfo, parse_proc_cgroups
from cgroupfs.namespace import localise, parse_proc_cgroup
from cgroupfs.readers import Readers, choose_readers
from cgroupfs.report import HierarchyReport, make_reports

# What the unified tree does by other means: a program on a directory, files of its own, the directory.
DONE_BY_UNIFIED = frozenset({"cpuacct", "devices", "freezer", "perf_event"})
CREATE_TRIES = 5  # a parent that is removed as empty while we make a child in it


class Hierarchies:
    """Every mounted hierarchy, and the classes that serve them."""

    def __init__(
        self, places: Mapping[str, Place], host: Host, unmounted: tuple[str, ...] = (), base: str = "/"
    ) -> None:
        """`base`: the group above which others see to controllers and cpusets, so that none is written."""
        self.places = dict(places)
        self.base = tuple(name for name in base.split("/") if name)
        self.host = host
        self._making = threading.Lock()  # nobody is to find a cpuset that was just made, and is empty still
        self._unmounted = unmounted
        self._readers = choose_readers(places)
        self._mounts = sorted({place.mounted_at for place in places.values()})
        # A new group of an older hierarchy has no CPUs; in the unified tree it uses its parent's.
        cpuset, unified = places.get("cpuset"), places.get("unified")
        self._seeded = cpuset.mounted_at if cpuset is not None and cpuset.kind == "v1" else None
        self._unified = None if unified is None else unified.mounted_at
        blkio = places.get("blkio")
        self._counting = blkio.mounted_at if blkio is not None and blkio.kind == "v1" else None
        self._counted: set[Disk] = set()
        # Two fds per container: identity and freezing ask these often; the others are opened when needed.
        self._kept = {places[name].mounted_at for name in ("memory", "unified") if name in places}

    @classmethod
    def read(cls, root: str = "/") -> Hierarchies:
        """Ask the kernel what is mounted; `root` is for fake trees. `NoCgroups` on a host of another kind."""
        base = Path(root)
        try:
            mounts = parse_mountinfo(os.fsdecode((base / "proc/self/mountinfo").read_bytes()))
        except FileNotFoundError as e:
            raise NoCgroups("cannot read /proc/self/mountinfo; mount /proc") from e
        own = _read_own(base)
        mounts = tuple(
            localise(mount._replace(mounted_at=str(base / mount.mounted_at.lstrip("/"))), own)
            for mount in mounts
        )
        places = find_places(mounts, _read_offered)
        return cls(places, Host(root), _read_unmounted(base, places))

    def within(self, base: str) -> Hierarchies:
        """The same, but no file of a group above `base` is written, if that was there.

        In v1 hierarchies the groups above are made where missing. `NoCgroups` if what is handed down to
        `base` does not suffice.
        """
        places = self.places
        offered = None if self._unified is None else _read_offered(self._unified + base.rstrip("/"))
        if offered is not None:
            names = {"unified", *(controller_of(name) for name in offered.split())}
            places = {name: place for name, place in places.items() if place.kind == "v1" or name in names}
        return Hierarchies(places, self.host, self._unmounted, base)

    def based(self, base: str) -> Hierarchies:
        """The same as `within`, whatever is handed down to `base`."""
        return Hierarchies(self.places, self.host, self._unmounted, base)

    @property
    def readers(self) -> Readers:
        return self._readers

    def cgroup(self, path: str) -> Cgroup:
        """Hold the existing cgroup `path` in every hierarchy; `CgroupGone` if it is in none that counts."""
        names = tree.split_path(path)
        held: dict[str, ControlDir] = {}
        for mounted_at in self._mounts:
            with contextlib.suppress(CgroupGone):
                held[mounted_at] = tree.open_directory(mounted_at, names, keep=mounted_at in self._kept)
        dirs = {
            name: held[place.mounted_at] for name, place in self.places.items() if place.mounted_at in held
        }
        if "memory" not in dirs and "unified" not in dirs:
            raise CgroupGone(path)
        return Cgroup("/" + "/".join(names), dirs, self._readers, self.host)

    def create(self, path: str) -> Cgroup:
        """Make `path` in every hierarchy, parents too, and hold it; undo what was made if one part fails.

        In the unified tree its parents hand controllers down: `Refused` where one of them holds processes, or
        has an empty v1 cpuset and is above the base.
        """
        names = tree.split_path(path)
        for attempt in range(1, CREATE_TRIES + 1):
            try:
                with self._making:
                    self._make(names)
                return self.cgroup(path)
            except CgroupGone:
                if attempt == CREATE_TRIES:
                    raise
        raise AssertionError("unreachable")

    def _make(self, names: tuple[str, ...]) -> None:
        made: dict[str, list[tuple[str, ...]]] = {}
        try:
            for mounted_at in self._mounts:
                new = made.setdefault(mounted_at, [])
                tree.make_directory(
                    mounted_at,
                    names,
                    new,
                    seed_from=len(self.base) if mounted_at == self._seeded else None,
                    hand_down_from=len(self.base) if mounted_at == self._unified else None,
                    begin=self._begin if mounted_at == self._counting else None,
                )
        except (CgroupError, OSError):
            for mounted_at, new in made.items():
                tree.unmake(mounted_at, new)
            raise

    def _begin(self, group: ControlDir) -> None:
        begin_counting(group, self.host, self._counted)

    def remove(self, path: str, *, recursive: bool = True) -> None:
        """Remove `path` from every hierarchy, children first; nothing to do where it is not. Kills nothing.

        `Refused`, naming the pids, if it is still in use after a short wait.
        """
        names = tree.split_path(path)
        for mounted_at in self._mounts:
            tree.remove_directory(mounted_at, names, recursive=recursive)

    def children(self, path: str) -> set[str]:
        """Names of the cgroups below `path` in any hierarchy."""
        names = tuple(name for name in path.split("/") if name)
        return {child for mounted_at in self._mounts for child in tree.list_children(mounted_at, names)}

    def report(self) -> list[HierarchyReport]:
        """What each hierarchy offers and lacks, as far as groups that are there show it; changes nothing."""
        return make_reports(self.places, self._unmounted)

    def probe(self, name: str) -> list[HierarchyReport]:
        """The same with a group `name` made for it in the base, and afterwards gone with all that it needed.

        Where it cannot be made, what the others show.
        """
        path = "/".join(("", *self.base, name))
        with contextlib.ExitStack() as undo:
            if self._unified is not None:
                base = undo.enter_context(contextlib.closing(tree.open_directory(self._unified, self.base)))
                before = subtree.read_words(base, subtree.CONTROL)
                undo.callback(
                    lambda: subtree.disable(base, subtree.read_words(base, subtree.CONTROL) - before)
                )
            with contextlib.suppress(CgroupError, OSError):
                self.create(path).close()
                undo.callback(self.remove, path)
            return self.report()


def _read_offered(mounted_at: str) -> str | None:
    # A mount that mountinfo lists and that cannot be reached, being covered by another, offers nothing.
    with contextlib.suppress(CgroupGone), contextlib.closing(ControlDir.open(mounted_at)) as directory:
        return directory.read("cgroup.controllers")
    return None


def _read_own(base: Path) -> dict[str, str]:
    """The groups that this process is in; none on a fake tree that does not tell."""
    try:
        return parse_proc_cgroup(os.fsdecode((base / "proc/self/cgroup").read_bytes()))
    except FileNotFoundError:
        return {}


def _read_unmounted(base: Path, places: Mapping[str, Place]) -> tuple[str, ...]:
    try:
        known = parse_proc_cgroups((base / "proc/cgroups").read_text())
    except FileNotFoundError:
        return ()
    done = DONE_BY_UNIFIED if "unified" in places else frozenset()
    return tuple(
        controller.name
        for controller in known
        if controller.enabled and controller.name not in places and controller.name not in done
    )
