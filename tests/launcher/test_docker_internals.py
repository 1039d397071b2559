"""The table of the talk "Docker Internals", row by row, on the real kernel; details are tested elsewhere.

What this host's kernel lacks (AppArmor, device mapper, a unified tree alone) runs in the guest.
"""

import contextlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgroupfs import InterfaceCounters, IoLimit, read_net
from launcher import BadSpec, Container, ContainerSpec, Launcher
from launcher.images import ImageConfig
from launcher.scene.capabilities import plan_capabilities
from launcher.seccomp import filters
from tests.launcher.conftest import Place, eventually, whole_disk
from tests.launcher.rootfs.conftest import btrfs_at, with_btrfs

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]
MIB = 1 << 20
KINDS = ("pid", "mnt", "net", "user", "uts", "ipc", "cgroup", "time")


def lines_of(launcher: Launcher, name: str, *command: str) -> list[str]:
    """What a program says that is started inside by `exec`."""
    return b"".join(data for _stream, data in launcher.exec(name, command)).decode().splitlines()


def changes(launcher: Launcher, name: str = "t") -> list[tuple[str, str]]:
    return [(change.kind, change.path) for change in launcher.diff(name)]


def root_type(launcher: Launcher) -> str:
    """The file system that the container's root is of."""
    mounts = [line.split() for line in lines_of(launcher, "t", "cat", "/proc/mounts")]
    return next(mount[2] for mount in mounts if mount[1] == "/")


@pytest.fixture
def image(launcher: Launcher, busybox_root: Path, tmp_path: Path) -> str:
    return import_image(launcher, tmp_path, busybox_root)


def import_image(launcher: Launcher, tmp_path: Path, *sources: Path) -> str:
    """The busybox root, and what else shall be at its top, as an image of one layer."""
    path = tmp_path / "layer.tar"
    with tarfile.open(path, "w") as tar:
        for source in sources:
            tar.add(source, arcname="." if source.is_dir() else source.name)
    with path.open("rb") as file:
        launcher.images.tag("base:1", [launcher.images.add_layer(file)], ImageConfig())
    return "base:1"


@pytest.fixture
def btrfs(place: Place, tmp_path: Path) -> Iterator[str]:
    yield from with_btrfs(place, tmp_path)


# The way out of a chroot: the working directory stays above the new root, and `..` leads on from there.
OUT_OF_A_CHROOT = """
import os
inside = os.stat("/")
os.mkdir("/jail")
os.chroot("/jail")
for _ in range(64):
    os.chdir("..")
os.chroot(".")
print(os.path.samestat(os.stat("/"), inside))
"""


def test_root_directory_and_chroot_with_mount_namespace_pivot_root(
    run: Run, output: Output, launcher: Launcher, busybox_root: Path
) -> None:
    """The chroot that is the fallback: tests/launcher/rootfs/test_changing.py."""
    wish = {"name": "t", "rootfs": str(busybox_root), "command": ["true"]}
    assert "pivot_root into the root" in launcher.describe(ContainerSpec.from_wire(wish))
    assert output("ls -d /../bin; ls -d /../boot 2>/dev/null; echo .") == ["/../bin", "."]

    python = [os.path.realpath(sys.executable), "-I", "-S", "-c", OUT_OF_A_CHROOT]
    assert output(python, rootfs="/", cap_add=["SYS_CHROOT"]) == ["True"], "a second chroot leads nowhere"
    container = run("sleep 60")
    inside = Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
    assert [line.split()[4] for line in inside].count("/") == 1, "the host's root is detached, not covered"


def test_layering_copy_on_write_caching_diffing(launcher: Launcher, run: Run, image: str) -> None:
    for name in ("one", "two"):
        run(f"echo {name} > /etc/own; rm /etc/group; sleep 60", name=name, rootfs="", image=image)

    assert eventually(
        lambda: changes(launcher, "one") == [("C", "/etc"), ("D", "/etc/group"), ("A", "/etc/own")]
    )
    assert lines_of(launcher, "two", "cat", "/etc/own") == ["two"], "each has a copy of its own"
    committed = launcher.commit("one", "changed:1")
    assert committed.layers[:-1] == launcher.images.resolve(image).layers, "what is below is shared"
    assert launcher.images.verify("changed:1") == committed, "unpacked once, and held against its digest"
    run("cat /etc/own; test -e /etc/group || echo gone", name="three", rootfs="", image="changed:1")
    launcher.wait("three", 20)
    assert [line.data.decode() for line in launcher.read_log("three")] == ["one", "gone"]


