"""Kernel writes in a thread with a deadline: one that blocks in reclaim costs a thread, not the daemon."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TypeVar

from cgroupfs import Cgroup, CgroupError, CgroupGone
from enforcer.errors import ContainerBusy, EnforcerError, TargetGone, WriteTimedOut

DEADLINE_SEC = 10.0
Result = TypeVar("Result")


class Executor:
    """Runs one write per container at a time, each in a thread of its own."""

    def __init__(self, deadline_sec: float = DEADLINE_SEC) -> None:
        self._deadline_sec = deadline_sec
        self._stuck: set[str] = set()
        self._lock = threading.Lock()

    def run(
        self,
        name: str,
        cgroup: Cgroup,
        inode: int,
        work: Callable[[Cgroup], Result],
        *,
        extra_sec: float = 0.0,
    ) -> Result:
        """`work(cgroup)`, if that is still the cgroup that was decided about.

        Raises:
            TargetGone: it is not, or went away meanwhile.
            ContainerBusy: an earlier write of this container still hangs.
            WriteTimedOut: this one does now; the container stays busy until it returns.
            CgroupError: what the kernel refused.
        """
        with self._lock:
            if name in self._stuck:
                raise ContainerBusy(name)
            self._stuck.add(name)
        future: Future[Result] = Future()
        threading.Thread(
            target=self._work, args=(name, cgroup, inode, work, future), name=f"write-{name}", daemon=True
        ).start()
        deadline_sec = self._deadline_sec + extra_sec
        try:
            return future.result(deadline_sec)
        except FutureTimeout as e:
            raise WriteTimedOut(name, deadline_sec) from e
        except CgroupGone as e:
            raise TargetGone(name) from e

    def _work(
        self, name: str, cgroup: Cgroup, inode: int, work: Callable[[Cgroup], Result], future: Future[Result]
    ) -> None:
        try:
            if cgroup.inode != inode or not cgroup.alive():
                raise TargetGone(name)
            result = work(cgroup)
        except (CgroupError, EnforcerError, OSError) as e:
            self._free(name)
            future.set_exception(e)
        else:
            self._free(name)
            future.set_result(result)
        finally:
            if (
                not future.done()
            ):  # a bug of ours: it surfaces in this thread, but must not block the container
                self._free(name)
                future.set_exception(RuntimeError(f"the write of {name} ended by a bug"))

    def _free(self, name: str) -> None:
        with self._lock:
            self._stuck.discard(name)
