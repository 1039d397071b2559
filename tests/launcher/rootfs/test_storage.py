"""A size for the writable layer: full inside, nothing of it on the host, nothing left behind."""

import os
from pathlib import Path

import pytest

from launcher import BadSpec, ContainerSpec, Launcher
from launcher.rootfs.loop import attached_to
from launcher.rootfs.source import UPPER_IMAGE
from tests.launcher.conftest import Place, eventually
from tests.launcher.rootfs.conftest import output

pytestmark = pytest.mark.kernel
SIZE = 16 << 20
FILL = "dd if=/dev/zero of=/full bs=1M count=64 2>&1 | grep -o 'No space.*\\|.*quota exceeded'; ls -s /full"


def spec(root: Path, **fields: object) -> ContainerSpec:
    wire = {"name": "t", "rootfs": str(root), "command": ["sh", "-c", FILL], "storage_bytes": SIZE}
    return ContainerSpec.from_wire(wire | fields)


@pytest.mark.parametrize("driver", ["overlay", "btrfs"], indirect=True)
def test_a_full_writable_layer_is_full_inside_alone(
    launcher: Launcher,
    root: Path,
    driver: str,
    place: Place,
) -> None:
    free = os.statvfs(place.state_dir).f_bavail
    launcher.run(spec(root, driver=driver))

    lines = output(launcher)

    assert lines[0] in ("No space left on device", "dd: error writing '/full': Disk quota exceeded"), lines
    assert 4 << 10 < int(lines[1].split()[0]) <= SIZE >> 10
    assert [change.path for change in launcher.diff("t")] == ["/full"]
    assert (free - os.statvfs(place.state_dir).f_bavail) * 4096 < 2 * SIZE


def test_the_device_of_a_sized_layer_ends_with_the_container(
    launcher: Launcher,
    root: Path,
    place: Place,
) -> None:
    launcher.run(spec(root, command=["sleep", "100"]))
    image = str(place.state_of("t") / UPPER_IMAGE)
    assert len(list(attached_to(image))) == 1

    launcher.kill("t", 9)
    launcher.wait("t", 20)

    assert eventually(lambda: not list(attached_to(image)))


def test_the_changes_in_a_sized_layer_are_told_while_it_runs_and_kept_over_a_start(
    launcher: Launcher,
    root: Path,
) -> None:
    launcher.run(
        spec(root, command=["sh", "-c", "cat /count; echo x >> /count; sleep 100"], stop_timeout_sec=0)
    )
    assert eventually(lambda: [change.path for change in launcher.diff("t")] == ["/count"])

    launcher.restart("t")

    assert eventually(lambda: [line.data.decode() for line in launcher.read_log("t")][-1:] == ["x"])


def test_a_size_that_no_driver_can_hold_is_refused_before_anything_is_made(
    launcher: Launcher,
    root: Path,
    place: Place,
) -> None:
    with pytest.raises(BadSpec, match="storage_bytes: driver vfs cannot hold"):
        launcher.run(spec(root, driver="vfs"))
    with pytest.raises(BadSpec, match="storage_bytes: an ext4 file system needs at least 4 MiB"):
        launcher.run(spec(root, storage_bytes=1 << 20))

    assert place.remains("t") == []


@pytest.mark.parametrize("driver", ["overlay", "btrfs"], indirect=True)
def test_a_sized_layer_serves_a_container_with_ids_of_its_own(
    launcher: Launcher, root: Path, driver: str
) -> None:
    script = "echo x > /mine; stat -c '%u:%g' /mine /data/kept; dd if=/dev/zero of=/full bs=1M count=64"
    launcher.run(spec(root, driver=driver, userns="auto", command=["sh", "-c", script]))

    lines = output(launcher)

    assert lines[:2] == ["0:0", "1234:2345"], lines
    found = {change.path: change.status for change in launcher.diff("t")}
    assert list(found) == ["/full", "/mine"]
    assert all(status is not None and status.st_uid == 0 for status in found.values())
