"""One container between sweeps: its kept files, its last sample, and the rounds of its slow numbers."""

from __future__ import annotations

from cgroupfs import Cgroup, HotFiles, HotStats, InterfaceCounters, Limits, SlowStats, read_net
from monitor.sample import Observation, Sample, Watched
from monitor.usage import NOTHING_YET, Usage, usage_of

NO_LIMITS_KNOWN = Limits()
NOT_KNOWN = "unknown"  # freezer state of a container whose slow numbers cannot be read
SHARED_NETWORKS = ("host", "container:")  # interfaces that are not its own: never attributed to it
# NamedTuple's own constructor costs twice as much, a thousand times a second.
make = tuple.__new__


class Tracked:
    """A container that is being read. Used by the sweep thread alone."""

    __slots__ = (
        "_hot",
        "_hot_at_slow",
        "_hot_stats",
        "_net",
        "_net_taken_at",
        "_quiet",
        "_slow",
        "cgroup",
        "inode",
        "kept",
        "limits",
        "sample",
        "serial",
        "stale",
        "usage",
        "watched",
    )

    def __init__(self, watched: Watched, cgroup: Cgroup, serial: int, keep: bool) -> None:
        """Open the hot files, for good if `keep`; `CgroupGone` or OSError if they cannot be.

        `serial` spreads the slow rounds of all containers over the ticks.
        """
        self._hot = HotFiles(cgroup, keep=keep)
        self._hot_stats: HotStats | None = None
        self._hot_at_slow: HotStats | None = None
        self._net: tuple[InterfaceCounters, ...] | None = None
        self._net_taken_at: float | None = None
        self._slow: SlowStats | None = None
        self._quiet = False
        self.cgroup = cgroup
        self.inode = cgroup.inode
        self.kept = keep
        self.limits: Limits | None = None
        self.sample: Sample | None = None
        self.serial = serial
        self.stale = False
        self.usage: Usage = NOTHING_YET
        self.watched = watched

    @property
    def fds(self) -> int:
        """Descriptors kept between sweeps."""
        return self._hot.fds

    def renew(self, watched: Watched, cgroup: Cgroup) -> None:
        """The same cgroup under another handle, or other words about it."""
        self.watched = watched
        if cgroup is not self.cgroup:
            self.cgroup = cgroup
            if not self.kept:
                self._hot = HotFiles(cgroup, keep=False)

    def keep_files(self) -> None:
        """Open for good what was opened and closed each time."""
        hot = HotFiles(self.cgroup, keep=True)
        self._hot.close()
        self._hot, self.kept = hot, True

    def read_limits(self) -> None:
        """The cold round: limits change only when somebody writes them."""
        self.limits = self.cgroup.read_limits()
        self._quiet = False

    def read_slow(self, *, due: bool) -> None:
        """Peaks, limit hits, OOM kills, NUMA, freezer; not again while nothing has run or been charged."""
        if self._slow is None or (due and self._has_worked()):
            self._slow, self._hot_at_slow = self.cgroup.read_slow(), self._hot_stats
        elif not self._has_worked():  # whoever spends CPU time is not frozen
            self._read_freezer(self._slow)

    def read_net(self, taken_at: float, *, cold: bool) -> None:
        """Counters of its own interfaces; in the cold round alone where loopback is the only one."""
        watched = self.watched
        if watched.network.startswith(SHARED_NETWORKS) or watched.pid is None:
            self._net, self._net_taken_at = None, None
        elif cold or self._net is None or any(interface.name != "lo" for interface in self._net):
            self._net, self._net_taken_at = read_net(watched.pid), taken_at
            self._quiet = False

    def _read_freezer(self, slow: SlowStats) -> None:
        state = self.cgroup.read_freezer()
        if state != slow.freezer:
            self._slow = slow._replace(freezer=state)

    def _has_worked(self) -> bool:
        """Did any CPU time, memory or task counter move since the last `read_slow`?"""
        now, then = self._hot_stats, self._hot_at_slow
        if now is None or then is None:
            return True
        return now.cpu != then.cpu or now.memory != then.memory or now.pids != then.pids

    def read(self, taken_at: float, wall_time: float) -> None:
        """The hot round: a sample, and the usage since the one before."""
        hot = self._hot.read()
        same = hot == self._hot_stats
        sample: Sample = make(
            Sample,
            (
                self.watched.name,
                self.inode,
                taken_at,
                wall_time,
                *hot,
                self._net,
                self._net_taken_at,
                self._slow,
            ),
        )
        # Nothing moved in two ticks: the rates are 0 as they were, and the same object makes one run in the
        # history.
        if not (same and self._quiet):
            usage = usage_of(self.sample, sample, self.limits, self.usage)
            self._quiet = same
            if usage != self.usage:
                self.usage = usage
        self._hot_stats = hot
        if self._hot_at_slow is None:  # the first slow numbers were read a moment before the first hot ones
            self._hot_at_slow = hot
        self.sample = sample
        self.stale = False

    def read_last(self, taken_at: float, wall_time: float) -> None:
        """Everything once more at the end: the kill that ended it may be younger than the last slow round."""
        self._slow = self.cgroup.read_slow()
        self.read(taken_at, wall_time)

    def observe(self) -> Observation | None:
        """What is known; None before the first sample."""
        if self.sample is None:
            return None
        watched = self.watched
        return make(
            Observation,
            (
                self.sample,
                self.usage,
                self.limits or NO_LIMITS_KNOWN,
                self._slow.freezer if self._slow else NOT_KNOWN,
                watched.labels,
                watched.klass,
                self.stale,
            ),
        )

    def close(self) -> None:
        self._hot.close()
