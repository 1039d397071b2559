"""One stream of typed events about cgroups: by the kernel's notices, or by looking where it gives none.

    with Watcher() as watcher:
        print(watcher.watch_memory(cgroup))  # by which way
        for event in watcher.read(timeout=10): ...

Noisy notices are put together, a removed group is told once, and all of it waits behind one pollable fd.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cgroupfs.errors import CgroupError, NotOffered, Refused
from cgroupfs.events import EVENTFD, INOTIFY, PIDFD, POLLING, TRIGGER, Event, Stalled, Way
from cgroupfs.files import ControlDir
from cgroupfs.notices import Kernel
from cgroupfs.watcher_memory import OomCounted, ReclaimCounted, UsageCounted
from cgroupfs.watcher_sources import Exit, GroupFile, GroupPolled, MemoryFile
from cgroupfs.watcher_stall import Stall
from cgroupfs.watcher_stream import Stream, say

if TYPE_CHECKING:
    from cgroupfs.cgroup import Cgroup

UNPRIVILEGED_WINDOW_USEC: Final = 2_000_000  # without CAP_SYS_RESOURCE a window is a multiple of this
LEVELS: Final = ("low", "medium", "critical")


class Watcher:
    """Watches any number of groups; `fileno` is readable while `read` has something to give or to do."""

    def __init__(
        self,
        *,
        poll_sec: float = 1.0,
        rest_sec: float = 0.1,
        kernel: Kernel | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`poll_sec`: how often to look without notices; `rest_sec`: how long to gather after a noisy one."""
        self._kernel = kernel or Kernel()
        self._stream = Stream(self._kernel, clock, poll_sec, rest_sec)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """An fd to poll for reading beside others."""
        return self._stream.fileno()

    def ways(self) -> tuple[Way, ...]:
        """How everything is watched now; a trigger that the kernel ended has become polling."""
        return self._stream.ways()

    def watch_group(self, cgroup: Cgroup) -> Way:
        """`PopulatedChanged`, `FreezerChanged`, and `Removed`, which comes with every other watch too."""
        unified = cgroup.dirs.get("unified")
        if unified is None:
            way = Way(cgroup.path, "cgroup.procs", POLLING, "there is no unified tree")
            return self._stream.add(cgroup, GroupPolled(cgroup, way))
        way = Way(cgroup.path, GroupFile.file, INOTIFY)
        return self._stream.add_file(cgroup, GroupFile(cgroup, unified, way))

    def watch_memory(self, cgroup: Cgroup) -> Way:
        """`OutOfMemory` and `OomKill`, and `LimitHit` where the kernel counts those apart. `NotOffered`."""
        memory = _memory(cgroup)
        if memory.read(MemoryFile.file) is not None:
            return self._stream.add_file(
                cgroup, MemoryFile(cgroup, memory, Way(cgroup.path, MemoryFile.file, INOTIFY))
            )
        fd, way = self._count(cgroup, memory, "memory.oom_control", "")
        return self._stream.add(cgroup, OomCounted(cgroup, memory, way, fd))

    def watch_usage(self, cgroup: Cgroup, threshold_bytes: int) -> Way:
        """`UsageCrossed`, upwards and downwards. `NotOffered` without the memory controller."""
        memory = _memory(cgroup)
        if memory.read("memory.current") is not None:
            way = Way(cgroup.path, "memory.current", POLLING, "the kernel gives no notice of usage here")
            return self._stream.add(
                cgroup, UsageCounted(cgroup, memory, way, -1, "memory.current", threshold_bytes)
            )
        file = "memory.usage_in_bytes"
        fd, way = self._count(cgroup, memory, file, str(threshold_bytes))
        return self._stream.add(cgroup, UsageCounted(cgroup, memory, way, fd, file, threshold_bytes))

    def watch_reclaim(self, cgroup: Cgroup, level: str = "low") -> Way:
        """`ReclaimPressure`; `NotOffered` where `watch_stall` of memory is what there is instead."""
        if level not in LEVELS:
            raise CgroupError(f"a level of reclaim pressure is one of {', '.join(LEVELS)}, not {level!r}")
        memory = _memory(cgroup)
        fd, way = self._count(cgroup, memory, "memory.pressure_level", level)
        if way.by == POLLING:
            raise CgroupError(f"{cgroup.path}: pressure of reclaim cannot be looked up, and {way.why}")
        return self._stream.add(cgroup, ReclaimCounted(cgroup, memory, way, fd, level))

    def watch_stall(
        self, cgroup: Cgroup | None, resource: str, *, kind: str = "some", stall_usec: int, window_usec: int
    ) -> Way:
        """`Stalled`, at most once a window; None watches the host. `NotOffered`, `CgroupError`.

        A window that only the privileged may have is widened to one of 2 s, the stall in proportion.
        """
        if kind not in ("some", "full") or not 0 < stall_usec <= window_usec:
            raise CgroupError(f"no tasks can wait like that: {kind} {stall_usec} us of {window_usec} us")
        told = Stalled(
            cgroup.path if cgroup else "",
            cgroup.inode if cgroup else 0,
            resource,
            kind,
            stall_usec,
            window_usec,
        )
        directory = cgroup.dirs.get("unified") if cgroup else None
        if cgroup is not None and directory is None:
            raise NotOffered(cgroup.path, f"{resource}.pressure")
        file = f"/proc/pressure/{resource}"
        fd, told, why = self._pull(file, directory, told)
        name = f"{resource}.pressure {told.kind} {told.stall_usec} {told.window_usec}"
        way = Way(told.path, name, TRIGGER if fd >= 0 else POLLING, why)
        return self._stream.add(cgroup, Stall(told.path, told.inode, way, fd, directory, told, file))

    def watch_exit(self, cgroup: Cgroup, pid: int) -> Way:
        """`Exited`, once, at once if there is no such process any more."""
        fd, by, why = -1, PIDFD, ""
        try:
            fd = self._kernel.pidfd(pid)
        except OSError as e:
            by, why = POLLING, say(e)
        return self._stream.add(cgroup, Exit(cgroup, pid, Way(cgroup.path, f"pid {pid}", by, why), fd))

    def unwatch(self, cgroup: Cgroup) -> None:
        """Watch nothing of the group any more, its processes included."""
        self._stream.remove(cgroup.inode)

    def read(self, timeout: float | None = None) -> list[Event]:
        """Wait until something has happened, `timeout` seconds at most (None: for ever), and tell it."""
        return self._stream.read(timeout)

    def close(self) -> None:
        """End all watches."""
        self._stream.close()

    def _count(self, cgroup: Cgroup, memory: ControlDir, file: str, arguments: str) -> tuple[int, Way]:
        """An eventfd raised for `file`; -1 and polling where that is refused."""
        fd = -1
        try:
            fd = self._kernel.eventfd()
            self._kernel.register(memory, fd, file, arguments)
        except (OSError, Refused, NotOffered) as e:
            if fd >= 0:
                os.close(fd)
            # A kernel can have the numbers and no notices of them; one without the numbers offers nothing.
            if isinstance(e, NotOffered) and e.file == file:
                raise
            return -1, Way(cgroup.path, file, POLLING, say(e))
        except CgroupError:
            os.close(fd)
            raise
        return fd, Way(cgroup.path, file, EVENTFD)

    def _pull(self, file: str, directory: ControlDir | None, told: Stalled) -> tuple[int, Stalled, str]:
        """A trigger, as wished or widened; -1 where the kernel refuses both."""
        windows = -(-told.window_usec // UNPRIVILEGED_WINDOW_USEC) * UNPRIVILEGED_WINDOW_USEC
        wide = Stalled(
            told.path,
            told.inode,
            told.resource,
            told.kind,
            told.stall_usec * windows // told.window_usec,
            windows,
        )
        why = ""
        for wish in dict.fromkeys((told, wide)):
            try:
                return (
                    self._kernel.trigger(
                        file, directory, f"{wish.kind} {wish.stall_usec} {wish.window_usec}"
                    ),
                    wish,
                    why,
                )
            except OSError as e:
                if e.errno in (errno.ENOENT, errno.EOPNOTSUPP):
                    raise NotOffered(
                        directory.path if directory else file, f"{told.resource}.pressure"
                    ) from e
                why = say(e)
        return -1, told, why


def _memory(cgroup: Cgroup) -> ControlDir:
    if "memory" not in cgroup.dirs:
        raise NotOffered(cgroup.path, "memory")
    return cgroup.dirs["memory"]