def test_union_file_systems_driver_overlay(launcher: Launcher, run: Run, busybox_root: Path) -> None:
    run("echo new > /etc/new; sleep 60", driver="overlay")

    assert eventually(lambda: changes(launcher) == [("C", "/etc"), ("A", "/etc/new")])
    assert root_type(launcher) == "overlay"
    assert not (busybox_root / "etc/new").exists()


def test_snapshotting_file_systems_driver_btrfs(
    btrfs: str, launcher: Launcher, run: Run, place: Place
) -> None:
    run("echo new > /etc/new; sleep 60", driver=btrfs)

    assert eventually(lambda: changes(launcher) == [("C", "/etc"), ("A", "/etc/new")])
    assert root_type(launcher) == "btrfs"
    listed = subprocess.run(
        ["btrfs", "subvolume", "list", "-s", place.state_dir / "btrfs"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.strip(), "a snapshot, not a copy"
    launcher.remove("t", force=True)


def test_vfs_driver_vfs(launcher: Launcher, run: Run, busybox_root: Path) -> None:
    container = run("echo new > /etc/new; sleep 60", driver="vfs")

    assert eventually(lambda: changes(launcher) == [("C", "/etc"), ("A", "/etc/new")])
    copy, original = Path(f"/proc/{container.pid}/root/bin/busybox"), busybox_root / "bin/busybox"
    assert copy.read_bytes() == original.read_bytes()
    assert copy.stat().st_ino != original.stat().st_ino


def test_vfs_driver_vfs_shares_blocks_where_the_file_system_can(
    short_dir: Path, cgroup_parent: str, tmp_path: Path, busybox_root: Path
) -> None:
    place, large = Place(short_dir, cgroup_parent), tmp_path / "large"
    large.write_bytes(os.urandom(8 * MIB))
    with btrfs_at(place.state_dir, tmp_path), contextlib.closing(place):
        launcher = place.launcher()
        wish = {"name": "t", "image": import_image(launcher, tmp_path, busybox_root, large), "driver": "vfs"}

        launcher.run(ContainerSpec.from_wire(wish | {"command": ["sleep", "60"], "stop_timeout_sec": 0.1}))

        copy = place.state_dir / "containers/t/tree/large"
        subprocess.run(["btrfs", "filesystem", "sync", place.state_dir], check=True, capture_output=True)
        told = subprocess.run(
            ["btrfs", "filesystem", "du", "--raw", copy], capture_output=True, text=True, check=True
        )
        total, exclusive = told.stdout.splitlines()[-1].split()[:2]
        assert (int(total), int(exclusive)) == (8 * MIB, 0), "every block is the layer's"
        assert copy.read_bytes() == large.read_bytes()


@pytest.mark.host_has("devmapper")
def test_copy_on_write_block_devices_driver_devmapper(launcher: Launcher, run: Run) -> None:
    run("echo new > /etc/new; sleep 60", driver="devmapper")

    assert eventually(lambda: changes(launcher) == [("C", "/etc"), ("A", "/etc/new")])
    assert root_type(launcher) == "ext4"


def test_the_table_of_the_talk() -> None:
    """`make bench-rootfs`, with small files: every row for every driver of this host."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.rootfs", "--small"], capture_output=True, text=True, check=True
    )

    for row in ("provisioning", "small file", "large file", "diff", "memory"):
        assert row in done.stdout.lower(), done.stdout
    for driver in ("overlay", "btrfs", "vfs", "devmapper"):
        assert driver in done.stdout


def test_process_trees_mounts_network_users_host_names_ipc(launcher: Launcher, run: Run) -> None:
    """Created, joined, the host's, and entered by exec."""

    def namespace(pid: int | str | None, kind: str) -> str:
        return os.readlink(f"/proc/{pid}/ns/{kind}")

    own = run("sleep 60", name="own", userns="auto", time_offsets={"boottime_sec": 3600})
    assert [kind for kind in KINDS if namespace(own.pid, kind) == namespace("self", kind)] == []
    links = f"for kind in {' '.join(KINDS)}; do readlink /proc/self/ns/$kind; done"
    assert lines_of(launcher, "own", "sh", "-c", links) == [namespace(own.pid, kind) for kind in KINDS]

    first = run("sleep 60", name="first")
    joins = dict.fromkeys(("pid", "ipc", "uts", "network"), "container:first")
    joined = run("sleep 60", name="joined", **joins)
    for kind in ("pid", "ipc", "uts", "net"):
        assert namespace(joined.pid, kind) == namespace(first.pid, kind)

    host = run("sleep 60", name="host", pid="host", ipc="host", uts="host", network="host", cgroupns="host")
    for kind in ("pid", "ipc", "uts", "net", "cgroup"):
        assert namespace(host.pid, kind) == namespace("self", kind)


def memory_of_nodes(container: Container) -> int:
    assert container.cgroup is not None
    return sum(sum(node) for node in (container.cgroup.read_slow().numa or {}).values())


def test_cgroups_cpu_memory_block_io_devices_network_numa_freezer(run: Run, place: Place) -> None:
    """Devices: `test_device_cgroups`; a network's rates: test_docker_internals_networks.py."""
    offered = run("sleep 60", name="offered").cgroup
    assert offered is not None
    weight = {"blkio_weight": 300} if offered.read_limits().blkio_weight is not None else {}
    disk = whole_disk()
    limits = weight | {
        "cpu_max_cores": 0.5,
        "memory_max_bytes": 64 * MIB,
        "memory_swap_max_bytes": 0,
        "pids_max": 50,
        "cpuset_cpus": "0",
        "cpuset_mems": "0",
    }
    throttle = {"read_bytes_per_sec": MIB, "writes_per_sec": 100}
    container = run("nc 127.0.0.1 9; sleep 60", limits=limits | {"io_max": {disk: throttle}})

    assert container.cgroup is not None
    now = container.cgroup.read_limits()
    assert {field: getattr(now, field) for field in limits} == limits
    assert now.io_max == {disk: IoLimit(**throttle)}

    def counted() -> tuple[InterfaceCounters, ...]:
        return read_net(container.pid or 0) or ()

    assert [each.name for each in counted()] == ["lo"], "its own counters, not the host's"
    assert eventually(lambda: counted()[0].rx_packets > 0)
    assert eventually(lambda: memory_of_nodes(container) > 0)
    assert container.cgroup.freeze()
    assert container.read_state() == "frozen"
    assert container.cgroup.thaw()
    assert {"cpu", "memory", "blkio", "cpuset", "pids"} <= set(container.cgroup.paths())


def test_linux_capabilities(run: Run, launcher: Launcher) -> None:
    show = ("grep", "^Cap", "/proc/self/status")
    run("sleep 60", name="root")
    run("sleep 60", name="user", user="1000", cap_add=["NET_BIND_SERVICE"], cap_drop=["ALL"])

    default = dict(line.split() for line in lines_of(launcher, "root", *show))
    assert default["CapEff:"] == default["CapBnd:"] == "00000000800405fb"
    assert default["CapInh:"] == default["CapAmb:"] == "0" * 16
    ambient = dict(line.split() for line in lines_of(launcher, "user", *show))
    assert set(ambient.values()) == {"0000000000000400"}, "added by name: a user keeps it, and no other"


def test_user_namespaces_unprivileged_users(run: Run, launcher: Launcher) -> None:
    pids = {name: run("touch /tmp/mine; sleep 60", name=name, userns="auto").pid for name in ("one", "two")}

    maps = [Path(f"/proc/{pid}/uid_map").read_text().split() for pid in pids.values()]
    assert [(inside, size) for inside, _outside, size in maps] == [("0", "65536")] * 2
    bases = [int(outside) for _inside, outside, _size in maps]
    assert abs(bases[0] - bases[1]) >= 65536, "disjoint"
    assert min(bases) > 0, "root inside is nobody outside"
    assert lines_of(launcher, "one", "stat", "-c", "%u", "/bin/busybox") == ["0"], "files are shifted"
    for pid, base in zip(pids.values(), bases, strict=True):
        mine = Path(f"/proc/{pid}/root/tmp/mine")
        assert eventually(mine.exists)
        assert (mine.stat().st_uid, mine.stat().st_gid) == (base, base), "what it makes is nobody's outside"


def test_nosuid_and_read_only_mounts(output: Output, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from outside\n")
    volume = {"source": str(tmp_path), "target": "/data", "options": ["ro", "noexec"]}
    scratch = {"target": "/scratch", "size_bytes": MIB}

    lines = output(
        "cat /data/file; echo x > /data/file; echo x > /root-file; echo kept > /scratch/x; cat /scratch/x;"
        "grep -E ' /(data|scratch) ' /proc/mounts | cut -d' ' -f2,4",
        volumes=[volume],
        tmpfs=[scratch],
        read_only=True,
    )

    assert lines[0] == "from outside"
    assert sum("Read-only file system" in line for line in lines) == 2
    assert "kept" in lines
    options = dict(line.split() for line in lines if line.startswith(("/data ", "/scratch ")))
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options["/data"].split(","))
    assert {"rw", "nosuid", "nodev"} <= set(options["/scratch"].split(","))


def test_seccomp_bpf(output: Output, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_mkdir = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}],
    }

    status, refused = output("grep ^Seccomp: /proc/self/status; unshare -U true 2>&1")
    assert status.split()[1] == "2"
    assert "Operation not permitted" in refused
    assert output("unshare -U true 2>&1; echo $?", seccomp="unconfined") == ["0"], "the filter, nothing else"
    assert "Function not implemented" in output("mkdir /x 2>&1", seccomp=refuse_mkdir)[0]
    assert output("grep ^Seccomp: /proc/self/status", seccomp="unconfined")[0].split()[1] == "0"

    def compile_again(*_: object) -> bytes:
        raise AssertionError("this profile was compiled before")

    monkeypatch.setattr(filters, "compile_profile", compile_again)
    assert "Function not implemented" in output("mkdir /x 2>&1", seccomp=refuse_mkdir)[0]
    next_daemon = filters.Filters(f"{place.state_dir}/seccomp")
    assert next_daemon.program(refuse_mkdir, plan_capabilities((), ()))[0]


