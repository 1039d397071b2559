"""The one door: what is offered, what is gone, what is never made."""

from __future__ import annotations

import contextlib
import os
import shutil

import pytest

from cgroupfs import CgroupGone, ControlDir, NotOffered, ParseError, Refused
from tests.cgroupfs.conftest import Tree


def test_a_file_that_is_not_there_is_not_offered(tree: Tree) -> None:
    directory = tree.make({"memory": {}})["memory"]

    assert directory.read("memory.high") is None
    with pytest.raises(NotOffered, match=r"does not offer memory\.high"):
        directory.write("memory.high", "5")


def test_a_mistyped_name_is_never_created(tree: Tree) -> None:
    directory = tree.make({"memory": {}})["memory"]

    with pytest.raises(NotOffered):
        directory.write("memory.limit", "5")

    assert sorted(os.listdir(tree.root / "memory")) == ["cgroup.procs"]


@pytest.mark.parametrize("keep", [True, False])
def test_a_namesake_is_never_mistaken_for_the_one_that_was_opened(tree: Tree, keep: bool) -> None:
    tree.make({"memory": {"memory.high": "max\n"}})
    directory = ControlDir.open(str(tree.root / "memory"), keep=keep)
    (tree.root / "memory").rename(tree.root / "old")
    tree.make({"memory": {"memory.high": "max\n"}})
    shutil.rmtree(tree.root / "old")

    with pytest.raises(CgroupGone):
        directory.write("memory.high", "5")

    assert not directory.alive()
    assert tree.text("memory/memory.high") == "max\n"


def test_a_directory_that_is_not_there_is_gone(tree: Tree) -> None:
    with pytest.raises(CgroupGone):
        ControlDir.open(str(tree.root / "none"))
    with pytest.raises(CgroupGone), contextlib.closing(tree.make({"memory": {}})["memory"]) as directory:
        directory.open_child("none")


def test_a_link_is_no_cgroup(tree: Tree) -> None:
    tree.make({"memory": {}})
    (tree.root / "link").symlink_to(tree.root / "memory")

    with pytest.raises(CgroupGone):
        ControlDir.open(str(tree.root / "link"))


def test_a_kept_fd_is_closed_when_nobody_uses_it_any_more(tree: Tree) -> None:
    directory = tree.make({"memory": {}})["memory"]
    fd = directory.fd
    del directory

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_letting_go_twice_closes_no_fd_of_anybody_else(tree: Tree) -> None:
    directory = tree.make({"memory": {}})["memory"]
    directory.close()
    with open(tree.root / "memory/cgroup.procs") as other:
        directory.close()

        assert os.fstat(other.fileno())
    assert directory.alive()


def test_bytes_that_are_no_ascii_are_a_parse_error(tree: Tree) -> None:
    directory = tree.make({"memory": {"x": "٣"}})["memory"]

    with pytest.raises(ParseError):
        directory.read("x")


def test_children_and_files_are_told_apart(tree: Tree) -> None:
    directory = tree.make({"memory": {"memory.high": "max\n"}})["memory"]
    assert directory.make_child("a.b")
    assert not directory.make_child("a.b")

    assert directory.children() == ["a.b"]
    assert directory.files() == {"cgroup.procs", "memory.high"}
    assert directory.remove_child("a.b")
    assert not directory.remove_child("a.b")


def test_a_name_that_no_directory_can_have_is_refused(tree: Tree) -> None:
    directory = tree.make({"memory": {}})["memory"]

    with pytest.raises(Refused, match="ENAMETOOLONG"):
        directory.make_child("x" * 300)
