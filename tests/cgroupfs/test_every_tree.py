"""The same container at work, read on every captured tree and on the real kernel by the same tests."""

from __future__ import annotations

import json

import pytest

from cgroupfs import UNLIMITED, Cgroup, NotOffered, PidsStat
from cgroupfs.translation import COUNTERPARTS
from tests.trees.work import CPU_USEC, LIMITS, MIB, SHARED_BYTES, WRITTEN_BYTES

AREAS = {"cpu", "memory", "blkio", "devices", "net", "numa", "freezer", "pids", "pressure", "hugetlb"}


def test_limits_are_read_as_they_were_wished(working: Cgroup) -> None:
    limits = working.read_limits()

    assert {field: getattr(limits, field) for field in LIMITS} == LIMITS
    assert limits.memory_swap_max_bytes is UNLIMITED
    assert limits.io_max == {}
    assert limits.cpu_idle is False
    assert (limits.cpu_shares, limits.cpu_weight) in ((1024, None), (None, 100))


def test_what_is_so_already_needs_no_write(working: Cgroup) -> None:
    assert working.plan_limits(LIMITS) == []


def test_a_change_is_one_write_for_each_limit(working: Cgroup) -> None:
    plan = working.plan_limits({"memory_max_bytes": 128 * MIB, "cpu_max_cores": 1.5, "pids_max": "max"})

    assert [write.controller for write in plan] == ["cpu", "pids", "memory"]
    assert [write.value for write in plan[1:]] == ["max", str(128 * MIB)]


def test_a_limit_is_offered_or_refused_before_any_write(working: Cgroup) -> None:
    limits = working.read_limits()

    for field, value in {"memory_high_bytes": MIB, "memory_soft_limit_bytes": MIB, "cpu_weight": 7}.items():
        other = COUNTERPARTS[field].field if field in COUNTERPARTS else field
        if getattr(limits, field) is None and getattr(limits, other) is None:
            with pytest.raises(NotOffered):
                working.plan_limits({field: value})
        else:
            assert len(working.plan_limits({field: value})) == 1


def test_the_work_shows_in_the_numbers(working: Cgroup) -> None:
    stats = working.hot(keep=False).read()

    assert stats.cpu is not None
    assert stats.cpu.usage_usec >= CPU_USEC
    assert (stats.cpu.throttled_usec or 0) > 0
    assert stats.memory is not None
    assert stats.memory.shmem_bytes == SHARED_BYTES
    assert SHARED_BYTES <= stats.memory.usage_bytes < 256 * MIB
    assert stats.io is not None
    assert stats.io.write_bytes >= WRITTEN_BYTES
    assert stats.pids == PidsStat(1)
    assert stats.pressure is not None
    assert None not in stats.pressure


def test_the_slow_round_tells_of_peaks_nodes_and_the_freezer(working: Cgroup) -> None:
    slow, memory = working.read_slow(), working.hot(keep=False).read().memory

    assert memory is not None
    assert slow.freezer == "thawed"
    assert slow.populated is True
    assert slow.oom_kills == 0
    assert slow.memory_limit_hits == 0
    assert slow.memory_peak_bytes is None or slow.memory_peak_bytes >= SHARED_BYTES
    assert slow.numa is not None
    # Per node shared memory is anonymous to v1 and file memory to v2: the sum is the same.
    on_nodes = sum(node.anon_bytes + node.file_bytes for node in slow.numa.values())
    assert abs(on_nodes - (memory.anon_bytes or 0) - (memory.file_bytes or 0)) <= MIB


@pytest.mark.needs("nodes", "2")
def test_memory_is_told_for_each_of_two_nodes(working: Cgroup) -> None:
    nodes = working.read_slow().numa

    assert nodes is not None
    assert sorted(nodes) == [0, 1]
    assert working.read_limits().cpuset_mems_effective == "0-1"


def test_kept_files_and_opened_ones_tell_of_the_same_things(working: Cgroup) -> None:
    kept, opened = working.hot(), working.hot(keep=False)

    first, second = kept.read(), opened.read()

    assert [each is None for each in first] == [each is None for each in second]
    assert opened.fds == 0
    assert 9 <= kept.fds <= 10
    kept.close()


def test_everything_is_one_json_document_with_a_key_per_area(working: Cgroup) -> None:
    document = json.loads(json.dumps(working.read_all()))

    assert document.keys() >= AREAS
    assert document["memory"]["memory_max_bytes"] == LIMITS["memory_max_bytes"]
    assert document["numa"]["cpuset_cpus_effective"]
    assert document["freezer"]["state"] == "thawed"
