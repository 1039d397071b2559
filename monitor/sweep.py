"""One sweep: every container read once, under one stamp; what fails is counted, and the sweep goes on."""

from __future__ import annotations

import errno
import re
import resource
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from cgroupfs import Cgroup, CgroupError, CgroupGone
from monitor.sample import ContainerSource, Observation, SweepCost, Watched
from monitor.tracked import Tracked
from monitor.walker import Walker

WARM_TICKS: Final = 5  # network and freezer
SLOW_TICKS: Final = 10  # peaks, failures, NUMA; a multiple of the warm round
COLD_TICKS: Final = 60  # limits; a multiple of it too
TOGETHER: Final = 16  # containers whose slower rounds fall on one tick: code that runs again at once is cheap
FILES_EACH: Final = 10  # the most that a container's hot files need
SHARE_FOR_HOT: Final = 0.7  # of all descriptors; the rest is for cgroup directories, sockets, logs
LEAST_FDS: Final = 64

GONE: Final = "cgroup_gone"


def default_max_fds() -> int:
    """How many descriptors the hot files may keep, by this process's limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(LEAST_FDS, int(soft * SHARE_FOR_HOT))


class Round(NamedTuple):
    """What every visit of one sweep needs to know."""

    tick: int
    taken_at: float
    wall_time: float
    refresh: Collection[str]


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep saw, and who was gone."""

    containers: Mapping[str, Observation]
    gone: tuple[Observation, ...]
    cost: SweepCost


