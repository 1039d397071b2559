"""Removal never deletes through a mount: shown with real bind mounts, in mount namespaces of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.removal import DEEPEST, remove_tree, try_remove_tree

# Shared with nobody: what is mounted there the host never sees, and it ends with the process.
ROOT = Path(__file__).parents[2]
PRIVATELY = ["unshare", "--mount", "--propagation", "private"]
BIND_AND_REMOVE = 'mount --bind "$1" "$2" && exec "$3" -m tests.launcher.removing "$4"'


def remove_with_bind(source: Path, mounted_at: Path, tree: Path) -> str:
    """What removing `tree` says, twice, while `source` is mounted somewhere in it; nowhere else is it so."""
    script = [*PRIVATELY, "sh", "-c", BIND_AND_REMOVE, "sh"]
    argv = [*script, str(source), str(mounted_at), sys.executable, str(tree)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory with a file that must survive."""
    directory = tmp_path / "outside"
    (directory / "sub").mkdir(parents=True)
    (directory / "marker").write_text("precious")
    (directory / "sub/marker").write_text("precious")
    return directory


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "upper/a/b").mkdir(parents=True)
    (top / "upper/a/file").write_text("x")
    return top


@pytest.mark.kernel
@pytest.mark.parametrize("place", ["", "upper", "upper/a/b"])
def test_a_bind_mount_of_the_same_file_system_is_never_entered(tree: Path, outside: Path, place: str) -> None:
    mounted_at = tree / place

    said = remove_with_bind(outside, mounted_at, tree)

    told = f"something is mounted at {mounted_at}: nothing was removed through it; unmount it first\n"
    assert said == told * 2
    assert (outside / "marker").read_text() == "precious"
    assert (outside / "sub/marker").read_text() == "precious"
    assert mounted_at.is_dir()


@pytest.mark.kernel
def test_a_mount_over_a_file_stops_the_removal_too(tree: Path, outside: Path) -> None:
    mounted_at = tree / "upper/a/file"

    said = remove_with_bind(outside / "marker", mounted_at, tree)

    assert f"something is mounted at {mounted_at}" in said
    assert (outside / "marker").read_text() == "precious"


@pytest.mark.kernel
def test_a_mount_below_the_levels_that_are_held_open_is_never_entered(tree: Path, outside: Path) -> None:
    mounted_at = tree / "/".join(["d"] * (DEEPEST + 3))
    mounted_at.mkdir(parents=True)

    said = remove_with_bind(outside, mounted_at, tree)

    assert said.count("something is mounted at ") == 2
    assert (outside / "marker").read_text() == "precious"
    assert (outside / "sub/marker").read_text() == "precious"


def test_a_tree_goes_with_its_links_pipes_and_odd_names_and_what_links_lead_to_stays(
    tree: Path, outside: Path
) -> None:
    (tree / "link").symlink_to(outside)
    (tree / "upper/dangling").symlink_to("/no/such/file")
    os.mkfifo(tree / "upper/pipe")
    (tree / os.fsdecode(b"\xff\n")).mkdir()

    remove_tree(str(tree))

    assert not tree.exists()
    assert (outside / "marker").read_text() == "precious"


def test_what_is_not_there_needs_no_removing(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "absent"))
    remove_tree(str(tmp_path / "absent/below"))

    assert try_remove_tree(str(tmp_path / "absent")) is None


def test_a_tree_deeper_than_any_path_can_say_goes(tmp_path: Path) -> None:
    top = tmp_path / "deep"
    top.mkdir()
    fd = os.open(top, os.O_DIRECTORY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)

    remove_tree(str(top))

    assert not top.exists()


def test_a_link_in_place_of_the_directory_is_refused_and_not_followed(tmp_path: Path, outside: Path) -> None:
    link = tmp_path / "tree"
    link.symlink_to(outside)

    why = try_remove_tree(str(link))

    assert why is not None
    assert str(link) in why
    assert (outside / "marker").read_text() == "precious"
