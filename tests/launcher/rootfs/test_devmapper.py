"""What only devmapper has: a pool, its filling, and devices that must not be left in the kernel."""

from pathlib import Path

import pytest

from launcher import ContainerSpec, Launcher
from launcher.rootfs import devices, dm
from launcher.rootfs.devmapper import NOT_HERE
from launcher.rootfs.driver import DriverUnavailable
from launcher.rootfs.thinpool import ThinPool, parse_pool_status
from tests.launcher.conftest import Place, eventually
from tests.launcher.rootfs.conftest import output


def spec(root: Path, name: str = "t", **fields: object) -> ContainerSpec:
    wire = {"name": name, "rootfs": str(root), "driver": "devmapper", "command": ["sleep", "100"]}
    return ContainerSpec.from_wire(wire | fields)


def ours(place: Place) -> set[str]:
    prefix = ThinPool(f"{place.state_dir.resolve()}/devmapper").name.removesuffix("pool")
    return {name.removeprefix(prefix) for name, _ in devices.read_names() if name.startswith(prefix)}


def test_the_status_of_a_pool_is_read_as_two_fractions() -> None:
    healthy = "0 13/4096 205/1638400 - rw no_discard_passdown error_if_no_space - 1024"

    data, meta = parse_pool_status(healthy)

    assert (round(data, 6), round(meta, 6)) == (0.000125, 0.003174)
    assert parse_pool_status("Fail") == (1.0, 1.0)


@pytest.mark.kernel
@pytest.mark.host_has("no-devmapper")
def test_a_host_without_device_mapper_says_so_in_one_line(launcher: Launcher, busybox_root: Path) -> None:
    with pytest.raises(DriverUnavailable) as told:
        launcher.run(spec(busybox_root))

    assert str(told.value) == f"root driver devmapper: {NOT_HERE}"


@pytest.mark.kernel
@pytest.mark.host_has("devmapper")
def test_snapshots_share_a_base_and_the_pool_goes_with_the_last(
    launcher: Launcher, busybox_root: Path, place: Place
) -> None:
    launcher.run(spec(busybox_root, "one"))
    launcher.run(spec(busybox_root, "two"))
    assert ours(place) == {"pool", "c-one", "c-two"}
    table = ThinPool(f"{place.state_dir.resolve()}/devmapper").read_table()
    assert table["c-one"]["base"] == table["c-two"]["base"]

    launcher.remove("one", force=True)
    launcher.remove("two", force=True)

    assert eventually(lambda: ours(place) == set())


@pytest.mark.kernel
@pytest.mark.host_has("devmapper")
def test_the_device_holds_the_layer_to_its_size(launcher: Launcher, busybox_root: Path) -> None:
    fill = "dd if=/dev/zero of=/full bs=1M count=200 2>&1 | grep -o 'No space.*'; df -m / | tail -1"
    launcher.run(spec(busybox_root, storage_bytes=64 << 20, command=["sh", "-c", fill]))

    lines = output(launcher)

    assert lines[0] == "No space left on device", lines
    assert [change.path for change in launcher.diff("t")] == ["/full"]


@pytest.mark.kernel
@pytest.mark.host_has("devmapper")
def test_what_a_crash_left_in_the_pool_goes_with_the_next_start(
    launcher: Launcher, busybox_root: Path, place: Place
) -> None:
    launcher.run(spec(busybox_root, "kept"))
    pool = ThinPool(f"{place.state_dir.resolve()}/devmapper")
    pool.make("c-lost", 2048)
    pool.activate("c-lost")

    place.launcher()

    assert ours(place) == {"pool", "c-kept"}
    assert "c-lost" not in pool.read_table()


@pytest.mark.kernel
@pytest.mark.host_has("devmapper")
def test_a_pool_that_is_nearly_full_takes_no_new_container(
    launcher: Launcher, busybox_root: Path, place: Place
) -> None:
    directory = place.state_dir.resolve() / "devmapper"
    directory.mkdir(parents=True)
    with open(directory / "data", "wb") as file:
        file.truncate(96 << 20)
    fill = "dd if=/dev/zero of=/full bs=1M count=84; sync; sleep 100"
    launcher.run(spec(busybox_root, "hungry", command=["sh", "-c", fill]))
    pool = ThinPool(str(directory))
    assert eventually(lambda: parse_pool_status(dm.read_status(pool.name))[0] > 0.9, 60)

    with pytest.raises(DriverUnavailable, match=r"its pool's data is 9\d% full"):
        launcher.run(spec(busybox_root, "late"))

    assert place.remains("late") == []