class Sweep:
    """Reads the containers of a source. Used by one thread."""

    def __init__(
        self,
        source: ContainerSource,
        max_fds: int | None = None,
    ) -> None:
        """`max_fds`: descriptors to keep between sweeps; beyond it files are opened and closed each time."""
        self._source = source
        self._max_fds = default_max_fds() if max_fds is None else max_fds
        self._tracked: dict[str, Tracked] = {}
        self._listed: Sequence[Watched] | None = None  # what the source said last, once all of it is tracked
        self._removed: dict[str, Cgroup] = {}  # gone, yet still listed
        self._kept_fds = 0
        self._serial = 0
        self._errors: Counter[str] = Counter()
        self._gone: list[Observation] = []
        self._round = Round(0, 0.0, 0.0, ())
        self._walker: Walker[Tracked, list[str]] = Walker()

    def run(self, tick: int, taken_at: float, wall_time: float, refresh: Collection[str] = ()) -> Swept:
        """One sweep; limits and slow numbers of the containers in `refresh` are read as well."""
        wall, cpu = time.perf_counter(), time.thread_time()
        self._errors.clear()
        self._gone.clear()
        self._round = Round(tick, taken_at, wall_time, refresh)
        for returned in self._walker.take_returned():
            if returned is not self._tracked.get(returned.watched.name):
                returned.close()
        self._follow_source()
        walk = self._walker.walk(self._tracked.values(), self._visit)
        for tracked, reasons in walk.results:
            self._note(tracked, reasons)
        for tracked in (*self._walker.stuck, *walk.pending):
            tracked.stale = True
            self._errors["timeout"] += 1
        observed, unkept = self._observe()
        spent_wall = time.perf_counter() - wall
        spent_cpu = time.thread_time() - cpu + walk.cpu_sec
        cost = SweepCost(spent_wall, spent_cpu, self._kept_fds, unkept, dict(self._errors))
        return Swept(observed, tuple(self._gone), cost)

    def _observe(self) -> tuple[dict[str, Observation], int]:
        """What is known of each, and how many are beyond the descriptor budget."""
        observed, unkept = {}, 0
        for name, tracked in self._tracked.items():
            if (seen := tracked.observe()) is not None:
                observed[name] = seen
            unkept += not tracked.kept
        return observed, unkept

    def close(self) -> None:
        """Let go of all descriptors."""
        for name in tuple(self._tracked):
            self._drop(name, gone=False)
        self._walker.close()

    def _visit(self, tracked: Tracked) -> list[str] | None:
        """Read one container, in the walker's thread; None, or what went wrong.

        As words: an exception that is kept would keep its frames, and with them the files of what is gone.
        """
        tick, taken_at, wall_time, refreshed = self._round
        turn = tick + tracked.serial // TOGETHER
        refresh = bool(refreshed) and tracked.watched.name in refreshed
        reasons = None
        try:
            if turn % WARM_TICKS == 0 or tracked.sample is None or refresh:
                reasons = self._read_rounds(tracked, turn, taken_at, refresh)
            tracked.read(taken_at, wall_time)
        except (CgroupError, OSError) as error:
            tracked.stale = True
            reasons = [*(reasons or ()), reason_of(error)]
        return reasons

    def _read_rounds(self, tracked: Tracked, turn: int, taken_at: float, refresh: bool) -> list[str] | None:
        """What is read now and then; a failure here must not hide the numbers of the hot round."""
        cold = turn % COLD_TICKS == 0 or refresh
        try:
            if cold or tracked.limits is None:
                tracked.read_limits()
            tracked.read_slow(due=turn % SLOW_TICKS == 0 or refresh)
            tracked.read_net(taken_at, cold=cold)
        except CgroupGone:
            raise
        except (CgroupError, OSError) as error:
            return [reason_of(error)]
        return None

    def _note(self, tracked: Tracked, reasons: list[str]) -> None:
        self._errors.update(reasons)
        if GONE in reasons:
            self._drop(tracked.watched.name, gone=True)

    def _follow_source(self) -> None:
        """Let go of what is no longer listed, keep the files of those that now fit, take up what is new."""
        listed = self._source.containers()
        if listed is self._listed and isinstance(listed, tuple):  # a list could have changed in place
            return
        running = {watched.name: watched for watched in listed if watched.cgroup is not None}
        for name in self._tracked.keys() - running.keys():
            self._bid_farewell(name)
        self._removed = {name: cgroup for name, cgroup in self._removed.items() if name in running}
        self._keep_those_that_fit()
        complete = [self._follow(watched) for watched in running.values()]
        self._listed = listed if all(complete) else None

    def _follow(self, watched: Watched) -> bool:
        """Track this container; False if it has to be tried again."""
        cgroup, tracked = watched.cgroup, self._tracked.get(watched.name)
        if cgroup is None or self._removed.get(watched.name) is cgroup:
            return True
        if tracked is not None:
            if tracked.cgroup is cgroup or tracked.inode == cgroup.inode:
                tracked.renew(watched, cgroup)
                return True
            self._bid_farewell(watched.name)
        return self._take_up(watched, cgroup)

    def _take_up(self, watched: Watched, cgroup: Cgroup) -> bool:
        self._serial += 1
        try:
            tracked = self._open(watched, cgroup)
        except CgroupGone as error:
            self._errors[reason_of(error)] += 1
            self._removed[watched.name] = cgroup
            return True
        except (CgroupError, OSError) as error:
            self._errors[reason_of(error)] += 1
            return False
        self._tracked[watched.name] = tracked
        self._kept_fds += tracked.fds
        return True

    def _open(self, watched: Watched, cgroup: Cgroup) -> Tracked:
        if self._kept_fds + FILES_EACH > self._max_fds:
            return Tracked(watched, cgroup, self._serial, keep=False)
        try:
            return Tracked(watched, cgroup, self._serial, keep=True)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            # Others use more descriptors than were left to them: one at a time still works.
            self._errors[reason_of(error)] += 1
            return Tracked(watched, cgroup, self._serial, keep=False)

    def _keep_those_that_fit(self) -> None:
        for tracked in self._tracked.values():
            if self._kept_fds + FILES_EACH > self._max_fds:
                return
            if not tracked.kept:
                self._try_to_keep(tracked)

    def _try_to_keep(self, tracked: Tracked) -> None:
        try:
            tracked.keep_files()
        except (CgroupError, OSError) as error:
            self._errors[reason_of(error)] += 1
        self._kept_fds += tracked.fds

    def _bid_farewell(self, name: str) -> None:
        """Let go of one that ended, with its last numbers where its cgroup is still there."""
        tracked = self._tracked[name]
        if tracked not in self._walker.stuck:
            try:
                tracked.read_last(self._round.taken_at, self._round.wall_time)
            except (CgroupError, OSError) as error:
                if not isinstance(error, CgroupGone):
                    self._errors[reason_of(error)] += 1
        self._drop(name, gone=True)

    def _drop(self, name: str, *, gone: bool) -> None:
        tracked = self._tracked.pop(name)
        self._kept_fds -= tracked.fds
        if tracked not in self._walker.stuck:  # else when it has returned: a thread is using the files
            tracked.close()
        if not gone:
            return
        self._removed[name] = tracked.cgroup
        if seen := tracked.observe():
            self._gone.append(seen)


def reason_of(error: CgroupError | OSError) -> str:
    """A short fixed word for a counter: ``parse_error``, ``cgroup_gone``, ``emfile``, ..."""
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, "os_error").lower()
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
