"""The files read every tick, kept open: the one loop whose cost per container counts.

Reading is a `pread` per file. What comes on top is a comparison with the bytes of last time; only what
changed is parsed, and only a statistic of which a file changed is built anew. So an idle container costs next
to nothing beyond the system calls, and unchanged statistics are the same objects.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from os import pread
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cgroupfs.cpu import CpuStat
from cgroupfs.errors import CgroupGone, NotOffered
from cgroupfs.io_traffic import IoStat
from cgroupfs.memory import MemoryStat
from cgroupfs.pids import PidsStat
from cgroupfs.pressure import PressureStat
from cgroupfs.statistic import Dirs, Source, Statistic, read_statistic

if TYPE_CHECKING:
    from cgroupfs.cgroup import Cgroup

FIRST_SIZE: Final = 4096  # bytes per read, doubled for a file that fills it


class HotStats(NamedTuple):
    """One container at one instant; None: this kernel does not offer it."""

    cpu: CpuStat | None
    memory: MemoryStat | None
    io: IoStat | None
    pids: PidsStat | None
    pressure: PressureStat | None


class _KeptFile:
    """A file of a statistic, what it last held, and what that meant."""

    __slots__ = ("fd", "parse", "raw", "size", "source", "value")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.parse: Callable[[bytes], Any] = source.parse
        self.fd = -1
        self.size = FIRST_SIZE
        self.raw = b""
        self.value: Any = None


class _KeptStatistic:
    """The kept files of one statistic, and what was last built of them."""

    __slots__ = ("build", "files", "kept", "value")

    def __init__(self, statistic: Statistic[Any]) -> None:
        self.build: Callable[[Sequence[Any]], Any] = statistic.build
        self.files = [_KeptFile(source) for source in statistic.sources]
        self.kept: list[_KeptFile] = []
        self.value: Any = None


class HotFiles:
    """The hot files of one cgroup. `read` raises `CgroupGone` once it is removed; `close` when done."""

    def __init__(self, cgroup: Cgroup, *, keep: bool = True) -> None:
        readers = cgroup.readers
        statistics = (readers.cpu, readers.memory, readers.blkio, readers.pids, readers.pressure)
        self._dirs: Dirs = cgroup.dirs
        self._path = cgroup.path
        self._statistics: tuple[Statistic[Any], ...] = statistics
        self._kept: list[_KeptStatistic] = []
        self._last: HotStats | None = None
        if keep:
            self._kept = [_KeptStatistic(statistic) for statistic in statistics]
            try:
                self._open()
            except (CgroupGone, OSError):  # out of fds, say: none of those opened so far may stay
                self.close()
                raise

    @property
    def fds(self) -> int:
        """How many fds are kept."""
        return len(self.kept_fds())

    def kept_fds(self) -> tuple[int, ...]:
        """The fds themselves, for a comparison with reading them and doing nothing else."""
        return tuple(file.fd for statistic in self._kept for file in statistic.kept)

    def read(self) -> HotStats:
        """Read all; the same object as last time if not a byte changed."""
        if not self._kept:
            return HotStats(*(read_statistic(statistic, self._dirs) for statistic in self._statistics))
        try:
            return self._read_kept()
        except OSError as e:
            if e.errno not in (errno.ENODEV, errno.EBADF):
                raise
            return self._reopen_and_read(e)

    def close(self) -> None:
        """Close the kept fds; a later `read` is `CgroupGone`."""
        for statistic in self._kept:
            for file in statistic.kept:
                os.close(file.fd)
                file.fd = -1
            statistic.kept = []

    def _read_kept(self) -> HotStats:
        any_changed = self._last is None
        for statistic in self._kept:
            changed = False
            for file in statistic.kept:
                raw = pread(file.fd, file.size, 0)
                if raw == file.raw:
                    continue
                if len(raw) == file.size:
                    raw = _read_longer(file)
                # Only after a good parse are the bytes remembered: garbage must be an error every time.
                file.value = file.parse(raw)
                file.raw = raw
                changed = True
            if changed:
                statistic.value = statistic.build([file.value for file in statistic.files])
                any_changed = True
        if any_changed:
            cpu, memory, io, pids, pressure = self._kept
            self._last = HotStats(cpu.value, memory.value, io.value, pids.value, pressure.value)
        return self._last  # type: ignore[return-value]  # set whenever it was None

    def _open(self) -> None:
        for statistic in self._kept:
            for file in statistic.files:
                file.fd, file.raw, file.value = self._open_file(file.source), b"", None
                if file.fd >= 0:
                    statistic.kept.append(file)

    def _open_file(self, source: Source) -> int:
        directory = self._dirs.get(source.controller)
        if directory is None:
            return -1
        try:
            return directory.open_file(source.file, os.O_RDONLY)
        except NotOffered:
            return -1

    def _reopen_and_read(self, e: OSError) -> HotStats:
        """A kept file is ENODEV when its cgroup went, but also when the kernel withdrew this file alone."""
        if not all(directory.alive() for directory in self._dirs.values()):
            raise CgroupGone(self._path) from e
        self.close()
        self._open()
        self._last = None
        for statistic in self._kept:
            statistic.value = None
        return self._read_kept()


def _read_longer(file: _KeptFile) -> bytes:
    while True:
        file.size *= 2
        raw = pread(file.fd, file.size, 0)
        if len(raw) < file.size:
            return raw
