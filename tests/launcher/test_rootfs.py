"""Root file system drivers: the same behaviour from each, in real containers on the real kernel."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import Container, ContainerSpec, Launcher
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel
DRIVERS = ("overlay", "btrfs", "vfs")


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Iterator[str]:
    """A driver that works in `place`: btrfs gets a file system of its own there."""
    if request.param != "btrfs":
        yield request.param
        return
    yield from with_btrfs(place, tmp_path)


def with_btrfs(place: Place, tmp_path: Path) -> Iterator[str]:
    image, top = tmp_path / "btrfs.img", place.state_dir / "btrfs"
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, stdout=subprocess.DEVNULL)
    top.mkdir(parents=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, top], check=True)
    yield "btrfs"
    for launcher in place.launchers[-1:]:
        for container in launcher.containers():
            launcher.remove(container.name, force=True)
    subprocess.run(["umount", top], check=True)


@pytest.fixture
def root(busybox_root: Path, tmp_path: Path) -> Path:
    """A root with something of every kind in it."""
    top = tmp_path / "root"
    shutil.copytree(busybox_root, top, symlinks=True)
    (top / "data" / "deep").mkdir(parents=True)
    for name in ("kept", "changed", "removed", "deep/far"):
        (top / "data" / name).write_text(f"{name}\n")
    os.link(top / "data" / "kept", top / "data" / "linked")
    (top / "data" / "pointer").symlink_to("kept")
    os.setxattr(top / "data" / "kept", "user.mark", b"\x00\xff")
    os.chown(top / "data" / "kept", 1234, 2345)
    os.mkfifo(top / "data" / "pipe", 0o640)
    (top / "data" / "kept").chmod(0o4755)
    return top


Start = Callable[..., Container]


@pytest.fixture
def start(launcher: Launcher, root: Path, driver: str) -> Start:
    def begin(script: str, **fields: object) -> Container:
        wire = {"name": "t", "rootfs": str(root), "driver": driver, "command": ["sh", "-c", script]}
        return launcher.run(ContainerSpec.from_wire({"stop_timeout_sec": 0.3} | wire | fields))

    return begin


def output(launcher: Launcher, name: str = "t") -> list[str]:
    launcher.wait(name, 20)
    return [line.data.decode() for line in launcher.read_log(name)]


def changes(launcher: Launcher, name: str = "t") -> list[str]:
    return [f"{change.kind} {change.path}" for change in launcher.diff(name)]


# Directories that a launch makes where the root lacks them, and what a shell leaves, are no change here.
SCRIPT = """
echo more >> /data/changed; rm /data/removed; rm -r /data/deep; mkdir /data/deep; echo new > /data/deep/near
mkdir /made; echo a > /made/a; ln /made/a /made/b; ln -sf changed /data/pointer; chmod 700 /data/pipe; mkdir /made/z
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
    start(
        "cat /data/* 2>/dev/null; ls -R /data; : >> /data/changed; chmod 700 /data/deep; chmod 755 /data/deep"
    )
    launcher.wait("t", 20)

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
