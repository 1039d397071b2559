"""Making, finding and removing a container's directories in every hierarchy: all of them or none.

Nothing here kills a process: a directory that is still in use is refused with the pids that use it.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from cgroupfs import subtree
from cgroupfs.errors import CgroupError, CgroupGone, Refused
from cgroupfs.files import ControlDir
from cgroupfs.numa import seed_cpuset
from cgroupfs.values import parse_pids

BUSY_RETRY_SEC: Final = 1.0  # a killed task leaves its cgroup when it has exited, up to 0.3 s later
POLL_SEC: Final = 0.005
LONGEST_NAME: Final = 255


def split_path(path: str) -> tuple[str, ...]:
    """The names in a path such as ``/cgwarden/web``; `CgroupError` for one that could lead elsewhere."""
    names = tuple(name for name in path.split("/") if name)
    bad = [
        name
        for name in names
        if name in (".", "..") or "\0" in name or "\n" in name or len(name) > LONGEST_NAME
    ]
    if bad or not names:
        raise CgroupError(f"{path[:60]!r} is not a cgroup path such as /cgwarden/web")
    return names


def open_directory(mounted_at: str, names: Iterable[str], *, keep: bool = True) -> ControlDir:
    """The directory `names` below a mount; `CgroupGone` if there is none."""
    return ControlDir.open("/".join((mounted_at.rstrip("/"), *names)), keep=keep)


def make_directory(
    mounted_at: str,
    names: tuple[str, ...],
    made: list[tuple[str, ...]],
    *,
    seed_from: int | None = None,
    hand_down_from: int | None = None,
    begin: Callable[[ControlDir], None] | None = None,
) -> None:
    """``mkdir -p`` in one hierarchy; `made` gets what was new, outermost first.

    `seed_from`: give empty cpusets what their parents have, new ones and all below this depth; `Refused`
    where one above it was there and has nothing to give. `hand_down_from`: enable controllers in all
    directories but the last, from this depth on. `begin`: what to do with the last one if it is new.
    """
    with contextlib.ExitStack() as opened:
        parent = ControlDir.open(mounted_at)
        opened.callback(parent.close)
        for depth, name in enumerate(names, start=1):
            if is_new := parent.make_child(name):
                made.append(names[:depth])
            child = parent.open_child(name)
            opened.callback(child.close)
            if hand_down_from is not None and depth > hand_down_from:
                subtree.enable(parent)
            if seed_from is not None and (is_new or depth > seed_from):
                seed_cpuset(child, parent)
            if begin is not None and is_new and depth == len(names):
                begin(child)
            parent = child


def unmake(mounted_at: str, made: list[tuple[str, ...]]) -> None:
    """Take back the directories that `make_directory` made, as far as nobody uses them meanwhile."""
    for names in reversed(made):
        with contextlib.suppress(CgroupGone, OSError), _held(mounted_at, names[:-1]) as parent:
            parent.remove_child(names[-1])


def remove_directory(mounted_at: str, names: tuple[str, ...], *, recursive: bool) -> None:
    """Remove one directory, children first, if it is there. `Refused`, naming pids, while in use."""
    with contextlib.suppress(CgroupGone), _held(mounted_at, names[:-1]) as parent:
        _remove(parent, names[-1], recursive, time.monotonic() + BUSY_RETRY_SEC)


def list_children(mounted_at: str, names: tuple[str, ...]) -> list[str]:
    """Names of the cgroups below; none if it is not there."""
    with contextlib.suppress(CgroupGone), _held(mounted_at, names) as directory:
        return directory.children()
    return []


@contextlib.contextmanager
def _held(mounted_at: str, names: Iterable[str]) -> Iterator[ControlDir]:
    directory = open_directory(mounted_at, names)
    try:
        yield directory
    finally:
        directory.close()


def _remove(parent: ControlDir, name: str, recursive: bool, deadline: float) -> None:
    if recursive:
        with contextlib.suppress(CgroupGone), contextlib.closing(parent.open_child(name)) as directory:
            for child in directory.children():
                _remove(directory, child, recursive, deadline)
    while True:
        try:
            parent.remove_child(name)
            return
        except OSError as e:
            final = e.errno != errno.EBUSY or (not recursive and _has_children(parent, name))
            if final or time.monotonic() >= deadline:
                raise _refusal(parent, name, e) from e
        time.sleep(POLL_SEC)


def _has_children(parent: ControlDir, name: str) -> bool:
    with contextlib.suppress(CgroupGone), contextlib.closing(parent.open_child(name)) as directory:
        return bool(directory.children())
    return False


def _refusal(parent: ControlDir, name: str, e: OSError) -> Refused:
    path = f"{parent.path.rstrip('/')}/{name}"
    why = e.strerror or "no reason given"
    with contextlib.suppress(CgroupGone), contextlib.closing(parent.open_child(name)) as directory:
        pids, children = read_pids(directory), directory.children()
        if pids:
            shown = ", ".join(str(pid) for pid in pids[:5])
            more = ", ..." if len(pids) > 5 else ""
            why = f"{len(pids)} processes are in it ({shown}{more}); stop them first"
        elif children:
            why = f"it has child groups ({', '.join(children[:5])}); remove them first"
    return Refused(path, "rmdir", "", e.errno or 0, why)


def read_pids(directory: ControlDir) -> list[int]:
    """Processes in the directory itself, those of other pid namespaces left out."""
    return parse_pids(directory.read("cgroup.procs") or "", "cgroup.procs")


def walk(directory: ControlDir) -> Iterator[ControlDir]:
    """The directory and all below it, children first; each is held only while it is looked at."""
    for name in directory.children():
        with contextlib.suppress(CgroupGone), contextlib.closing(directory.open_child(name)) as child:
            yield from walk(child)
    yield directory


def read_all_pids(directory: ControlDir) -> set[int]:
    """Processes in the directory and all below it."""
    pids: set[int] = set()
    for each in walk(directory):
        with contextlib.suppress(CgroupGone):
            pids.update(read_pids(each))
    return pids


def distinct(dirs: Mapping[str, ControlDir]) -> dict[str, ControlDir]:
    """One controller per directory: co-mounted ones share theirs."""
    return {directory.path: directory for directory in dirs.values()}
