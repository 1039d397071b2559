"""Docker's words for limits that a kernel has under another name: converted where need be, and said."""

import pytest

from cgroupfs import BadLimit, Cgroup, Limits, Write, is_translated, translate
from cgroupfs.conversions import QUADRATIC
from cgroupfs.translation import Translated

V2 = Limits(cpu_weight=100, io_weight=100, memory_low_bytes=0)
V1 = Limits(cpu_shares=1024, blkio_weight=100, memory_soft_limit_bytes=1)


def test_what_the_newer_interface_has_under_another_name() -> None:
    wishes = {"cpu_shares": 512, "blkio_weight": 500, "memory_soft_limit_bytes": 4096, "pids_max": 5}

    meant, notes = translate(wishes, V2)

    assert meant == {"cpu_weight": 59, "io_weight": 4950, "memory_low_bytes": 4096, "pids_max": 5}
    assert notes[0] == "cpu_shares 512 is cpu_weight 59 here (quadratic formula)"
    assert len(notes) == 3


def test_what_the_older_interface_has_under_another_name() -> None:
    meant, notes = translate({"cpu_weight": 100, "io_weight": 1}, V1)

    assert meant == {"cpu_shares": 1024, "blkio_weight": 10}
    assert len(notes) == 2


@pytest.mark.parametrize("offered", [V1, Limits()])
def test_what_is_offered_as_it_is_or_not_at_all_stays(offered: Limits) -> None:
    wishes = {"cpu_shares": 512, "memory_soft_limit_bytes": 4096}

    assert translate(wishes, offered) == (wishes, ())


def test_a_wish_for_both_is_nobodys_to_decide() -> None:
    wishes = {"cpu_shares": 512, "cpu_weight": 5}

    with pytest.raises(BadLimit, match="cpu_shares: here it is the same as cpu_weight; give one of them"):
        translate(wishes, V2)


def test_a_lifted_weight_is_the_kernels_own() -> None:
    assert translate({"cpu_shares": "max"}, V2)[0] == {"cpu_weight": None}


@pytest.mark.parametrize("value", [1, 262_145, "many", True])
def test_what_the_formula_does_not_take_is_refused(value: object) -> None:
    with pytest.raises(BadLimit, match="cpu_shares"):
        translate({"cpu_shares": value}, V2)


def test_most_wishes_are_never_looked_at() -> None:
    assert is_translated({"cpu_shares": 5})
    assert not is_translated({"memory_max_bytes": 5, "pids_max": 1})


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