def test_grsec_and_pax_what_replaces_them_in_mainline(output: Output) -> None:
    """NOEXEC and MPROTECT by PR_SET_MDWE; `doctor` reports the rest of the table."""
    script = "import mmap; mmap.mmap(-1, 4096, prot=7); print('w+x')"
    command = [os.path.realpath(sys.executable), "-I", "-S", "-c", script]

    assert output(command, rootfs="/") == ["w+x"]
    assert "Permission denied" in output(command, rootfs="/", mdwe=True)[-1]
    told = subprocess.run(
        [sys.executable, "-m", "cgwarden", "doctor"], capture_output=True, text=True, check=False
    ).stdout
    for line in ("ASLR", "kptr_restrict", "unprivileged_bpf", "lockdown"):
        assert line.lower() in told.lower(), told


def test_device_cgroups(output: Output) -> None:
    look = "head -c1 /dev/zero | wc -c; head -c1 /dev/mine 2>/dev/null | wc -c"
    # /dev is not mounted nodev, and the node is the container's own: its cgroup alone can refuse.
    tun = "mknod /dev/made c 10 200; (exec 3<>/dev/made) 2>&1 && echo opened"

    assert output(look) == ["1", "0"]
    assert output(look, devices=[{"source": "/dev/zero", "target": "/dev/mine"}]) == ["1", "1"]
    assert "Operation not permitted" in output(tun, cap_add=["MKNOD"])[-1]
    given = [{"source": "/dev/net/tun", "permissions": "rw"}]
    assert output(tun, cap_add=["MKNOD"], devices=given) == ["opened"]
    given = [{"source": "/dev/net/tun", "permissions": "r"}]
    assert "Operation not permitted" in output(tun, cap_add=["MKNOD"], devices=given)[-1]


