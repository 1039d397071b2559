"""Launches that cannot be: one clear sentence, and nothing half-made left behind; hostile roots stay
harmless.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cgroupfs import BadLimit
from launcher import (
    BadSpec,
    CannotInvoke,
    CommandNotFound,
    Container,
    Launcher,
    LauncherError,
    LaunchFailed,
    MissingRoot,
    NameTaken,
    TooLittleMemory,
)
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]


@pytest.mark.parametrize(
    ("command", "fields", "error", "says"),
    [
        (["no-such"], {}, CommandNotFound, "no such program inside the container"),
        (["/no/such"], {}, CommandNotFound, "no such program inside the container"),
        (["/etc/passwd"], {}, CannotInvoke, "permission denied"),
        (["/tmp"], {}, CannotInvoke, "it is a directory"),
        (["/bin/garbage"], {}, CannotInvoke, "it is no program this kernel can run"),
        (["/bin/orphan"], {}, CommandNotFound, "its interpreter or loader is missing"),
        (
            ["true"],
            {"workdir": "/nope"},
            LaunchFailed,
            "change to the working directory: /nope: No such file",
        ),
        (["true"], {"workdir": "/etc/passwd"}, LaunchFailed, "Not a directory"),
        (["true"], {"workdir": "/proc/self/fd/3"}, LaunchFailed, "change to the working directory"),
        (["true"], {"user": "ghost"}, LaunchFailed, "ghost: is not in the container's /etc/passwd"),
        (["true"], {"rootfs": "/no/such/root"}, MissingRoot, "/no/such/root: no such file or directory"),
        (["true"], {"rootfs": "/etc/passwd"}, MissingRoot, "is not a directory"),
        (["true"], {"limits": {"memory_max_bytes": -1}}, BadLimit, "memory_max_bytes"),
        (["true"], {"limits": {"memory_max_bytes": 1}}, TooLittleMemory, "1 is too little to start"),
        (["true"], {"limits": {"memory_max_bytes": 4096}}, TooLittleMemory, "give at least 1 MiB"),
        (["true"], {"limits": {"cpu_max_cores": float("nan")}}, BadLimit, "cpu_max_cores"),
        (["true"], {"limits": {"cpu_max_cores": float("inf")}}, BadLimit, "cpu_max_cores"),
        (
            ["true"],
            {"limits": {"cpu_max_cores": 1, "cpuset_cpus": "0-999999999999"}},
            BadLimit,
            "cpuset_cpus",
        ),
        (["true"], {"limits": {"cpu_max_cores": 1, "cpuset_cpus": "one"}}, BadLimit, "cpuset_cpus"),
        (["true"], {"limits": {"cpu_max_cores": 1, "cpuset_cpus": 1}}, BadLimit, "cpuset_cpus"),
        (["true"], {"limits": {"no_such_limit": 1}}, BadLimit, "no_such_limit"),
    ],
)
def test_a_launch_that_cannot_be_says_why_and_leaves_nothing(
    run: Run,
    place: Place,
    launcher: Launcher,
    own_root: Path,
    command: list[str],
    fields: dict[str, object],
    error: type[Exception],
    says: str,
) -> None:
    with pytest.raises(error) as refused:
        run(command, **({"rootfs": str(own_root)} | fields))

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert launcher.containers() == ()
    assert place.remains("t") == []
    assert place.events == []


@pytest.fixture
def own_root(short_dir: Path, busybox_root: Path) -> Path:
    """A root that the test may spoil."""
    root = short_dir / "root"
    shutil.copytree(busybox_root, root, symlinks=True)
    (root / "bin/garbage").write_bytes(b"\x7fnot a program")
    (root / "bin/orphan").write_text("#!/no/such/interpreter\n")
    for name in ("garbage", "orphan"):
        (root / "bin" / name).chmod(0o755)
    return root


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_a_root_whose_mount_point_is_a_symbolic_link_is_refused(
    run: Run, place: Place, own_root: Path, name: str
) -> None:
    (own_root / name).rmdir()
    (own_root / name).symlink_to("/etc")
    before = sorted(os.listdir("/etc"))

    with pytest.raises(LaunchFailed, match=f"/{name}: it must be a plain directory in the root"):
        run("true", rootfs=str(own_root))

    assert place.remains("t") == []
    assert sorted(os.listdir("/etc")) == before
    assert sorted(os.listdir(own_root / "etc")) == ["group", "passwd"]


def test_a_root_whose_proc_is_a_file_is_refused(run: Run, own_root: Path) -> None:
    (own_root / "proc").rmdir()
    (own_root / "proc").write_text("")

    with pytest.raises(LaunchFailed, match="/proc: it must be a plain directory in the root"):
        run("true", rootfs=str(own_root))


def test_a_root_without_mount_points_gets_them_in_its_own_layer(
    run: Run, launcher: Launcher, own_root: Path
) -> None:
    for name in ("dev", "proc", "sys"):
        (own_root / name).rmdir()

    run("test -e /proc/self && test -c /dev/null && test -d /sys/fs", rootfs=str(own_root))

    assert launcher.wait("t", 10) == 0
    assert not (own_root / "proc").exists()


def test_hostile_files_in_the_root_are_read_as_data(run: Run, launcher: Launcher, own_root: Path) -> None:
    (own_root / "etc/passwd").unlink()
    os.mkfifo(own_root / "etc/passwd")
    (own_root / "etc/group").unlink()
    (own_root / "etc/group").symlink_to("../../../../../etc/group")

    run("exit 6", rootfs=str(own_root))

    assert launcher.wait("t", 10) == 6


def test_devices_in_the_root_do_not_work(run: Run, launcher: Launcher, own_root: Path) -> None:
    os.mknod(own_root / "zero", 0o20666, os.makedev(1, 5))

    run("cat /zero", rootfs=str(own_root))

    assert launcher.wait("t", 10) == 1
    assert b"Permission denied" in next(launcher.read_log("t")).data


def test_an_entry_point_that_is_our_own_interpreter_cannot_write_to_it(
    run: Run, launcher: Launcher, own_root: Path
) -> None:
    (own_root / "bin/evil").write_text("#!/proc/self/exe\n")
    (own_root / "bin/evil").chmod(0o755)

    with pytest.raises(LauncherError):
        run(["/bin/evil"], rootfs=str(own_root))


def test_a_root_with_a_difficult_name_works(
    run: Run, launcher: Launcher, short_dir: Path, own_root: Path
) -> None:
    odd = short_dir / "a,b:c\\d e\n\u00fc"
    own_root.rename(odd)

    run("exit 4", rootfs=str(odd))

    assert launcher.wait("t", 10) == 4


def test_a_root_behind_a_symbolic_link_keeps_the_name_it_was_given(
    run: Run, launcher: Launcher, short_dir: Path, own_root: Path
) -> None:
    (short_dir / "link").symlink_to(own_root)

    container = run("exit 0", rootfs=str(short_dir / "link"))

    assert container.image == str(short_dir / "link")
    assert container.rootfs == str(own_root)
    assert launcher.wait("t", 10) == 0


def test_our_own_directories_are_no_root(run: Run, launcher: Launcher, place: Place) -> None:
    with pytest.raises(BadSpec, match="inside cgwarden's own directories"):
        run("true", rootfs=str(place.state_dir / "containers"))


def test_a_cgroup_that_somebody_else_populated_is_not_taken(
    run: Run, launcher: Launcher, place: Place
) -> None:
    place.hierarchies.create(f"/{place.cgroup_parent}/t").close()
    stranger = subprocess.Popen(["sleep", "60"])
    for directory in place.cgroup_dirs("t"):
        if directory.parts[-3] in ("unified", "memory"):
            (directory / "cgroup.procs").write_text(str(stranger.pid))

    with pytest.raises(NameTaken, match="processes that cgwarden did not start"):
        run("true")

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    place.hierarchies.remove(f"/{place.cgroup_parent}/t")


def test_no_container_has_the_name_of_a_file_that_the_kernel_puts_into_a_cgroup(
    run: Run, place: Place, launcher: Launcher
) -> None:
    place.hierarchies.create(f"/{place.cgroup_parent}/t").close()
    files = {path.name for directory in place.cgroup_dirs("t") for path in directory.iterdir()}
    place.hierarchies.remove(f"/{place.cgroup_parent}/t")
    assert {"tasks", "cgroup.procs", "cgroup.freeze", "memory.limit_in_bytes", "cpu.shares"} <= files

    for name in sorted(files | {"release_agent"}):
        with pytest.raises(BadSpec, match=r"name: .* could be one of the kernel's own files"):
            run("true", name=name)

    assert [name for name in files if place.state_of(name).exists()] == []


def test_a_dry_run_tells_every_step_and_makes_nothing(
    launcher: Launcher, place: Place, busybox_root: Path
) -> None:
    from launcher import ContainerSpec

    wire = {"name": "t", "rootfs": str(busybox_root), "command": ["true"], "limits": {"pids_max": 9}}

    plan = launcher.describe(ContainerSpec.from_wire(wire))

    assert "limit pids_max to 9" in plan
    assert any("pivot_root" in step for step in plan)
    assert any("no_new_privs" in step for step in plan)
    assert place.remains("t") == []


def test_our_interpreter_runs_from_a_read_only_mount(place: Place, launcher: Launcher) -> None:
    assert os.statvfs(f"/proc/{place.spawner.pid}/exe").f_flag & os.ST_RDONLY
