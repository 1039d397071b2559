"""Tasks alive and allowed: controller ``pids``, which has the same files in v1 and in the unified tree.

Counts threads, not processes. Documentation/admin-guide/cgroup-v1/pids.rst.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from cgroupfs.errors import NotOffered
from cgroupfs.statistic import Dirs, Source, parse_number
from cgroupfs.values import UNLIMITED, Limit, parse_flat, parse_int, parse_limit
from cgroupfs.wishes import Wanted, check_limit
from cgroupfs.writes import Write

MOST_TASKS: Final = 4_194_304


class PidsStat(NamedTuple):
    """Tasks in the cgroup and below it."""

    current: int


class PidsEvents(NamedTuple):
    """None: this kernel does not tell."""

    peak: int | None
    limit_hits: int | None


class PidsV1:
    """The pids hierarchy."""

    limit_files = ("pids.max",)
    slow_files = ("pids.peak", "pids.events")

    def __init__(self) -> None:
        self.sources = (Source("pids", "pids.current", parse_number("pids.current")),)

    def build(self, values: Sequence[Any]) -> PidsStat | None:
        return None if values[0] is None else PidsStat(values[0])

    def read_events(self, dirs: Dirs) -> PidsEvents:
        directory = dirs.get("pids")
        if directory is None:
            return PidsEvents(None, None)
        peak, events = directory.read("pids.peak"), directory.read("pids.events")
        return PidsEvents(
            None if peak is None else parse_int(peak, "pids.peak"),
            None if events is None else parse_flat(events, "pids.events").get("max"),
        )

    def read_limit(self, dirs: Dirs) -> Limit | None:
        text = dirs["pids"].read("pids.max") if "pids" in dirs else None
        return None if text is None else parse_limit(text, "pids.max")

    def plan_limits(self, dirs: Dirs, wanted: Wanted) -> list[Write]:
        """Writes for ``pids_max`` in `wanted`; BadLimit, NotOffered."""
        if "pids_max" not in wanted:
            return []
        limit = check_limit("pids_max", wanted["pids_max"], 1, MOST_TASKS)
        now = self.read_limit(dirs)
        if now is None:
            raise NotOffered(dirs["pids"].path if "pids" in dirs else "pids", "pids.max")
        text = "max" if limit is UNLIMITED else str(limit)
        return [] if limit == now else [Write("pids", "pids.max", text)]


class PidsV2(PidsV1):
    """The pids controller of the unified tree: the same files at another place."""
