"""The v1 freezer where a freeze does not finish by itself, on a literal tree."""

from __future__ import annotations

import shutil

import pytest

from cgroupfs import CgroupGone, ControlDir, FreezeTimeout
from cgroupfs.freezer import freeze, read_state
from tests.cgroupfs.conftest import Tree
from tests.cgroupfs.interrupts import interrupted_once


class Reluctant(ControlDir):
    """A group that stays half frozen, until it is asked for the time `freezes_at`."""

    freezes_at: int
    asked: list[str]

    def write(self, name: str, value: str) -> None:
        self.asked.append(value)
        half = value == "FROZEN" and self.asked.count("FROZEN") != self.freezes_at
        super().write(name, "FREEZING" if half else value)


@pytest.fixture
def reluctant(tree: Tree) -> Reluctant:
    tree.make({"freezer": {"freezer.state": "THAWED\n"}})
    opened = ControlDir.open(f"{tree.root}/freezer").unkept()
    reluctant = Reluctant(opened.path, opened.inode, opened.device)
    reluctant.freezes_at, reluctant.asked = 0, []
    return reluctant


def test_a_v1_freeze_by_which_a_fork_slipped_is_asked_for_anew(reluctant: Reluctant) -> None:
    reluctant.freezes_at = 3

    assert freeze({"freezer": reluctant}, 60)

    assert reluctant.asked == ["FROZEN", "THAWED", "FROZEN", "THAWED", "FROZEN"]
    assert read_state({"freezer": reluctant}) == "frozen"


def test_a_v1_freeze_that_never_finishes_is_taken_back(reluctant: Reluctant) -> None:
    with pytest.raises(FreezeTimeout, match=r"within 0\.02 s; thawed again"):
        freeze({"freezer": reluctant}, 0.02)

    assert (reluctant.asked[-1], read_state({"freezer": reluctant})) == ("THAWED", "thawed")


def test_a_v1_freeze_that_is_interrupted_is_taken_back(reluctant: Reluctant) -> None:
    with pytest.raises(KeyboardInterrupt), interrupted_once(lambda: reluctant.asked != []):
        freeze({"freezer": reluctant}, 60)

    assert (reluctant.asked[-1], read_state({"freezer": reluctant})) == ("THAWED", "thawed")


def test_a_group_that_goes_while_it_freezes_is_gone(reluctant: Reluctant) -> None:
    with pytest.raises(CgroupGone):
        freeze({"freezer": Leaving(reluctant.path, reluctant.inode, reluctant.device)}, 60)


class Leaving(ControlDir):
    """A group that is removed when it is asked to freeze."""

    def write(self, name: str, value: str) -> None:
        shutil.rmtree(self.path)
        super().write(name, value)
