"""Changing parent and child groups together, so that the kernel takes every step of it.

v1 holds a child's CPU time and cpuset to what the parent has, at every instant: what grows goes from the
outside in, what shrinks from the inside out, and a cpuset that moves first grows to hold both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from cgroupfs import plan
from cgroupfs.limits import check_fields
from cgroupfs.numa import NumaV1
from cgroupfs.values import format_list, is_within, parse_list
from cgroupfs.wishes import Wanted, is_lifted
from cgroupfs.writes import Write, Written

if TYPE_CHECKING:
    from cgroupfs.cgroup import Cgroup

_LISTS: Final = {"cpuset.cpus": "cpuset_cpus", "cpuset.mems": "cpuset_mems"}


class Change(NamedTuple):
    """What one of the groups is to become."""

    cgroup: Cgroup
    wanted: Wanted


class Step(NamedTuple):
    """One write in one of the groups."""

    cgroup: Cgroup
    write: Write


class _Steps(NamedTuple):
    """The writes for one group, by the way they work."""

    growing: list[Write]
    others: list[Write]
    shrinking: list[Write]


def plan_nested(changes: Sequence[Change]) -> list[Step]:
    """The writes that make all `changes` true, in an order the kernel takes. `BadLimit`, `NotOffered`."""
    outside_in = _with_lists_of_parents(sorted(changes, key=lambda change: change.cgroup.path.count("/")))
    planned = [(change.cgroup, _plan(change.cgroup, change.wanted)) for change in outside_in]
    return [
        *(Step(cgroup, write) for cgroup, steps in planned for write in steps.growing),
        *(Step(cgroup, write) for cgroup, steps in planned for write in steps.others),
        *(Step(cgroup, write) for cgroup, steps in reversed(planned) for write in steps.shrinking),
    ]


def _with_lists_of_parents(outside_in: Sequence[Change]) -> list[Change]:
    """A v1 cpuset that is lifted has what its parent is going to have, and not what that has now."""
    wishes: dict[str, Wanted] = {}
    for cgroup, wanted in outside_in:
        above = wishes.get(cgroup.path.rpartition("/")[0], {})
        inherited = {
            field: above[field]
            for field in _LISTS.values()
            if field in wanted and is_lifted(wanted[field]) and isinstance(above.get(field), str)
        }
        follows = isinstance(
            cgroup.readers.numa, NumaV1
        )  # elsewhere an empty list follows the parent by itself
        wishes[cgroup.path] = {**wanted, **inherited} if follows else wanted
    return [change._replace(wanted=wishes[change.cgroup.path]) for change in outside_in]


def apply_nested(steps: Sequence[Step]) -> list[Written]:
    """Apply all steps, or none of them; as `Cgroup.apply`, for several groups."""
    return plan.apply_all([(step.cgroup.dirs, step.write) for step in steps])


def _plan(cgroup: Cgroup, wanted: Wanted) -> _Steps:
    check_fields(wanted)
    bandwidth = {field: wanted[field] for field in wanted if field.startswith("cpu_")}
    lists = {field: wanted[field] for field in wanted if field.startswith("cpuset_")}
    others = {field: wanted[field] for field in wanted.keys() - bandwidth.keys() - lists.keys()}
    steps = _Steps([], cgroup.plan_limits(others), [])
    writes = cgroup.plan_limits(bandwidth)
    (steps.growing if _grows(cgroup, bandwidth) else steps.shrinking).extend(writes)
    for write in cgroup.plan_limits(lists):
        _add_list(steps, write, _listed(cgroup, write.file))
    return steps


def _grows(cgroup: Cgroup, wanted: Mapping[str, object]) -> bool:
    """Does the share of CPU time grow, or stay?"""
    now, value = cgroup.read_limits().cpu_max_cores, wanted.get("cpu_max_cores")
    if "cpu_max_cores" not in wanted or not isinstance(value, int | float):
        return True  # no limit of its own is no more than what the parent has
    return isinstance(now, int | float) and value >= now


def _listed(cgroup: Cgroup, file: str) -> str | None:
    return getattr(cgroup.read_limits(), _LISTS[file]) if file in _LISTS else None


def _add_list(steps: _Steps, write: Write, now: str | None) -> None:
    if now is None or not now or not write.value:
        steps.others.append(write)
        return
    before, after = parse_list(now, write.file), parse_list(write.value, write.file)
    if is_within(before, after):
        steps.growing.append(write)
    elif is_within(after, before):
        steps.shrinking.append(write)
    else:
        both = format_list(parse_list(f"{now},{write.value}", write.file))
        steps.growing.append(write._replace(value=both))
        steps.shrinking.append(write)
