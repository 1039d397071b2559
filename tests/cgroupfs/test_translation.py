"""Docker's words for limits that a kernel has under another name: converted where need be, and said."""

import pytest

from cgroupfs import BadLimit, Limits, is_translated, translate

V2 = Limits(cpu_weight=100, io_weight=100, memory_low_bytes=0)
V1 = Limits(cpu_shares=1024, blkio_weight=100, memory_soft_limit_bytes=1)


def test_what_the_newer_interface_has_under_another_name() -> None:
    wishes = {"cpu_shares": 512, "blkio_weight": 500, "memory_soft_limit_bytes": 4096, "pids_max": 5}

    meant, notes = translate(wishes, V2)

    assert meant == {"cpu_weight": 59, "io_weight": 4950, "memory_low_bytes": 4096, "pids_max": 5}
    assert notes[0] == "cpu_weight is 59, from cpu_shares 512 by the quadratic formula"
    assert len(notes) == 3


def test_what_the_older_interface_has_under_another_name() -> None:
    meant, notes = translate({"cpu_weight": 100, "io_weight": 1}, V1)

    assert meant == {"cpu_shares": 1024, "blkio_weight": 10}
    assert len(notes) == 2


@pytest.mark.parametrize("offered", [V1, Limits()])
def test_what_is_offered_as_it_is_or_not_at_all_stays(offered: Limits) -> None:
    wishes = {"cpu_shares": 512, "memory_soft_limit_bytes": 4096}

    assert translate(wishes, offered) == (wishes, [])


def test_a_wish_for_both_is_nobodys_to_decide() -> None:
    wishes = {"cpu_shares": 512, "cpu_weight": 5}

    assert translate(wishes, V2) == (wishes, [])


def test_a_lifted_weight_is_the_kernels_own() -> None:
    assert translate({"cpu_shares": "max"}, V2)[0] == {"cpu_weight": None}


@pytest.mark.parametrize("value", [1, 262_145, "many", True])
def test_what_the_formula_does_not_take_is_refused(value: object) -> None:
    with pytest.raises(BadLimit, match="cpu_shares"):
        translate({"cpu_shares": value}, V2)


def test_most_wishes_are_never_looked_at() -> None:
    assert is_translated({"cpu_shares": 5})
    assert not is_translated({"memory_max_bytes": 5, "pids_max": 1})
