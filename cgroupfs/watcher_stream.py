"""What waits for notices and hands out what they tell: one epoll over all kinds of them, and a timer.

Sources know what to look at; this knows when, puts noisy ones to rest, and tells a removed group once.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from cgroupfs.errors import CgroupError, CgroupGone
from cgroupfs.events import INOTIFY, POLLING, Event, Removed, Way
from cgroupfs.notices import IN_DELETE, IN_MODIFY, OVERFLOW, Kernel
from cgroupfs.watcher_sources import Existence, Exit, GroupFile, MemoryFile, Source

if TYPE_CHECKING:
    from cgroupfs.cgroup import Cgroup


class Stream:
    """Sources and their events, in the order in which they were seen."""

    def __init__(self, kernel: Kernel, clock: Callable[[], float], poll_sec: float, rest_sec: float) -> None:
        self._poll_sec = poll_sec
        self._rest_sec = rest_sec
        self._kernel = kernel
        self._clock = clock
        self._lock = threading.RLock()
        self._sources: dict[Source, None] = {}  # in the order in which they came
        self._existing: dict[int, Existence] = {}
        self._by_fd: dict[int, Source] = {}
        self._by_watch: dict[int, dict[Source, str]] = {}
        self._epoll = select.epoll()
        self._timer = kernel.timer()
        self._epoll.register(self._timer, select.EPOLLIN)
        self._inotify, self._no_inotify = self._open_inotify()

    def _open_inotify(self) -> tuple[int, str]:
        try:
            fd = self._kernel.inotify()
        except OSError as e:
            return -1, say(e)
        self._epoll.register(fd, select.EPOLLIN)
        return fd, ""

    def fileno(self) -> int:
        """The fd to poll."""
        return self._epoll.fileno()

    def ways(self) -> tuple[Way, ...]:
        """How everything is watched now."""
        with self._lock:
            return tuple(source.way for source in self._sources)

    def add(self, cgroup: Cgroup | None, source: Source) -> Way:
        """Watch one more thing, and with the first of a group its removal."""
        with self._lock:
            if cgroup is not None and cgroup.inode not in self._existing:
                self._watch_existence(cgroup)
            self._sources[source] = None
            if source.fd >= 0:
                self._by_fd[source.fd] = source
                self._epoll.register(source.fd, source.mask)
            source.due = self._clock()  # what happened between the first look and the notice
            self._set_timer()
        return source.way

    def add_file(self, cgroup: Cgroup, source: GroupFile | MemoryFile) -> Way:
        """Watch a file that is changed when something happens."""
        with self._lock:
            self._notify(source, source.kept, IN_MODIFY)
            return self.add(cgroup, source)

    def _watch_existence(self, cgroup: Cgroup) -> None:
        directory = cgroup.dirs["memory"] if "memory" in cgroup.dirs else cgroup.dirs["unified"]
        source = Existence(cgroup, directory, Way(cgroup.path, "removal", INOTIFY))
        with contextlib.closing(directory.open_parent()) as parent:
            self._notify(source, parent.fd, IN_DELETE, os.path.basename(directory.path))
        self._sources[source] = None
        self._existing[cgroup.inode] = source
        source.due = self._clock()

    def _notify(self, source: Source, fd: int, mask: int, name: str = "") -> None:
        """Have a change of what `fd` is open on wake the source, or have it look by itself."""
        try:
            if self._inotify < 0:
                raise OSError(errno.EMFILE, self._no_inotify)
            source.watch = self._kernel.watch(self._inotify, fd, mask)
        except OSError as e:
            source.way = Way(source.way.path, source.way.source, POLLING, say(e))
        else:
            self._by_watch.setdefault(source.watch, {})[source] = name

    def remove(self, inode: int) -> None:
        """Watch nothing of one group any more."""
        with self._lock:
            for source in [each for each in self._sources if each.inode == inode]:
                self._drop(source)

    def read(self, timeout: float | None = None) -> list[Event]:
        """Wait until something has happened, `timeout` seconds at most (None: for ever), and tell it."""
        deadline = math.inf if timeout is None else self._clock() + timeout
        while True:
            left = deadline - self._clock()
            ready = self._epoll.poll(None if left == math.inf else max(0.0, left))
            with self._lock:
                events = self._take(ready)
            if events or self._clock() >= deadline:
                return events

    def close(self) -> None:
        """End all watches."""
        with self._lock:
            for source in list(self._sources):
                self._drop(source)
            for fd in (self._inotify, self._timer):
                if fd >= 0:
                    os.close(fd)
            self._inotify = self._timer = -1
            self._epoll.close()

    def _take(self, ready: Iterable[tuple[int, int]]) -> list[Event]:
        now = self._clock()
        woken: dict[Source, int] = {}
        for fd, flags in ready:
            if fd == self._timer:
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 8)
            elif fd == self._inotify:
                woken |= dict.fromkeys(self._noticed(), 0)
            elif fd in self._by_fd:
                woken[self._by_fd[fd]] = flags
        calm = {source: flags for source, flags in woken.items() if not self._rests(source, now)}
        late = {source: 0 for source in self._sources if source.due is not None and source.due <= now}
        events: list[Event] = []
        for source, flags in (late | calm).items():
            if source in self._sources:
                events += self._look(source, now, flags)
        self._set_timer()
        return events

    def _noticed(self) -> list[Source]:
        notices = self._kernel.read_notices(self._inotify)
        if any(notice.watch == OVERFLOW for notice in notices):
            return [source for sources in self._by_watch.values() for source in sources]
        return [
            source
            for notice in notices
            for source, name in self._by_watch.get(notice.watch, {}).items()
            if not name or name == notice.name
        ]

    def _rests(self, source: Source, now: float) -> bool:
        """Has it told something just now? Then what comes is gathered, and its fd wakes nobody meanwhile."""
        until = source.last_told + self._rest_sec
        if not source.patient or now >= until:
            return False
        source.due = until if source.due is None else min(until, source.due)
        if source.fd >= 0 and not source.muted:
            self._epoll.modify(source.fd, 0)
            source.muted = True
        return True

    def _look(self, source: Source, now: float, flags: int) -> list[Event]:
        fd, source.due = source.fd, None
        try:
            events = source.look(now, flags)
        except CgroupGone:
            if source.fd < 0 <= fd:
                del self._by_fd[fd]
            return self._tell_removed(source)
        if events:
            source.last_told = now
        if source.fd < 0 <= fd:
            del self._by_fd[fd]
        elif source.muted:
            self._epoll.modify(source.fd, source.mask)
            source.muted = False
        if source.way.by == POLLING:
            source.due = min(now + self._poll_sec, math.inf if source.due is None else source.due)
        if source.finished:
            self._drop(source)
        return events

    def _tell_removed(self, source: Source) -> list[Event]:
        for each in [each for each in self._sources if each.inode == source.inode]:
            if not isinstance(each, Exit):
                self._drop(each)
        return [Removed(source.path, source.inode)]

    def _drop(self, source: Source) -> None:
        del self._sources[source]
        if self._existing.get(source.inode) is source:
            del self._existing[source.inode]
        if source.fd >= 0:
            self._epoll.unregister(source.fd)
            del self._by_fd[source.fd]
        if source.watch in self._by_watch:
            del self._by_watch[source.watch][source]
            if not self._by_watch[source.watch]:
                self._kernel.unwatch(self._inotify, source.watch)
                del self._by_watch[source.watch]
        source.close()

    def _set_timer(self) -> None:
        due = min((source.due for source in self._sources if source.due is not None), default=None)
        self._kernel.set_timer(self._timer, due)


def say(e: OSError | CgroupError) -> str:
    """Why the kernel refused, in a few words."""
    return (e.strerror or str(e)) if isinstance(e, OSError) else str(e)
