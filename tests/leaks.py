"""What a test may leave behind on a kernel, as one snapshot, so that before and after can be compared.

Two scopes. In CI nothing else uses the machine and everything on it counts. On a machine that others
use at the same time only what this run can be shown to own counts: cgroup parents that the fixture
``cgroup_parent`` named, mounts below this run's directories, links with our prefix, and processes that
carry this run's mark in their environment.
"""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from launcher.network.errors import NetworkUnavailable
from launcher.network.nft import Nft, RulesRefused

MARK: Final = "CGWARDEN_TEST_RUN"
PREFIXES: Final = ("cgwtest", "cgwarden")
_GRACE_SEC: Final = 5.0
_POLL_SEC: Final = 0.02
# Helpers of the test tools themselves, which live as long as the run.
_OF_THE_TOOLS: Final = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@dataclasses.dataclass(slots=True)
class Scope:
    """What counts.

    Attributes:
        everything: the whole machine is ours.
        parents: cgroup parents that this run named.
        directories: mounts below these are ours.
    """

    everything: bool
    parents: set[str] = dataclasses.field(default_factory=set)
    directories: set[str] = dataclasses.field(default_factory=set)

    def owns_parent(self, name: str) -> bool:
        """Whether a top-level cgroup of this name is this run's."""
        return name in self.parents or (self.everything and name.startswith(PREFIXES))

    def owns_mount(self, path: str) -> bool:
        """Whether a mount there is this run's."""
        return self.everything or any(path.startswith(top) for top in self.directories)

    def owns_link(self, name: str) -> bool:
        """Whether a network interface or a named network namespace is this run's."""
        return self.everything or name.startswith("cgw")


class Left(NamedTuple):
    """Everything of ours that exists at one instant, as text that people can read."""

    cgroups: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    links: frozenset[str]
    tables: frozenset[str]
    processes: frozenset[str]
    devices: frozenset[str]


def read_left(scope: Scope) -> Left:
    """The state of the kernel, as far as `scope` counts it."""
    return Left(
        cgroups=frozenset(_cgroups(scope)),
        mounts=frozenset(f"{path} ({kind})" for path, kind, _ in _mounts() if scope.owns_mount(path)),
        namespaces=frozenset(_namespaces(scope)),
        links=frozenset(name for name in _links() if scope.owns_link(name)),
        tables=frozenset(_tables(scope)),
        processes=frozenset(_processes()),
        devices=frozenset(_devices(scope)),
    )


def wait_for_no_leak(before: Left, scope: Scope) -> list[str]:
    """What is there now and was not before; the kernel gets a moment, since much of it ends lazily."""
    return _poll(lambda: _difference(before, read_left(scope)))


def remove_unmounted(directory: Path) -> None:
    """Remove a directory of ours, never through a mount: the host's own root may be bound there."""
    if left := [path for path, _, _ in _mounts() if path.startswith(f"{directory}/")]:
        raise AssertionError(f"{directory} was not removed, since these are still mounted in it: {left}")
    shutil.rmtree(directory)


def detach_mounts(directories: Iterable[str]) -> None:
    """Take off every mount below these: pytest deletes its old directories later, mounts or not."""
    ours = [path for path, _, _ in _mounts() if any(path.startswith(f"{top}/") for top in directories)]
    for path in reversed(ours):
        subprocess.run(["umount", "--lazy", path], check=True)


def _poll(look: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + _GRACE_SEC
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(_POLL_SEC)
    return found


def _difference(before: Left, after: Left) -> list[str]:
    return [
        f"{kind}: {thing}"
        for kind, old, new in zip(Left._fields, before, after, strict=True)
        for thing in sorted(new - old)
    ]


def _mounts() -> Iterator[tuple[str, str, str]]:
    """(mount point, file system, root of the mount) of each mount that this process sees."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        yield fields[4], right.split()[0], fields[3]


def _cgroups(scope: Scope) -> Iterator[str]:
    for mounted_at, kind, root in _mounts():
        if kind not in {"cgroup", "cgroup2"} or root != "/":
            continue
        for entry in os.scandir(mounted_at):
            if entry.is_dir(follow_symlinks=False) and scope.owns_parent(entry.name):
                yield from (directory for directory, _, _ in os.walk(entry.path))


def _namespaces(scope: Scope) -> Iterator[str]:
    named = Path("/run/netns")
    if named.is_dir():
        yield from (str(path) for path in named.iterdir() if scope.owns_link(path.name))
    yield from _held_namespaces()
    if scope.everything:
        yield from {_link(pid, "ns/net") for pid in _pids()} - {""}


def _held_namespaces() -> Iterator[str]:
    """Network namespaces that this process keeps by a descriptor alone."""
    for fd in os.listdir("/proc/self/fd"):
        if (held := _link(os.getpid(), f"fd/{fd}")).startswith("net:["):
            yield f"{held} held open"


def _links() -> Iterator[str]:
    for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]:
        yield line.partition(":")[0].strip()


def _devices(scope: Scope) -> Iterator[str]:
    """Loop devices over files of this run, and devices of device mapper with our prefix."""
    for block in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # detached meanwhile
            if scope.owns_mount(backing := block.read_text().strip()):
                yield f"{block.parts[3]} ({backing})"
    for block in Path("/sys/block").glob("dm-*/dm/name"):
        with contextlib.suppress(OSError):
            if scope.owns_link(name := block.read_text().strip()):
                yield name


def _tables(scope: Scope) -> Iterator[str]:
    """Tables of nftables, as `FAMILY NAME`; none where the library is missing, as nobody made any then."""
    try:
        nft = Nft()
    except NetworkUnavailable:
        return
    with contextlib.closing(nft), contextlib.suppress(RulesRefused):
        for line in nft.run("list tables").splitlines():
            if scope.everything or line.split()[-1].startswith(PREFIXES):
                yield line.removeprefix("table ")


def _processes() -> Iterator[str]:
    """Our children, and whatever was started by this run and now belongs to somebody else."""
    me = os.getpid()
    mark = f"{MARK}={os.environ.get(MARK, '')}".encode()
    for pid in _pids():
        if pid == me or not (_parent(pid) == me or mark in _bytes(pid, "environ").split(b"\0")):
            continue
        command = _bytes(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
        if not any(tool in command for tool in _OF_THE_TOOLS):
            yield f"{pid} {command or 'zombie or kernel thread'}"


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _parent(pid: int) -> int:
    # The name in parentheses may hold anything, so fields are counted from behind it.
    stat = _bytes(pid, "stat").rpartition(b")")[2].split()
    return int(stat[1]) if len(stat) > 1 else 0


def _bytes(pid: int, file: str) -> bytes:
    """A file of a process; empty where the process has ended meanwhile."""
    try:
        return Path("/proc", str(pid), file).read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def _link(pid: int, file: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{file}")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
