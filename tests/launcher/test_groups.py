"""Groups: limits that containers share by nesting, kept over crashes; refused where names or members say."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher import BadSpec, Container, ContainerSpec, Launcher, NameTaken
from launcher.errors import GroupInUse, UnknownGroup
from tests.launcher.conftest import Place, eventually
from tests.launcher.test_survival import start_all

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
MIB = 1 << 20


@pytest.fixture
def batch(place: Place, launcher: Launcher) -> Any:
    """A group that goes, with what is in it, before the launcher does."""
    yield launcher.groups.create("batch", {"cpu_max_cores": 0.5, "memory_max_bytes": 96 * MIB})
    last = place.launchers[-1]
    for container in last.containers():
        last.remove(container.name, force=True)
    last.groups.remove("batch")


def test_containers_in_a_group_share_its_limits(launcher: Launcher, run: Run, batch: Any) -> None:
    hog = "dd if=/dev/zero of=/dev/null bs=60M"

    first = run("sleep 60", group="batch")
    run(hog, name="u", group="batch")
    run(hog, name="v", group="batch")

    assert first.cgroup is not None
    assert first.cgroup.path.endswith("/batch/t")
    assert first.cgroup.read_limits().to_wire()["memory_max_bytes"] == "max"
    assert batch.cgroup.read_limits().memory_max_bytes == 96 * MIB
    assert batch.cgroup.read_limits().cpu_max_cores == 0.5
    # Each alone has room enough: together they have not.
    assert eventually(lambda: launcher.get("u").oom_killed or launcher.get("v").oom_killed, 60)
    assert launcher.exec("t", ["true"]).wait() == 0


def test_a_name_is_a_groups_or_a_containers(launcher: Launcher, run: Run, batch: Any) -> None:
    run("sleep 60")

    with pytest.raises(NameTaken, match="a container of that name"):
        launcher.groups.create("t", {})
    with pytest.raises(NameTaken, match="a group of that name exists"):
        launcher.groups.create("batch", {})
    with pytest.raises(NameTaken, match="a group of that name exists"):
        run("sleep 60", name="batch")


def test_a_group_that_is_not_there_or_is_in_use_is_refused(launcher: Launcher, run: Run, batch: Any) -> None:
    run("true", group="batch")
    launcher.wait("t", 10)

    with pytest.raises(BadSpec, match="group: there is no group 'other'"):
        run("true", name="u", group="other")
    with pytest.raises(GroupInUse, match=r"has containers \(t\)"):
        launcher.groups.remove("batch")
    with pytest.raises(UnknownGroup, match="no group 'other'"):
        launcher.groups.remove("other")


def test_limits_that_cannot_be_leave_no_group(place: Place, launcher: Launcher) -> None:
    with pytest.raises(Exception, match="memory_max_bytes"):
        launcher.groups.create("batch", {"memory_max_bytes": "much"})

    assert launcher.groups.all() == []
    assert place.cgroup_dirs("batch") == []
    assert list((place.state_dir / "groups").iterdir()) == []


def test_a_group_and_what_runs_in_it_outlive_the_daemon(
    place: Place, launcher: Launcher, batch: Any, busybox_root: Path
) -> None:
    owner = start_all(place, busybox_root, {"t": "sleep 60"}, group="batch", proc="plain")
    owner.kill()

    second = place.launcher()

    adopted = second.get("t")
    assert (adopted.state, adopted.spec.group) == ("running", "batch")
    assert adopted.cgroup is not None
    assert adopted.cgroup.path.endswith("/batch/t")
    assert second.groups.get("batch").limits == batch.limits
    second.stop("t", 0)
    assert place.cgroup_dirs("batch/t") == []
    second.start("t")
    assert len(place.cgroup_dirs("batch/t")) == len(place.cgroup_dirs("batch"))


def test_a_groups_cgroup_is_made_again_after_a_boot(place: Place, launcher: Launcher, batch: Any) -> None:
    place.hierarchies.remove(f"/{place.cgroup_parent}/batch")

    second = place.launcher()

    cgroup = second.groups.get("batch").cgroup
    assert cgroup is not None
    assert cgroup.read_limits().memory_max_bytes == 96 * MIB


def test_empty_cgroups_of_nobody_are_removed_and_those_of_groups_stay(
    place: Place, launcher: Launcher, batch: Any
) -> None:
    for name in ("leaked", "batch/leaked"):
        place.hierarchies.create(f"/{place.cgroup_parent}/{name}").close()

    place.launcher()

    assert (place.cgroup_dirs("leaked"), place.cgroup_dirs("batch/leaked")) == ([], [])
    assert place.cgroup_dirs("batch") != []


def test_a_foreign_cgroup_of_the_groups_name_is_not_touched(place: Place, launcher: Launcher) -> None:
    place.hierarchies.create(f"/{place.cgroup_parent}/batch").close()
    stranger = subprocess.Popen(["sleep", "60"])
    for path in place.cgroup_dirs("batch"):
        (path / "cgroup.procs").write_text(str(stranger.pid))

    with pytest.raises(NameTaken, match="processes that cgwarden did not start"):
        launcher.groups.create("batch", {})

    stranger.kill()
    stranger.wait()
    place.hierarchies.remove(f"/{place.cgroup_parent}/batch")


def test_a_group_alone_keeps_no_view_of_proc(place: Place, launcher: Launcher, run: Run, batch: Any) -> None:
    run("true", group="batch")
    launcher.wait("t", 20)
    launcher.remove("t")
    second = place.launcher()

    launcher.close()
    place.launchers.remove(launcher)

    assert not (place.run_dir / "procview").exists()
    assert [group.name for group in second.groups.all()] == ["batch"]


def test_dry_run_shows_the_group(launcher: Launcher, busybox_root: Path, batch: Any) -> None:
    spec = ContainerSpec.from_wire({"rootfs": str(busybox_root), "command": ["true"], "group": "batch"})

    assert any("/batch/" in step for step in launcher.describe(spec) if step.startswith("create cgroup"))
