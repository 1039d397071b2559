"""Volumes, tmpfs, shared memory, read-only roots: what is mounted where, how, and what is refused."""

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import BadSpec, Container, ContainerSpec, Launcher, LaunchFailed
from launcher.errors import VolumeInUse
from launcher.scene.volume_mounts import DEFAULT, attributes_of, name_attributes
from launcher.volumes import Volumes
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]


@pytest.fixture
def shared(short_dir: Path) -> Path:
    """A directory of the host's with a file in it."""
    made = short_dir / "shared"
    made.mkdir()
    (made / "old").write_text("old\n")
    return made


def volume(source: object, target: str = "/v", *options: str) -> list[dict[str, object]]:
    return [{"source": str(source), "target": target, "options": list(options)}]


def options_of(line: str) -> set[str]:
    """The mount's own options, of a line of mountinfo."""
    return set(line.split()[5].split(","))


def test_a_directory_of_the_host_is_read_and_written(output: Output, shared: Path) -> None:
    lines = output("cat /v/old; echo new > /v/new", volumes=volume(shared))

    assert lines == ["old"]
    assert (shared / "new").read_text() == "new\n"


def test_a_volume_is_nosuid_and_nodev_unless_told_otherwise(output: Output, shared: Path) -> None:
    default = output("grep ' /v ' /proc/self/mountinfo", volumes=volume(shared))
    strict = output("grep ' /v ' /proc/self/mountinfo", volumes=volume(shared, "/v", "ro", "noexec"))
    lifted = output("grep ' /v ' /proc/self/mountinfo", volumes=volume(shared, "/v", "suid", "dev"))

    assert {"rw", "nosuid", "nodev"} <= options_of(default[0])
    assert {"ro", "nosuid", "nodev", "noexec"} <= options_of(strict[0])
    assert not {"nosuid", "nodev"} & options_of(lifted[0])


@pytest.mark.parametrize(("options", "outside"), [((), "65534"), (("suid",), "0")])
def test_a_setuid_file_on_a_volume_makes_nobody_root(
    run: Run, launcher: Launcher, shared: Path, options: tuple[str, ...], outside: str
) -> None:
    """In the container, which never gains privileges, with any options. A process of the host's own in its
    mount namespace may: there the volume's nosuid alone is what keeps it from that.
    """
    shutil.copy("/usr/bin/id", shared / "id")  # busybox would drop the privilege by itself
    (shared / "id").chmod(0o4755)
    container = run(["sleep", "60"], rootfs="/", volumes=volume(shared, "/mnt", *options))

    session = launcher.exec("t", ["/mnt/id", "-u"], user="65534:65534")
    inside = b"".join(data for _stream, data in session)
    enter = ["nsenter", "-t", str(container.pid), "-m", "-S", "65534", "-G", "65534"]
    done = subprocess.run([*enter, "/mnt/id", "-u"], capture_output=True, text=True, check=True)

    assert inside == b"65534\n"
    assert done.stdout == f"{outside}\n"


def test_a_program_on_a_noexec_volume_does_not_run(output: Output, shared: Path) -> None:
    (shared / "tool").write_text("#!/bin/sh\necho ran\n")
    (shared / "tool").chmod(0o755)

    assert output("/v/tool", volumes=volume(shared)) == ["ran"]
    assert "ermission denied" in output("/v/tool", volumes=volume(shared, "/v", "noexec"))[0]


@pytest.fixture
def submount(shared: Path) -> Iterator[Path]:
    libc = ctypes.CDLL(None, use_errno=True)
    below = shared / "below"
    below.mkdir()
    assert libc.mount(b"tmpfs", os.fsencode(below), b"tmpfs", 0, None) == 0
    yield below
    assert libc.umount2(os.fsencode(below), 2) == 0


def test_read_only_goes_for_what_is_mounted_below_too(output: Output, shared: Path, submount: Path) -> None:
    lines = output("echo x > /v/x; echo x > /v/below/x; ls /v", volumes=volume(shared, "/v", "ro"))

    assert sum("Read-only file system" in line for line in lines) == 2
    assert "below" in lines
    assert not (submount / "x").exists()


