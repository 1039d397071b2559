"""Plans on plain files: all or nothing, read back, per device."""

from __future__ import annotations

import errno

import pytest

from cgroupfs import ControlDir, HalfApplied, NotOffered, Refused, Write, Written
from cgroupfs.devices import plan_restore
from cgroupfs.plan import apply, read_value
from tests.cgroupfs.conftest import Tree


def test_every_write_is_read_back(tree: Tree) -> None:
    dirs = tree.make({"pids": {"pids.max": "max\n"}})

    assert apply(dirs, [Write("pids", "pids.max", "5")]) == [Written("pids", "pids.max", "max", "5", "5")]


def test_what_was_written_before_a_failure_is_put_back(tree: Tree) -> None:
    dirs = tree.make({"pids": {"pids.max": "max\n"}, "cpu": {"cpu.shares": "1024\n"}})
    plan = [Write("pids", "pids.max", "5"), Write("cpu", "cpu.shares", "2"), Write("cpu", "cpu.none", "1")]

    with pytest.raises(NotOffered):
        apply(dirs, plan)

    assert tree.text("pids/pids.max") == "max"
    assert tree.text("cpu/cpu.shares") == "1024"


def test_a_controller_that_is_not_there_is_not_offered(tree: Tree) -> None:
    with pytest.raises(NotOffered):
        apply(tree.make({"cpu": {}}), [Write("pids", "pids.max", "5")])


def test_a_keyed_file_is_looked_at_per_device(tree: Tree) -> None:
    file = "blkio.throttle.read_bps_device"
    dirs = tree.make({"blkio": {file: "8:0 100\n8:16 200\n"}})

    assert read_value(dirs, Write("blkio", file, "8:16 5", "8:16")) == "8:16 200"
    assert read_value(dirs, Write("blkio", file, "8:32 5", "8:32")) == "8:32 0"


def test_the_rules_of_an_open_and_of_a_closed_list_are_restored_differently() -> None:
    assert plan_restore("a *:* rwm\n") == [("devices.allow", "a")]
    assert plan_restore("c 1:3 rwm\nb *:* m\n") == [
        ("devices.deny", "a"),
        ("devices.allow", "c 1:3 rwm"),
        ("devices.allow", "b *:* m"),
    ]
    assert plan_restore("") == [("devices.deny", "a")]


class OneWay(ControlDir):
    """A directory that takes every value but the one it had."""

    def write(self, name: str, value: str) -> None:
        if value == "max":
            raise Refused(self.path, name, value, errno.EINVAL, "not back to that")
        super().write(name, value)


def test_what_could_not_be_put_back_is_said(tree: Tree) -> None:
    pids = tree.make({"pids": {"pids.max": "max\n"}})["pids"]
    dirs = {"pids": OneWay(pids.path, pids.inode, pids.device)}

    with pytest.raises(
        HalfApplied, match=r"pids\.none here; and .* not all could be put back.*not back to that"
    ):
        apply(dirs, [Write("pids", "pids.max", "5"), Write("pids", "pids.none", "5")])
