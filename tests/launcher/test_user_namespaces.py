"""`--userns auto`: root inside is nobody outside; ranges, owners on disk, exec, devices, ports."""

import ctypes
import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import BadSpec, Container, ContainerSpec, Launcher
from launcher.idranges import FIRST, IdRanges, parse_ids, parse_subordinate_ids
from launcher.images import ImageConfig
from launcher.scene.namespaces import FLAGS
from launcher.scene.userns import IdRange
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]


def range_of(place: Place, name: str = "t") -> IdRange:
    return IdRange(**json.loads((place.state_of(name) / "ids.json").read_text()))


def host_ids(pid: int | None) -> tuple[int, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    return int(found["Uid"].split()[0]), int(found["Gid"].split()[0])


def test_root_inside_is_nobody_the_host_knows(place: Place, run: Run, launcher: Launcher) -> None:
    container = run("id -u; id -g; sleep 60", userns="auto")

    base = range_of(place).base
    assert host_ids(container.pid) == (base, base)
    assert Path(f"/proc/{container.pid}/uid_map").read_text().split() == ["0", str(base), "65536"]
    assert Path(f"/proc/{container.pid}/gid_map").read_text().split() == ["0", str(base), "65536"]


def test_it_sees_itself_as_root_and_the_images_files_as_roots(output: Output) -> None:
    lines = output("id -u; stat -c %u:%g / /bin/busybox /etc/passwd; cat /proc/self/uid_map", userns="auto")

    assert lines[:4] == ["0", "0:0", "0:0", "0:0"]
    assert lines[4].split()[0] == "0"


def test_every_namespace_but_time_is_its_own(run: Run) -> None:
    container = run("sleep 60", userns="auto")

    for kind in set(FLAGS) - {"time"}:
        assert os.readlink(f"/proc/{container.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_what_it_writes_belongs_to_its_range_on_the_host(place: Place, run: Run, launcher: Launcher) -> None:
    run("echo x > /new; echo y >> /etc/passwd; chown 1000:1000 /new; mkdir /dir", userns="auto")
    launcher.wait("t", 10)

    base, upper = range_of(place).base, place.state_of("t") / "upper"
    assert upper.stat().st_uid == base
    assert ((upper / "new").stat().st_uid, (upper / "new").stat().st_gid) == (base + 1000, base + 1000)
    assert ((upper / "etc/passwd").stat().st_uid, (upper / "dir").stat().st_uid) == (base, base)


def test_it_may_change_its_own_etc_hosts(output: Output) -> None:
    assert output("echo 1.2.3.4 there >> /etc/hosts && tail -1 /etc/hosts", userns="auto") == [
        "1.2.3.4 there"
    ]


def test_two_containers_have_ranges_that_do_not_meet(place: Place, run: Run) -> None:
    run("sleep 60", name="first", userns="auto")
    run("sleep 60", name="second", userns="auto:70000")
    run("sleep 60", name="third", userns="auto")

    bases = sorted(range_of(place, name).base for name in ("first", "second", "third"))
    sizes = {range_of(place, name).base: range_of(place, name).size for name in ("first", "second", "third")}
    assert bases[0] >= FIRST
    assert bases[0] + sizes[bases[0]] <= bases[1]
    assert bases[1] + sizes[bases[1]] <= bases[2]


def test_a_range_is_free_again_with_its_container(place: Place, run: Run, launcher: Launcher) -> None:
    run("sleep 60", name="first", userns="auto")
    run("sleep 60", name="second", userns="auto")
    first, second = range_of(place, "first"), range_of(place, "second")
    launcher.remove("first", force=True)

    run("sleep 60", name="third", userns="auto")

    assert range_of(place, "third") == first
    assert range_of(place, "second") == second


def test_a_daemon_that_starts_anew_gives_no_range_twice(place: Place, run: Run, launcher: Launcher) -> None:
    run("sleep 60", name="first", userns="auto")
    launcher.close()
    place.launchers.clear()
    later = place.launcher()
    spec = later.get("first").spec

    later.run(ContainerSpec.from_wire(spec.to_wire() | {"name": "second"}))

    assert range_of(place, "second").base >= range_of(place, "first").base + 65536


def test_a_range_is_known_though_a_crash_of_the_host_took_its_own_record(
    place: Place, run: Run, launcher: Launcher
) -> None:
    run("test -e /mine && exit 7; echo hello > /mine", userns="auto")
    launcher.wait("t", 10)
    held = range_of(place)
    (place.state_of("t") / "ids.json").unlink()

    run("sleep 60", name="other", userns="auto")
    launcher.start("t")

    assert launcher.wait("t", 10) == 7
    assert range_of(place) == held
    assert range_of(place, "other").base >= held.base + held.size


def test_a_container_that_is_started_again_owns_its_files_still(run: Run, launcher: Launcher) -> None:
    run("cat /mine && exit 7; echo hello > /mine", userns="auto")
    launcher.wait("t", 10)

    launcher.start("t")

    assert launcher.wait("t", 10) == 7


def test_exec_is_in_the_same_user_namespace_and_may_use_its_streams(
    place: Place, run: Run, launcher: Launcher
) -> None:
    container = run("sleep 60", userns="auto")

    session = launcher.exec("t", ["sh", "-c", "id -u; echo anew > /dev/stdout; readlink /proc/self/ns/user"])
    text = b"".join(data for _stream, data in session).decode()

    assert text.split("\n")[:2] == ["0", "anew"]
    assert text.split("\n")[2] == os.readlink(f"/proc/{container.pid}/ns/user")


def test_exec_as_a_user_has_that_users_id_in_the_range(place: Place, run: Run, launcher: Launcher) -> None:
    run("sleep 60", userns="auto")

    session = launcher.exec("t", ["sleep", "60"], user="1000:1000")

    base = range_of(place).base
    assert host_ids(session.pid) == (base + 1000, base + 1000)
    session.kill()
    session.close()


def test_a_user_may_open_its_standard_output_anew(output: Output) -> None:
    assert output("id -u; echo hello > /dev/stdout", user="65534", userns="auto") == ["65534", "hello"]


def test_proc_sys_dev_and_cgroups_are_there(output: Output) -> None:
    lines = output(
        "cat /proc/1/comm; ls /sys/class/net; head -c2 /dev/zero | wc -c; echo x > /dev/null;"
        " ls /dev/pts/ptmx; echo y > /dev/shm/y; cat /dev/shm/y; stat -c %u /dev/null;"
        " ls -d /sys/fs/cgroup; cat /proc/self/cgroup",
        userns="auto",
    )

    assert lines[:7] == ["sh", "lo", "2", "/dev/pts/ptmx", "y", "0", "/sys/fs/cgroup"]
    assert all(line.endswith(":/") for line in lines[7:])


@pytest.mark.parametrize(
    "attack",
    [
        "echo x > /proc/sys/kernel/core_pattern",
        "mount -o remount,rw /sys",
        "umount /proc/keys",
        "mount -o bind,remount,rw /sys/fs/cgroup/memory",
        "mknod /tmp/mem c 1 1",
        "mount -t proc proc /mnt",
        "umount -l /sys",
    ],
)
def test_administration_inside_does_not_undo_the_set_up(output: Output, attack: str) -> None:
    lines = output(
        f"({attack}) 2>/dev/null; echo $?",
        userns="auto",
        cap_add=["SYS_ADMIN", "MKNOD"],
        seccomp="unconfined",
    )

    assert lines[-1] != "0"


def test_administration_inside_may_mount_what_is_its_own(output: Output) -> None:
    script = (
        "mkdir -p /mnt; mount -t tmpfs none /mnt && echo x > /mnt/x && cat /mnt/x; hostname other; hostname"
    )

    lines = output(script, userns="auto", cap_add=["SYS_ADMIN"], seccomp="unconfined")

    assert lines == ["x", "other"]


def test_root_inside_binds_low_ports_of_its_own_network(output: Output) -> None:
    lines = output("(echo hi | nc -l -p 80) & sleep 0.2; nc 127.0.0.1 80", userns="auto")

    assert lines == ["hi"]


def test_a_process_outside_cannot_be_signalled_though_it_is_seen(run: Run, output: Output) -> None:
    lines = output(f"kill -0 {os.getpid()} 2>&1; kill -0 1 2>&1; echo done", userns="auto", pid="host")

    assert sum("not permitted" in line for line in lines) == 2


@pytest.fixture
def ramfs(short_dir: Path) -> Iterator[Path]:
    """A file system that cannot map ids."""
    libc = ctypes.CDLL(None, use_errno=True)
    path = short_dir / "ram"
    path.mkdir()
    assert libc.mount(b"ramfs", os.fsencode(path), b"ramfs", 0, None) == 0
    yield path
    assert libc.umount2(os.fsencode(path), 0) == 0


def copy_tree(source: Path, target: Path) -> None:
    os.system(f"cp -a {source}/. {target}/")


def test_a_root_that_cannot_be_mapped_is_copied_with_shifted_owners(
    place: Place, run: Run, launcher: Launcher, busybox_root: Path, ramfs: Path
) -> None:
    copy_tree(busybox_root, ramfs)
    os.chown(ramfs / "etc/passwd", 1000, 1000)
    os.link(ramfs / "etc/passwd", ramfs / "etc/linked")
    os.symlink("passwd", ramfs / "etc/soft")
    (ramfs / "etc/suid").write_text("x")
    (ramfs / "etc/suid").chmod(0o4755)
    look = "stat -c '%u:%g %a' / /etc/passwd /etc/linked /etc/suid"
    script = f"cat /etc/new 2>/dev/null || {look}; echo z > /etc/new"

    run(script, userns="auto", rootfs=str(ramfs))
    launcher.wait("t", 20)
    launcher.start("t")
    launcher.wait("t", 20)

    lines = [line.data.decode() for line in launcher.read_log("t")]
    assert lines == ["0:0 755", "1000:1000 644", "1000:1000 644", "0:0 4755", "z"]
    base, shifted = range_of(place).base, place.state_of("t") / "shifted"
    assert (shifted / "etc/passwd").stat().st_uid == base + 1000
    assert (shifted / "etc/soft").lstat().st_uid == base
    assert stat.S_IMODE((shifted / "etc/suid").stat().st_mode) == 0o4755
    assert (shifted / "etc/passwd").stat().st_nlink == 2
    assert (ramfs / "etc/passwd").stat().st_uid == 1000


def test_a_volume_that_cannot_be_mapped_is_refused_with_a_clear_line(
    place: Place, run: Run, ramfs: Path
) -> None:
    with pytest.raises(
        Exception, match=r"ram: is on, or holds a mount of, a file system that cannot map ids"
    ):
        run("true", userns="auto", volumes=[{"source": str(ramfs), "target": "/v"}])

    assert not place.remains("t")


@pytest.fixture
def mappable(short_dir: Path) -> Iterator[Path]:
    """A directory on a file system that can map ids: the guest's tmpfs cannot yet (Linux 6.3)."""
    with tempfile.TemporaryDirectory(
        dir="/var/tmp" if "CGWARDEN_IN_GUEST" in os.environ else short_dir
    ) as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_a_volume_has_roots_files_inside_and_outside(run: Run, launcher: Launcher, mappable: Path) -> None:
    (mappable / "old").write_text("x")

    run(
        "stat -c %u /v /v/old; echo y > /v/new; chown 5:6 /v/new",
        userns="auto",
        volumes=[{"source": str(mappable), "target": "/v"}],
    )
    launcher.wait("t", 10)

    assert [line.data for line in launcher.read_log("t")] == [b"0", b"0"]
    assert ((mappable / "new").stat().st_uid, (mappable / "new").stat().st_gid) == (5, 6)


def test_a_root_that_can_be_mapped_is_not_copied(
    place: Place, run: Run, launcher: Launcher, mappable: Path, busybox_root: Path
) -> None:
    copy_tree(busybox_root, mappable)
    os.chown(mappable / "etc/passwd", 1000, 1001)

    run("stat -c %u:%g /bin/busybox /etc/passwd", userns="auto", rootfs=str(mappable))
    launcher.wait("t", 10)

    assert [line.data for line in launcher.read_log("t")] == [b"0:0", b"1000:1001"]
    assert not (place.state_of("t") / "shifted").exists()


@pytest.mark.parametrize("driver", ["vfs"])
def test_a_copied_root_is_mapped_as_a_whole(output: Output, driver: str) -> None:
    lines = output("stat -c %u / /etc/passwd; echo x > /new; stat -c %u /new", userns="auto", driver=driver)

    assert lines == ["0", "0", "0"]


def test_a_network_that_was_made_for_another_is_joined(run: Run, output: Output) -> None:
    first = run("sleep 60", name="first")

    lines = output("readlink /proc/self/ns/net; ls /sys/class/net", userns="auto", network="container:first")

    assert lines == [os.readlink(f"/proc/{first.pid}/ns/net"), "lo"]


@pytest.mark.parametrize("size", ["10", "9999999999"])
def test_a_range_that_cannot_be_is_refused(run: Run, place: Place, size: str) -> None:
    with pytest.raises(BadSpec, match="userns"):
        run("true", userns=f"auto:{size}")

    assert not place.remains("t")


def test_a_damaged_record_of_a_range_stops_nobody(tmp_path: Path) -> None:
    for name, text in (("a", "[]"), ("b", '{"base": "x"}'), ("c", "{"), ("d", '{"base": 1, "size": 2}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ids.json").write_text(text)
    ranges = IdRanges(str(tmp_path))
    (tmp_path / "new").mkdir()

    first = ranges.of("new", "auto")

    assert first is not None and first.base >= FIRST
    assert ranges.of("new", "auto") == first
    assert ranges.of("other", "auto:70000") == IdRange(first.base + first.size, 70000)
    assert not (tmp_path / "other").exists()
    assert ranges.of("d", "auto") == IdRange(1, 2)


def test_ranges_of_the_host_are_read_as_they_stand() -> None:
    assert list(parse_subordinate_ids("u:100000:65536\n# x\nbad\nv:x:1\nw:5:0\n")) == [IdRange(100000, 65536)]
    assert list(parse_ids("root:x:0:0::/:\nbad\nz:x:q:1\n")) == [IdRange(0, 1)]


def test_layers_of_an_image_are_mapped_each_and_shared(
    place: Place, run: Run, launcher: Launcher, busybox_root: Path, tmp_path: Path
) -> None:
    """A file that a layer deleted stays deleted, and what is committed has the image's own ids."""
    subprocess.run(["tar", "-C", busybox_root, "-cf", tmp_path / "root.tar", "."], check=True)
    with (tmp_path / "root.tar").open("rb") as file:
        launcher.images.tag("busybox:1", [launcher.images.add_layer(file)], ImageConfig())
    image = {"rootfs": "", "image": "busybox:1"}
    run("rm /etc/group; echo x > /etc/added; chown 7:8 /etc/added", userns="auto", **image)
    launcher.wait("t", 20)

    launcher.commit("t", "changed:1")
    script = (
        "stat -c '%u:%g' / /bin/busybox /etc/added; ls /etc/group 2>/dev/null || echo gone; touch /etc/new"
    )
    run(script, name="second", userns="auto", rootfs="", image="changed:1")
    run("stat -c '%u:%g' /etc/added", name="third", rootfs="", image="changed:1")
    launcher.wait("second", 20)
    launcher.wait("third", 20)

    assert [line.data for line in launcher.read_log("second")] == [b"0:0", b"0:0", b"7:8", b"gone"]
    assert [line.data for line in launcher.read_log("third")] == [b"7:8"]
    assert (place.state_of("second") / "upper/etc/new").stat().st_uid == range_of(place, "second").base


@pytest.mark.parametrize("theirs", ["host", "auto"])
def test_all_that_can_be_joined_is_joined_with_ids_of_its_own(run: Run, theirs: str) -> None:
    first = run("sleep 60", name="first", userns=theirs)
    kinds = {"pid": "pid", "ipc": "ipc", "uts": "uts", "net": "network"}

    container = run("sleep 60", userns="auto", **dict.fromkeys(kinds.values(), "container:first"))

    same = {kind for kind in FLAGS if _link(first.pid, kind) == _link(container.pid, kind)}
    assert same - {"time"} == set(kinds)


def _link(pid: int | None, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")