def test_a_single_file_is_a_volume_too(output: Output, shared: Path) -> None:
    lines = output(
        "cat /etc/passwd; ls -ld /made/dirs",
        volumes=[*volume(shared / "old", "/etc/passwd", "ro"), *volume(shared / "old", "/made/dirs/file")],
    )

    assert lines[0] == "old"


def test_a_socket_is_a_volume_too(output: Output, shared: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(shared / "s"))

        assert output("test -S /run/s && echo socket", volumes=volume(shared / "s", "/run/s")) == ["socket"]


def test_a_link_of_the_image_leads_within_the_image(
    place: Place, output: Output, run: Run, launcher: Launcher, shared: Path, hostile: Path
) -> None:
    (hostile / "inside").mkdir()
    (hostile / "link").symlink_to("/inside")
    (hostile / "up").symlink_to("../../../../../../inside")

    lines = output(
        "cat /inside/a/old /inside/b/old",
        rootfs=str(hostile),
        volumes=[*volume(shared, "/link/a"), *volume(shared, "/up/b")],
    )

    assert lines == ["old", "old"]


@pytest.fixture
def hostile(short_dir: Path, busybox_root: Path) -> Path:
    """A root of the test's own, to be made hostile."""
    root = short_dir / "hostile"
    root.mkdir(mode=0o755)
    os.system(f"cp -a {busybox_root}/. {root}/")
    return root


@pytest.mark.parametrize(
    ("link", "target", "why"),
    [
        ("/proc", "/link/x", "No such file"),
        ("/proc/self/attr", "/link", "leads to /proc"),
        ("/sys/fs/cgroup", "/link", "leads to /sys/fs/cgroup"),
        ("/dev", "/link", "leads to /dev"),
        ("/nowhere", "/link", "a link that leads nowhere"),
        ("/etc/passwd", "/link", "is not a directory"),
        ("/etc/passwd", "/link/below", "is not a directory"),
        ("link", "/link", "ymbolic link"),
    ],
)
def test_a_link_of_the_image_to_where_nothing_may_be_mounted_is_refused(
    place: Place, run: Run, shared: Path, hostile: Path, link: str, target: str, why: str
) -> None:
    (hostile / "link").symlink_to(link)

    with pytest.raises(LaunchFailed, match=why):
        run("true", rootfs=str(hostile), volumes=volume(shared, target))

    assert not place.remains("t")
    assert sorted(path.name for path in shared.iterdir()) == ["old"]


@pytest.mark.parametrize(
    "target", ["/", "/proc", "/proc/sys", "/sys/fs", "/dev", "/dev/pts", "/x/../proc/1", "//proc"]
)
@pytest.mark.parametrize("field", ["volumes", "tmpfs"])
def test_a_target_over_what_is_the_containers_own_is_refused_by_field(
    place: Place, run: Run, shared: Path, target: str, field: str
) -> None:
    items = volume(shared, target) if field == "volumes" else [{"target": target}]

    with pytest.raises(BadSpec, match=f"{field}/0/target: nothing can be mounted on"):
        run("true", **{field: items})

    assert not place.remains("t")


def test_a_source_that_is_not_there_or_a_device_or_ours_is_refused_by_field(
    place: Place, run: Run, short_dir: Path
) -> None:
    (short_dir / "way").symlink_to(place.state_dir)
    for source, why in [
        (short_dir / "missing", "no such file"),
        ("/dev/null", "is a device"),
        (place.state_dir, "own directories"),
        (place.state_dir / "containers", "own directories"),
        (short_dir / "way", "own directories"),
        (place.run_dir, "own directories"),
    ]:
        with pytest.raises(BadSpec, match=f"volumes/0/source: .*{why}"):
            run("true", volumes=volume(source))

    assert not place.remains("t")


