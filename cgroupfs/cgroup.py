"""One container's cgroup: its directories in every hierarchy, held open and used as one."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from cgroupfs import all_limits, freezer, plan, tree
from cgroupfs.device_rules import DeviceRule
from cgroupfs.errors import CgroupError, CgroupGone, NotOffered
from cgroupfs.files import ControlDir
from cgroupfs.host import Host
from cgroupfs.hot import HotFiles
from cgroupfs.hugetlb import HugetlbStat, read_page_sizes
from cgroupfs.limits import Limits
from cgroupfs.numa import NumaBytes
from cgroupfs.readers import Readers
from cgroupfs.statistic import Dirs
from cgroupfs.translation import Translated, is_translated, translate
from cgroupfs.writes import Write, Written

KILL_SEC: Final = 10.0
POLL_SEC: Final = 0.002
SIGNAL_AFTER_SEC: Final = 0.1


class SlowStats(NamedTuple):
    """What need not be read every tick; None: this kernel does not tell."""

    memory_peak_bytes: int | None
    memory_limit_hits: int | None
    oom_kills: int | None
    under_oom: bool | None
    numa: Mapping[int, NumaBytes] | None
    pids_peak: int | None
    pids_limit_hits: int | None
    hugetlb: Mapping[str, HugetlbStat] | None
    populated: bool | None
    freezer: str
    memory_high_hits: int | None = None
    memory_low_hits: int | None = None
    ooms: int | None = None
    oom_group_kills: int | None = None
    own_oom_kills: int | None = None  # own: without the groups below
    swap_peak_bytes: int | None = None


class Cgroup:
    """A held cgroup. Once it is removed, every method raises `CgroupGone`, though a namesake may exist."""

    def __init__(self, path: str, dirs: Mapping[str, ControlDir], readers: Readers, host: Host) -> None:
        self.path = path
        self.dirs = dict(dirs)
        self.readers = readers
        self._host = host
        self.inode = self._identity().inode
        self._page_sizes: tuple[str, ...] | None = None

    def _identity(self) -> ControlDir:
        return self.dirs["memory"] if "memory" in self.dirs else self.dirs["unified"]

    def paths(self) -> dict[str, str]:
        """Controller -> absolute directory."""
        return {controller: directory.path for controller, directory in self.dirs.items()}

    def alive(self) -> bool:
        """Does the cgroup that we hold still exist?"""
        return self._identity().alive()

    def procs(self) -> list[int]:
        """Processes in it and below it, sorted."""
        directory = self.dirs.get("unified", self._identity())
        if not directory.alive():
            raise CgroupGone(self.path)
        return sorted(tree.read_all_pids(directory))

    def read_limits(self) -> Limits:
        """All limits as the kernel holds them now."""
        dirs = self._opened("cpu", "cpuset", "blkio")
        return all_limits.read_limits(self.readers, dirs, self.page_sizes())

    def read_freezer(self) -> str:
        """``thawed``, ``freezing`` or ``frozen``, by whichever freezer holds it."""
        return freezer.read_state(self.dirs) or freezer.THAWED

    def read_slow(self) -> SlowStats:
        """The slower round: peaks, limit hits, OOM kills, memory per node, freezer."""
        dirs = self._opened("pids")
        memory, pids = self.readers.memory.read_events(dirs), self.readers.pids.read_events(dirs)
        populated, frozen = freezer.read_populated_and_state(dirs)
        return SlowStats(
            memory_peak_bytes=memory.peak_bytes,
            memory_limit_hits=memory.limit_hits,
            oom_kills=memory.oom_kills,
            under_oom=memory.under_oom,
            numa=self.readers.numa.read_bytes_per_node(dirs),
            pids_peak=pids.peak,
            pids_limit_hits=pids.limit_hits,
            hugetlb=self.readers.hugetlb.read(dirs, self.page_sizes()),
            populated=populated,
            freezer=frozen or freezer.THAWED,
            memory_high_hits=memory.high_hits,
            memory_low_hits=memory.low_hits,
            ooms=memory.ooms,
            oom_group_kills=memory.oom_group_kills,
            own_oom_kills=memory.own_oom_kills,
            swap_peak_bytes=memory.swap_peak_bytes,
        )

    def _opened(self, *controllers: str) -> Dirs:
        """All directories, these held open: to open one anew costs as much as to read a file."""
        return self.dirs | {name: self.dirs[name].opened() for name in controllers if name in self.dirs}

    def read_all(self) -> dict[str, object]:
        """Everything known, JSON-ready, a key per area: null is not offered, ``"max"`` is no limit."""
        from cgroupfs.everything import read_everything

        return read_everything(self)

    def translate(self, wanted: Mapping[str, object]) -> Translated:
        """`wanted` in the fields that this kernel has, and a line on each that was converted; `BadLimit`."""
        if not is_translated(wanted):
            return Translated(wanted, ())
        return translate(wanted, self.read_limits())

    def plan_limits(self, wanted: Mapping[str, object]) -> list[Write]:
        """The writes that make `wanted` true, in an order the kernel takes; none where it is true already.

        Keys are `Limits` fields; ``UNLIMITED``, ``"max"`` or None lifts one. Writes nothing. What this kernel
        has under another name alone is converted, as `translate` tells. `BadLimit`, `NotOffered`.
        """
        wanted = self.translate(wanted).wanted
        return all_limits.plan_limits(self.readers, self.dirs, self._host, self.page_sizes(), wanted)

    def plan_devices(self, rules: Sequence[DeviceRule]) -> list[Write]:
        """Deny all devices, then allow one rule per write."""
        return self.readers.devices.plan_rules(self.dirs, rules)

    def apply(self, plan_: Sequence[Write]) -> list[Written]:
        """Apply all of a plan or none of it, with read-back. `Refused`, `NotOffered`, `CgroupGone`."""
        return plan.apply(self.dirs, plan_)

    def read_value(self, write: Write) -> str:
        """What the kernel holds now where `write` would write, in the form of a value for it."""
        return plan.read_value(self.dirs, write)

    def reclaim(self, wanted_bytes: int) -> int:
        """Ask the kernel to free memory that can be had back; how many bytes it freed. May block long."""
        return self.readers.memory.reclaim(self.dirs, wanted_bytes)

    @property
    def perf_path(self) -> str | None:
        """The directory whose fd ``perf_event_open(2)`` takes for a cgroup; None if there is none.

        Where nobody has mounted the v1 hierarchy, the kernel counts by groups of the unified tree.
        """
        directory = self.dirs.get("perf_event", self.dirs.get("unified"))
        return None if directory is None else directory.path

    def freeze(self, timeout_sec: float = 10.0) -> bool:
        """Freeze every task; True if that changed anything. `FreezeTimeout` after having thawed again."""
        return freezer.freeze(self.dirs, timeout_sec)

    def thaw(self, timeout_sec: float = 10.0) -> bool:
        """Let every task run; True if that changed anything."""
        return freezer.thaw(self.dirs, timeout_sec)

    def set_frozen(self, frozen: bool, timeout_sec: float = 10.0) -> list[Written]:
        """`freeze` or `thaw`, with the kernel files that were written for it."""
        return freezer.set_frozen(self.dirs, frozen, timeout_sec)

    def kill(self) -> None:
        """Kill every task, child groups too, and wait until they are gone; frozen ones as well."""
        started = time.monotonic()
        signal_from = started + (SIGNAL_AFTER_SEC if self._kill_in_kernel() else 0)
        while pids := self._all_pids():
            # Whom the kernel's own kill has not ended by then is in another hierarchy only, or came in since.
            try:
                if time.monotonic() >= signal_from:
                    self._freeze_v1()  # so that none forks faster than it is killed
                    self._signal_all(pids)
            finally:
                self._thaw_v1()  # only now: thawed first, tasks would run on for a while
            if time.monotonic() >= started + KILL_SEC:
                shown = ", ".join(map(str, sorted(pids)[:5]))
                raise CgroupError(f"{self.path}: processes {shown} did not die within {KILL_SEC:g} s")
            time.sleep(POLL_SEC)

    def entry_fds(self) -> list[int]:
        """An fd per hierarchy to write ``0`` to: the writing thread enters. The caller closes them.

        v1 ``tasks`` lets a single-threaded process move itself without the wait that ``cgroup.procs`` costs.
        """
        fds: list[int] = []
        with contextlib.ExitStack() as undo:
            for directory in tree.distinct(self.dirs).values():
                unified = "unified" in self.dirs and directory.path == self.dirs["unified"].path
                fd = directory.open_file("cgroup.procs" if unified else "tasks", os.O_WRONLY)
                undo.callback(os.close, fd)
                fds.append(fd)
            undo.pop_all()
        return fds

    def hot(self, *, keep: bool = True) -> HotFiles:
        """The files to read every tick, at most ten; `keep` them open or open them for each read."""
        return HotFiles(self, keep=keep)

    def close(self) -> None:
        """Let go of kept fds once no other thread uses them; the cgroup stays, and may still be asked."""
        self.dirs = {controller: directory.unkept() for controller, directory in self.dirs.items()}

    def page_sizes(self) -> tuple[str, ...]:
        """Huge page sizes: settled when the cgroup is made, and dear to find by listing a directory."""
        if self._page_sizes is None:
            self._page_sizes = read_page_sizes(self.dirs)
        return self._page_sizes

    def _all_pids(self) -> set[int]:
        """Processes in any hierarchy: one that was only half moved in must not be overlooked."""
        pids: set[int] = set()
        for directory in tree.distinct(self.dirs).values():
            with contextlib.suppress(CgroupGone):
                pids |= tree.read_all_pids(directory)
        return pids

    def _kill_in_kernel(self) -> bool:
        """Since Linux commit 661ee6280931 ("cgroup: introduce cgroup.kill") (in v5.14)."""
        if "unified" not in self.dirs:
            return False
        try:
            self.dirs["unified"].write("cgroup.kill", "1")
        except (NotOffered, CgroupGone):
            return False
        return True

    def _freeze_v1(self) -> None:
        if "freezer" in self.dirs:
            with contextlib.suppress(CgroupGone):
                self.dirs["freezer"].write("freezer.state", "FROZEN")

    def _thaw_v1(self) -> None:
        if "freezer" not in self.dirs:
            return
        with contextlib.suppress(CgroupGone):
            for directory in tree.walk(self.dirs["freezer"]):
                if freezer.is_v1_held(directory):
                    directory.write("freezer.state", "THAWED")

    def _signal_all(self, pids: set[int]) -> None:
        """SIGKILL by pidfd to those still here once the fds are open: a pid may be given to somebody else."""
        with contextlib.ExitStack() as opened:
            fds = {}
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    fds[pid] = os.pidfd_open(pid)
                    opened.callback(os.close, fds[pid])
            for pid in fds.keys() & self._all_pids():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fds[pid], signal.SIGKILL)
