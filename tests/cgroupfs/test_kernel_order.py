"""Any valid wish after any other, on the real kernel: the planned order is one that the kernel takes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgroupfs import UNLIMITED, Cgroup, Hierarchies
from tests.cgroupfs.hosts import EMULATED

pytestmark = pytest.mark.kernel

on_one_cgroup = settings(
    max_examples=30 if EMULATED else 150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PARENT_CORES = 1.5
PAGE = 4096


@st.composite
def cpu_wishes(draw: st.DrawFn) -> dict[str, object]:
    period = draw(st.integers(1_000, 1_000_000))
    cores = draw(st.floats(min(PARENT_CORES, 1_001 / period), PARENT_CORES))
    burst = draw(st.integers(0, int(cores * period)))
    return {"cpu_max_cores": cores, "cpu_period_usec": period, "cpu_burst_usec": burst}


@given(wish=cpu_wishes())
@on_one_cgroup
def test_any_cpu_wish_within_the_parents_share_is_taken(
    hierarchies: Hierarchies, real: Cgroup, wish: dict[str, object]
) -> None:
    real.apply(real.plan_limits({"cpu_max_cores": PARENT_CORES}))
    child = hierarchies.create(f"{real.path}/child")

    child.apply(child.plan_limits(wish))

    limits = child.read_limits()
    assert limits.cpu_period_usec == wish["cpu_period_usec"]
    assert limits.cpu_burst_usec == wish["cpu_burst_usec"]
    assert child.plan_limits(wish) == []


pages = st.integers(0, 1 << 30).map(lambda count: count * PAGE) | st.just(UNLIMITED)


@given(memory=pages, swap=pages)
@on_one_cgroup
def test_any_memory_and_swap_wish_is_taken(real: Cgroup, memory: object, swap: object) -> None:
    wish = {"memory_max_bytes": memory, "memory_swap_max_bytes": UNLIMITED if memory is UNLIMITED else swap}

    real.apply(real.plan_limits(wish))

    limits = real.read_limits()
    assert limits.memory_max_bytes == wish["memory_max_bytes"]
    assert limits.memory_swap_max_bytes == wish["memory_swap_max_bytes"]
    assert real.plan_limits(wish) == []


@given(wish=cpu_wishes(), memory=pages)
@on_one_cgroup
def test_an_applied_plan_can_be_undone_by_its_own_record(
    real: Cgroup, wish: dict[str, object], memory: object
) -> None:
    before = real.read_limits()
    plan = real.plan_limits(wish | {"memory_max_bytes": memory, "pids_max": 5, "cpuset_cpus": "0"})
    written = real.apply(plan)

    undo = [write._replace(value=each.before) for write, each in zip(plan, written, strict=True)]
    real.apply(undo[::-1])

    assert real.read_limits() == before
