"""Root file system drivers: the same behaviour from each, in real containers on the real kernel."""

import os
import stat
from pathlib import Path

import pytest

from launcher import Launcher
from launcher.rootfs.entries import TooDeep
from tests.launcher.conftest import Place
from tests.launcher.rootfs.conftest import Start, changes, output

pytestmark = pytest.mark.kernel

SCRIPT = """
echo more >> /data/changed; rm /data/removed; rm -r /data/deep; mkdir /data/deep; echo new > /data/deep/near
mkdir /made; echo a > /made/a; ln /made/a /made/b; ln -sf changed /data/pointer; chmod 700 /data/pipe
mkdir /made/z
"""
CHANGED = [
    "C /data",
    "C /data/changed",
    "C /data/deep",
    "D /data/deep/far",
    "A /data/deep/near",
    "C /data/pipe",
    "C /data/pointer",
    "D /data/removed",
    "A /made",
    "A /made/a",
    "A /made/b",
    "A /made/z",
]


def test_a_container_sees_the_root_whole_and_changes_its_own_copy(
    start: Start, launcher: Launcher, root: Path
) -> None:
    start("cd /data; stat -c '%n %a %u:%g %h' kept linked; readlink pointer; cat deep/far; echo x >> changed")

    assert output(launcher) == [
        "kept 4755 1234:2345 2",
        "linked 4755 1234:2345 2",
        "kept",
        "deep/far",
    ]
    assert (root / "data" / "changed").read_text() == "changed\n"


def test_diff_tells_what_was_added_changed_and_deleted(start: Start, launcher: Launcher) -> None:
    start(SCRIPT)
    launcher.wait("t", 20)

    assert changes(launcher) == CHANGED


def test_diff_of_a_running_container_leaves_it_running(start: Start, launcher: Launcher) -> None:
    start("echo x > /new; sleep 100")
    while not changes(launcher):
        continue

    assert changes(launcher) == ["A /new"]
    assert launcher.state_of("t") == "running"


def test_what_was_only_read_or_touched_back_is_no_change(start: Start, launcher: Launcher) -> None:
    read = "cat /data/kept /data/linked; ls -R /data"
    start(f"{read}; : >> /data/changed; chmod 700 /data/deep; chmod 755 /data/deep")
    assert launcher.wait("t", 20) == 0

    assert changes(launcher) == []


def test_changes_are_kept_over_a_start_and_go_with_the_container(
    start: Start, launcher: Launcher, place: Place
) -> None:
    start("cat /count; echo x >> /count")
    launcher.wait("t", 20)
    launcher.start("t")

    assert output(launcher)[-1] == "x"
    launcher.remove("t")
    assert place.remains("t") == []
    assert list(place.state_dir.rglob("count")) == []


def test_a_container_of_an_earlier_daemon_has_its_changes(start: Start, place: Place) -> None:
    start(SCRIPT + "sleep 100")
    after = place.launcher()
    while "A /made/z" not in changes(after):
        continue

    assert changes(after) == CHANGED


def test_devices_in_the_root_do_not_work_with_any_driver(
    start: Start, launcher: Launcher, root: Path
) -> None:
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    start("echo x > /null")

    assert any("Permission denied" in line for line in output(launcher))


def test_a_read_only_container_writes_nothing(start: Start, launcher: Launcher) -> None:
    start("echo x > /new", read_only=True)

    assert any("Read-only file system" in line for line in output(launcher))
    assert changes(launcher) == []


def test_a_tree_deeper_than_we_follow_is_said_so_in_one_line(start: Start, launcher: Launcher) -> None:
    start("mkdir -p /$(printf 'd/%.0s' $(seq 300))")
    launcher.wait("t", 20)

    with pytest.raises(TooDeep, match="directories more than 200 levels deep are not followed"):
        launcher.diff("t")

    launcher.remove("t")
