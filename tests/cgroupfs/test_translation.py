"""CPU shares where the kernel has weights: taken, converted by one named formula, and told."""

from __future__ import annotations

import pytest

from cgroupfs import BadLimit, Cgroup, Write
from cgroupfs.conversions import QUADRATIC
from cgroupfs.translation import Translated


@pytest.mark.needs("cpu", "v2")
def test_shares_become_the_weight_of_the_formula(web: Cgroup) -> None:
    assert web.plan_limits({"cpu_shares": 512}) == [Write("cpu", "cpu.weight", "59")]
    assert web.plan_limits({"cpu_shares": 1024}) == []
    assert web.translate({"cpu_shares": 512, "pids_max": 5}) == Translated(
        {"pids_max": 5, "cpu_weight": 59}, ("cpu_shares 512 is cpu_weight 59 here (quadratic formula)",)
    )


@pytest.mark.needs("cpu", "v2")
@pytest.mark.parametrize("lifted", [None, "max"])
def test_shares_that_are_lifted_lift_the_weight(web: Cgroup, lifted: object) -> None:
    assert web.translate({"cpu_shares": lifted}) == Translated({"cpu_weight": None}, ())
    assert web.plan_limits({"cpu_shares": lifted}) == []


@pytest.mark.needs("cpu", "v2")
@pytest.mark.parametrize("shares", [1, 262_145, "512", True])
def test_shares_that_are_none_are_refused_under_their_own_name(web: Cgroup, shares: object) -> None:
    with pytest.raises(BadLimit, match="cpu_shares"):
        web.plan_limits({"cpu_shares": shares})


@pytest.mark.needs("cpu", "v2")
def test_shares_and_weight_together_are_one_too_many(web: Cgroup) -> None:
    with pytest.raises(BadLimit, match="cpu_shares: here it is the same as cpu_weight; give one of them"):
        web.plan_limits({"cpu_shares": 512, "cpu_weight": 59})


@pytest.mark.needs("cpu", "v1")
def test_shares_stay_shares_where_the_kernel_has_them(web: Cgroup) -> None:
    wish = {"cpu_shares": 512}

    assert web.translate(wish) == Translated(wish, ())
    assert web.plan_limits(wish) == [Write("cpu", "cpu.shares", "512")]


@pytest.mark.kernel
@pytest.mark.needs("cpu", "v2")
@pytest.mark.parametrize("shares", [2, 512, 1024, 2048, 262_144])
def test_the_kernel_holds_the_converted_weight(real: Cgroup, shares: int) -> None:
    written = real.apply(real.plan_limits({"cpu_shares": shares}))

    assert real.read_limits().cpu_weight == QUADRATIC.to_weight(shares)
    assert real.plan_limits({"cpu_shares": shares}) == []
    assert [write.file for write in written] == ["cpu.weight"] * (shares != 1024)
