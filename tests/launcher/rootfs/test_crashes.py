"""The daemon is killed with -9 at every step of a root driver, and the next one leaves nothing behind."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from launcher import ContainerSpec, Launcher
from launcher.failpoints import STEPS
from launcher.rootfs.thinpool import ThinPool
from tests.launcher.conftest import Place
from tests.launcher.dying import killed_at, order_for

ALL_STEPS: Final = ("create.root", *(step for step in STEPS if step.startswith("root.")))
PASSED: Final = {
    "overlay": ("root.copied",),
    "vfs": ("root.copied",),
    "btrfs": ALL_STEPS,
    "devmapper": ALL_STEPS,
}


def kill_at(step: str, place: Place, spec: dict[str, object]) -> bool:
    """Create and remove a container in a daemon that dies at that step; False where it did not come there."""
    order = order_for(place, [("create", spec), ("remove", spec["name"])])
    return not killed_at(step, order).isdigit()


def left_on_disk(place: Place) -> list[str]:
    """Whatever a driver keeps beside the containers' own directories."""
    top = place.state_dir / "btrfs"
    found = [f"{part}/{name}" for part in ("bases", "containers", "used") for name in _names(top / part)]
    return found + list(ThinPool(f"{place.state_dir.resolve()}/devmapper").read_table())


def _names(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.is_dir() else []


def cases() -> Iterator[object]:
    for driver, steps in PASSED.items():
        marks = [pytest.mark.host_has("devmapper")] if driver == "devmapper" else []
        yield from (pytest.param(driver, step, marks=marks) for step in steps)


@pytest.mark.kernel
@pytest.mark.parametrize(("driver", "step"), list(cases()), indirect=["driver"])
def test_a_daemon_killed_at_this_step_of_a_root_driver_leaves_nothing(
    place: Place, root: Path, driver: str, step: str
) -> None:
    spec: dict[str, object] = {"name": "t", "rootfs": str(root), "driver": driver, "command": ["true"]}
    if driver == "overlay":
        spec["storage_bytes"] = 8 << 20

    assert kill_at(step, place, spec), "it never came there"
    after = place.launcher()
    for container in after.containers():
        after.remove(container.name, force=True)

    assert place.remains("t") == []
    assert left_on_disk(place) == []
    assert runs(after, spec)
    assert left_on_disk(place) == []


def runs(launcher: Launcher, spec: dict[str, object]) -> bool:
    """The same container can be made afresh."""
    launcher.run(ContainerSpec.from_wire(spec))
    code = launcher.wait("t", 20)
    launcher.remove("t")
    return code == 0
