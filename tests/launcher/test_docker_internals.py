"""The table of the talk "Docker Internals", row by row, on the real kernel; details are tested elsewhere.

What this host's kernel lacks (AppArmor, device mapper, a unified tree alone) runs in the guest.
"""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import BadSpec, Container, Launcher
from launcher.images import ImageConfig
from launcher.network import netns
from tests.launcher.conftest import NetPlace, Place, eventually
from tests.launcher.hosts import (
    HOST_ADDRESS,
    OUTSIDE_ADDRESS,
    NetworkHost,
    answer_of,
    namespace_of,
    open_in,
)
from tests.launcher.rootfs.conftest import with_btrfs

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
    """The busybox root as an image of one layer."""
    path = tmp_path / "layer.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(busybox_root, arcname=".")
    with path.open("rb") as file:
        launcher.images.tag("base:1", [launcher.images.add_layer(file)], ImageConfig())
    return "base:1"


@pytest.fixture
def btrfs(place: Place, tmp_path: Path) -> Iterator[str]:
    yield from with_btrfs(place, tmp_path)


def test_root_directory_and_chroot_with_mount_namespace_pivot_root(run: Run, output: Output) -> None:
    """The chroot that is the fallback: tests/launcher/rootfs/test_changing.py."""
    assert output("ls -d /../bin; ls -d /../boot 2>/dev/null; echo .") == ["/../bin", "."]

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


def test_cgroups_cpu_memory_block_io_devices_network_numa_freezer(run: Run, place: Place) -> None:
    limits = {
        "cpu_max_cores": 0.5,
        "memory_max_bytes": 64 * MIB,
        "memory_swap_max_bytes": 0,
        "pids_max": 50,
        "cpuset_cpus": "0",
        "cpuset_mems": "0",
    }
    container = run("sleep 60", limits=limits)

    assert container.cgroup is not None
    now = container.cgroup.read_limits()
    assert {field: getattr(now, field) for field in limits} == limits
    assert container.cgroup.freeze()
    assert container.read_state() == "frozen"
    assert container.cgroup.thaw()
    assert {"cpu", "memory", "devices", "freezer", "cpuset"} <= set(container.cgroup.paths()) | {
        "devices",
        "freezer",
    }


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


def test_seccomp_bpf(output: Output) -> None:
    refuse_mkdir = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}],
    }

    assert output("grep ^Seccomp: /proc/self/status; unshare -m true 2>&1")[0].split()[1] == "2"
    assert "Function not implemented" in output("mkdir /x 2>&1", seccomp=refuse_mkdir)[0]
    assert output("grep ^Seccomp: /proc/self/status", seccomp="unconfined")[0].split()[1] == "0"


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
    look = (
        "head -c1 /dev/zero | wc -c; head -c1 /dev/zero2 2>&1 | wc -c; head -c1 /dev/mine 2>/dev/null | wc -c"
    )

    assert output(look)[0] == "1"
    assert output(look, devices=[{"source": "/dev/zero", "target": "/dev/mine"}])[2] == "1"
    made = output("mknod /tmp/disk b 7 0 && head -c1 /tmp/disk 2>&1", cap_add=["MKNOD"])
    assert "Operation not permitted" in made[-1] or "Permission denied" in made[-1]


@pytest.mark.host_has("apparmor")
def test_access_control_apparmor(run: Run, output: Output) -> None:
    container = run("sleep 60", name="confined")

    label = Path(f"/proc/{container.pid}/attr/current").read_text().strip()
    assert label == "cgwarden-default (enforce)"
    denied = "mount -t tmpfs none /tmp 2>&1; echo $?"
    assert output(denied, cap_add=["SYS_ADMIN"], seccomp="unconfined")[-1] != "0"


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


def test_networks_none_host_bridge_masquerade_port_publishing_and_rates(
    net_place: NetPlace, net_host: NetworkHost
) -> None:
    launcher = net_place.launcher()
    rates = {"net_egress_bits_per_sec": 10**7, "net_ingress_bits_per_sec": 2 * 10**7}
    ports = [{"container_port": 80, "host_port": 8080}]
    bridge = launcher.run(net_place.spec("bridge", "nc -ll -p 80 -e cat", publish=ports, **rates))
    launcher.run(net_place.spec("none", network="none"))
    launcher.run(net_place.spec("host", network="host"))

    devices = {name: lines_of(launcher, name, "ls", "/sys/class/net") for name in ("none", "bridge", "host")}
    assert devices["none"] == ["lo"]
    assert sorted(devices["bridge"]) == ["eth0", "lo"]
    assert "eth9" in devices["host"]
    assert lines_of(launcher, "none", "cat", "/sys/class/net/lo/flags") == ["0x9"]  # up, loopback
    assert eventually(lambda: answer_of(net_host.outside, HOST_ADDRESS, 8080) == "hello")
    assert answer_of(net_host.namespace, "127.0.0.1", 8080) == "hello"
    with namespace_of(bridge.pid) as inside, open_in(net_host.outside) as server:
        server.bind((OUTSIDE_ADDRESS, 7000))
        server.listen()
        with open_in(inside) as client:
            client.connect((OUTSIDE_ADDRESS, 7000))  # masqueraded: nobody out there knows the way back
        with netns.inside(inside):
            shaped_inside = net_host.run("tc", "qdisc", "show", "dev", "eth0")
    told = launcher.network_of(bridge)
    assert told is not None
    assert "tbf" in shaped_inside and "rate 10Mbit" in shaped_inside
    assert "tbf" in net_host.run("tc", "qdisc", "show", "dev", told["link"])


def test_etc_hosts_resolv_conf_and_hostname_of_its_own(output: Output) -> None:
    wishes = {"hostname": "box", "extra_hosts": {"db": "192.0.2.7"}, "dns": ["192.0.2.53"]}

    lines = output("cat /etc/hostname /etc/resolv.conf /etc/hosts; hostname", **wishes)

    assert [lines[0], lines[-1]] == ["box", "box"]
    assert lines[1] == "nameserver 192.0.2.53"
    assert "192.0.2.7\tdb" in lines
