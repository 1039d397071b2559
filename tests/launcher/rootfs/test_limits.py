"""What a container can make of its tree costs the daemon only so much."""

import os
from pathlib import Path

import pytest

from launcher.rootfs import changes
from launcher.rootfs.driver import OpenTrees
from launcher.rootfs.entries import unshifted


def test_a_tree_with_more_files_than_we_look_at_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        (tmp_path / f"{number}").touch()
    (tmp_path / "empty").mkdir()
    tree = os.open(tmp_path, os.O_RDONLY)
    base = os.open(tmp_path / "empty", os.O_RDONLY)
    monkeypatch.setattr(changes, "MOST_FILES", 10)

    try:
        with pytest.raises(changes.TooMuch):
            changes.read_changes(OpenTrees(base, tree, is_upper=False))
    finally:
        os.close(tree)
        os.close(base)


def test_owners_outside_of_a_range_are_left_as_they_are(tmp_path: Path) -> None:
    found = tmp_path.stat()

    assert unshifted(found, found.st_uid + 1, 10) == found
    moved = unshifted(found, found.st_uid - 5, 10) if found.st_uid >= 5 else unshifted(found, 0, 10)
    assert (moved.st_mtime_ns, moved.st_rdev, moved.st_mode) == (
        found.st_mtime_ns,
        found.st_rdev,
        found.st_mode,
    )