def test_our_own_directories_inside_a_source_are_hidden(
    output: Output, place: Place, short_dir: Path
) -> None:
    lines = output("ls /v; ls -A /v/state /v/run 2>/dev/null | grep -c containers", volumes=volume(short_dir))

    assert {"run", "state"} <= set(lines)
    assert lines[-1] == "0"


def test_two_mounts_on_one_target_are_refused(run: Run, shared: Path) -> None:
    with pytest.raises(BadSpec, match="tmpfs/0/target: /v is the target of two mounts"):
        run("true", volumes=volume(shared, "/v/"), tmpfs=[{"target": "/v"}])


def test_what_lies_below_another_volume_is_mounted_after_it(output: Output, shared: Path) -> None:
    (shared / "deep").mkdir()

    lines = output("echo x > /v/deep/x; cat /v/old", tmpfs=[{"target": "/v/deep"}], volumes=volume(shared))

    assert lines == ["old"]
    assert not (shared / "deep/x").exists()


def test_a_named_volume_outlives_its_containers(output: Output, place: Place) -> None:
    output("echo kept > /data/x", volumes=volume("store", "/data"))

    assert output("cat /data/x", volumes=volume("store", "/data")) == ["kept"]
    assert (place.state_dir / "volumes/store/data/x").exists()


def test_a_named_volume_begins_with_what_the_image_has_there(output: Output, hostile: Path) -> None:
    (hostile / "data").mkdir(mode=0o750)
    (hostile / "data/first").write_text("from the image\n")
    os.chown(hostile / "data/first", 7, 8)
    here = {"rootfs": str(hostile)}

    first = output(
        "cat /data/first; stat -c '%a' /data; rm /data/first; touch /data/y",
        volumes=volume("s", "/data"),
        **here,
    )
    second = output("ls /data", volumes=volume("s", "/data"), **here)
    none = output("ls /data", volumes=volume("empty", "/data", "nocopy"), **here)

    assert first == ["from the image", "750"]
    assert second == ["y"]
    assert none == []


def test_a_named_volume_in_a_user_namespace_is_roots_on_the_host_too(
    output: Output, hostile: Path, place: Place
) -> None:
    (hostile / "data").mkdir()
    (hostile / "data/first").write_text("x")
    os.chown(hostile / "data/first", 7, 8)

    lines = output(
        "stat -c %u:%g /data /data/first", volumes=volume("s", "/data"), rootfs=str(hostile), userns="auto"
    )

    assert lines == ["0:0", "7:8"]
    assert (place.state_dir / "volumes/s/data/first").stat().st_uid == 7


def test_named_volumes_are_made_listed_and_removed(short_dir: Path) -> None:
    volumes = Volumes(str(short_dir / "state"), str(short_dir / "run"))
    (short_dir / "state").mkdir()

    assert [volumes.create("b"), volumes.create("a"), volumes.create("a")] == [True, True, False]
    assert [made.name for made in volumes.list()] == ["a", "b"]
    assert volumes.hide("a") is not None
    assert volumes.hide("a") is None
    assert [made.name for made in volumes.list()] == ["b"]
    volumes.sweep()
    assert [path.name for path in (short_dir / "state/volumes").iterdir()] == ["b"]