@pytest.mark.host_has("apparmor")
def test_access_control_apparmor(run: Run, output: Output) -> None:
    container = run("sleep 60", name="confined")

    label = Path(f"/proc/{container.pid}/attr/current").read_text().strip()
    assert label == "cgwarden-default (enforce)"
    mount, given = (
        "mount -t tmpfs none /tmp 2>&1; echo $?",
        {"cap_add": ["SYS_ADMIN"], "seccomp": "unconfined"},
    )
    assert output(mount, **given)[-1] != "0"
    assert output(mount, apparmor="unconfined", **given) == ["0"], "the profile, nothing else"


@pytest.mark.parametrize(
    ("field", "value"), [("apparmor", "some-profile"), ("selinux", "system_u:object_r:x_t:s0")]
)
def test_access_control_that_the_host_lacks_is_refused_by_its_field(run: Run, field: str, value: str) -> None:
    if Path(f"/sys/module/{field}").exists():
        value += "-not-loaded"
    with pytest.raises(BadSpec, match=field):
        run("true", **{field: value})


def test_namespace_aware_proc_and_sys(output: Output) -> None:
    limits = {"memory_max_bytes": 64 * MIB, "cpu_max_cores": 1.0}

    lines = output(
        "free -m | grep Mem; nproc; grep -c ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online;"
        "cut -d. -f1 /proc/uptime; wc -w < /proc/loadavg; grep -c '^cpu[0-9]' /proc/stat",
        limits=limits,
        rootfs="/",  # busybox's free asks sysinfo(2), which knows no containers
    )

    assert lines[0].split()[1] == "64"
    assert lines[1:4] == ["1", "1", "0"]
    assert int(lines[4]) < 60
    assert lines[5:] == ["5", "1"]
