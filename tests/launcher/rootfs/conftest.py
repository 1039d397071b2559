"""Drivers that work here, and a root with something of every kind in it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import Container, ContainerSpec, Launcher
from tests.launcher.conftest import Place

DRIVERS = (
    "overlay",
    "btrfs",
    "vfs",
    pytest.param("devmapper", marks=pytest.mark.host_has("devmapper")),
)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Iterator[str]:
    """A driver that works in `place`: btrfs gets a file system of its own there."""
    if request.param != "btrfs":
        yield request.param
        return
    yield from with_btrfs(place, tmp_path)


def with_btrfs(place: Place, tmp_path: Path) -> Iterator[str]:
    with btrfs_at(place.state_dir / "btrfs", tmp_path):
        yield "btrfs"
        for launcher in place.launchers[-1:]:
            for container in launcher.containers():
                launcher.remove(container.name, force=True)


@contextlib.contextmanager
def btrfs_at(top: Path, tmp_path: Path) -> Iterator[None]:
    """A btrfs of its own, mounted at a directory that is made for it."""
    image = tmp_path / "btrfs.img"
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, stdout=subprocess.DEVNULL)
    top.mkdir(parents=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, top], check=True)
    try:
        yield
    finally:
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
    # tmpfs takes user.* since Linux 6.6 only, and the guest's tests lie on an older one.
    with contextlib.suppress(OSError):
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