@pytest.mark.parametrize("begun", ["launch.run-dir", "launch.sent", "launch.started"])
def test_a_volume_is_not_taken_from_under_a_container_that_is_being_launched(
    place: Place, run: Run, launcher: Launcher, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    refused: list[VolumeInUse] = []

    def remove_at(step: str) -> None:
        if step == begun:
            with pytest.raises(VolumeInUse, match=r"\(t\)") as told:
                launcher.volumes.remove("store")
            refused.append(told.value)

    monkeypatch.setattr("launcher.lives.launch.reach", remove_at)
    monkeypatch.setattr("launcher.lives.intent.reach", remove_at)
    launcher.volumes.create("store")

    run("sleep 60", volumes=volume("store", "/data"))

    assert len(refused) == 1
    assert launcher.exec("t", ["touch", "/data/x"]).wait() == 0
    assert (place.state_dir / "volumes/store/data/x").exists()
    launcher.remove("t", force=True)
    launcher.volumes.remove("store")
    assert list((place.state_dir / "volumes").iterdir()) == []


def test_a_tmpfs_has_its_size_and_mode_and_is_noexec(output: Output) -> None:
    script = "grep ' /t ' /proc/self/mountinfo; stat -c %a /t; head -c 2000000 /dev/zero > /t/x"

    lines = output(script, tmpfs=[{"target": "/t", "size_bytes": 1 << 20, "mode": 0o750}])

    assert {"nosuid", "nodev", "noexec"} <= options_of(lines[0])
    assert "size=1024k" in lines[0]
    assert lines[1] == "750"
    assert "error" in lines[2]


def test_a_tmpfs_may_hold_programs_when_asked_to(output: Output) -> None:
    script = "printf '#!/bin/sh\\necho ran' > /t/x; chmod 755 /t/x; /t/x"

    assert output(script, tmpfs=[{"target": "/t", "options": ["exec"]}]) == ["ran"]


def test_a_read_only_root_has_writable_volumes_and_tmpfs(output: Output, shared: Path) -> None:
    lines = output(
        "echo y > /v/x; echo z > /t/x; cat /v/x /t/x; echo x > /x",
        read_only=True,
        volumes=volume(shared),
        tmpfs=[{"target": "/t"}],
    )

    assert sorted(lines) == ["sh: can't create /x: Read-only file system", "y", "z"]


def test_shared_memory_has_the_size_asked_for(output: Output) -> None:
    assert "size=2048k" in output("grep ' /dev/shm ' /proc/self/mountinfo", shm_bytes=2 << 20)[0]


def test_mounts_of_the_host_made_later_do_not_appear_in_a_volume(
    run: Run, launcher: Launcher, shared: Path
) -> None:
    (shared / "later").mkdir()
    run("sleep 60", volumes=volume(shared))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"tmpfs", os.fsencode(shared / "later"), b"tmpfs", 0, None) == 0

    session = launcher.exec("t", ["grep", "-c", "/v/later", "/proc/self/mountinfo"])
    text = b"".join(data for _stream, data in session)

    assert libc.umount2(os.fsencode(shared / "later"), 2) == 0
    assert text == b"0\n"


def test_the_later_word_of_an_option_counts() -> None:
    assert name_attributes(attributes_of(["ro", "rw", "noexec", "exec"], DEFAULT)) == "nosuid,nodev"
    assert name_attributes(attributes_of(["rw", "ro", "suid", "dev"], DEFAULT)) == "ro"


def test_a_dry_run_shows_every_mount_and_makes_none(
    place: Place, launcher: Launcher, busybox_root: Path, shared: Path
) -> None:
    wire = {
        "name": "t",
        "rootfs": str(busybox_root),
        "command": ["true"],
        "userns": "auto",
        "shm_bytes": 1 << 20,
    }
    wire |= {"volumes": [*volume(shared, "/v", "ro"), *volume("named", "/n")], "tmpfs": [{"target": "/t"}]}
    wire |= {"rlimits": {"nofile": [10, 20]}}

    lines = launcher.describe(ContainerSpec.from_wire(wire))

    text = "\n".join(lines)
    assert f"mount {shared} on /v (ro,nosuid,nodev)" in lines
    assert "data on /n (nosuid,nodev); fill it from the root if it is empty" in text
    assert "mount a tmpfs on /t (nosuid,nodev,noexec, mode 1777)" in lines
    assert "shm (1048576 bytes)" in text
    assert "limit resources of each process: nofile=10:20" in lines
    assert "enter a user namespace of its own: ids 0 to 65535 inside are" in text
    assert not (place.state_dir / "volumes").exists()
    assert not place.remains("t")


def test_a_tmpfs_is_offered_its_own_options_and_no_volumes(output: Output) -> None:
    with pytest.raises(BadSpec, match=r"tmpfs/0/options: 'nocopy' is none of .*, noexec, exec$"):
        output("true", tmpfs=[{"target": "/t", "options": ["nocopy"]}])
