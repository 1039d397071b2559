"""What a program finds when it starts in a container, read from the kernel and not from our records."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import Container, Launcher
from launcher.scene.capabilities import DEFAULT, capability_mask
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]


@pytest.mark.parametrize("kind", ["pid", "mnt", "uts", "ipc", "net", "cgroup"])
def test_each_namespace_is_not_the_hosts(run: Run, kind: str) -> None:
    container = run("sleep 60")

    assert os.readlink(f"/proc/{container.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_the_host_network_is_shared_when_asked_for(run: Run) -> None:
    container = run("sleep 60", network="host")

    assert os.readlink(f"/proc/{container.pid}/ns/net") == os.readlink("/proc/self/ns/net")


def test_the_container_sees_its_own_processes_alone(output: Output) -> None:
    assert output("echo $$; ls /proc | grep -c '^[0-9]'")[0] == "1"


def test_the_host_name_is_the_containers(output: Output) -> None:
    assert output("hostname; cat /proc/sys/kernel/hostname", hostname="inside") == ["inside", "inside"]


def test_the_loopback_interface_is_up_and_alone(output: Output) -> None:
    lines = output(
        "cat /sys/class/net/lo/operstate; ls /sys/class/net; ping -c1 -W1 127.0.0.1 >/dev/null; echo $?"
    )

    assert lines[1] == "lo"
    assert "unknown" in lines[0]


def test_the_container_sees_its_cgroup_as_the_root(output: Output) -> None:
    lines = output("cat /proc/self/cgroup")

    assert lines
    assert all(line.endswith(":/") for line in lines)


def test_limits_are_in_force_when_the_program_starts(run: Run, place: Place) -> None:
    limits = {"memory_max_bytes": 64 << 20, "cpu_max_cores": 0.5, "pids_max": 50}

    container = run("sleep 60", limits=limits)

    assert container.cgroup is not None
    held = container.cgroup.read_limits()
    assert (held.memory_max_bytes, held.cpu_max_cores, held.pids_max) == (64 << 20, 0.5, 50)
    assert [phase for _name, phase, _written in place.recorded] == ["intent", "applied"]


def test_the_program_is_in_its_cgroup_in_every_hierarchy_and_its_supervisor_in_none(
    run: Run, place: Place
) -> None:
    container = run("sleep 60")

    expected = f"/{place.cgroup_parent}/t"
    lines = Path(f"/proc/{container.pid}/cgroup").read_text().splitlines()
    ours = {line for line in lines if line.endswith(f":{expected}")}
    assert len(ours) == len(place.cgroup_dirs("t"))
    supervisor = Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert place.cgroup_parent not in Path(f"/proc/{supervisor}/cgroup").read_text()


def test_a_program_cannot_have_more_processes_than_its_limit(output: Output) -> None:
    lines = output("for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo done", limits={"pids_max": 4})

    assert any("fork" in line for line in lines)


def status_of(container: Container) -> dict[str, str]:
    lines = Path(f"/proc/{container.pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_the_program_holds_the_default_capabilities_and_no_others(run: Run) -> None:
    status = status_of(run("sleep 60"))

    mask = f"{capability_mask(DEFAULT):016x}"
    assert (status["CapPrm"], status["CapEff"], status["CapBnd"]) == (mask, mask, mask)
    assert (status["CapInh"], status["CapAmb"]) == ("0" * 16, "0" * 16)
    assert status["NoNewPrivs"] == "1"


def test_capabilities_are_added_and_dropped(run: Run) -> None:
    status = status_of(run("sleep 60", cap_add=["NET_RAW"], cap_drop=["ALL"]))

    assert int(status["CapEff"], 16) == 1 << 13
    assert int(status["CapBnd"], 16) == 1 << 13


def test_a_user_holds_no_capability_at_all(output: Output) -> None:
    lines = output("id; grep -E 'CapPrm|CapEff' /proc/self/status; echo $HOME", user="nobody:nogroup")

    assert lines[0].startswith("uid=65534(nobody) gid=65534(nogroup)")
    assert all(line.endswith("0" * 16) for line in lines[1:3])
    assert lines[3] == "/"


def test_a_user_may_open_its_standard_output_anew(output: Output) -> None:
    assert output("echo hello > /dev/stdout", user="65534") == ["hello"]


def test_signals_arrive_as_the_program_expects(output: Output) -> None:
    lines = output(["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"])

    assert all(int(line.split()[1], 16) == 0 for line in lines)


def test_no_descriptor_of_ours_reaches_the_program(output: Output) -> None:
    assert output(["ls", "/proc/1/fd"]) == ["0", "1", "2", "3"]  # 3 is the listing itself


def test_what_leaks_about_the_host_is_masked(output: Output) -> None:
    lines = output("cat /proc/interrupts /proc/keys /proc/timer_list | wc -c; ls /sys/firmware | wc -l")

    assert lines == ["0", "0"]


@pytest.mark.parametrize(
    "attack",
    [
        "echo x > /proc/sys/kernel/core_pattern",
        "echo x > /proc/sysrq-trigger",
        "mkdir /sys/fs/cgroup/pids/mine",
        "echo 1 > /sys/fs/cgroup/memory/cgroup.procs",
        "echo /evil > /sys/fs/cgroup/memory/release_agent",
        "mount -t tmpfs none /tmp",
        "mount -o remount,rw /sys",
        "umount /proc/keys",
        "mknod /tmp/mem c 1 1",
        "mknod /tmp/disk b 8 0",
        "hostname other",
        "chroot /proc/1/root/.. ls /work",
    ],
)
def test_an_attack_from_inside_is_refused(output: Output, attack: str) -> None:
    assert output(f"({attack}) 2>/dev/null; echo $?")[-1] != "0"


def test_a_device_off_the_list_can_be_made_but_not_opened(output: Output) -> None:
    lines = output("mknod /dev/kmem c 1 2 && cat /dev/kmem", cap_add=["MKNOD"])

    assert lines == ["cat: can't open '/dev/kmem': Operation not permitted"]


def test_the_devices_of_the_list_work(output: Output) -> None:
    lines = output(
        "head -c4 /dev/zero | wc -c; head -c4 /dev/urandom | wc -c; echo x > /dev/null; ls /dev/pts/ptmx"
    )

    assert lines == ["4", "4", "/dev/pts/ptmx"]


def test_changes_stay_in_the_containers_own_layer(output: Output, busybox_root: Path) -> None:
    output("echo changed > /etc/passwd; rm -rf /bin/ls; echo x > /new")

    assert "root" in (busybox_root / "etc/passwd").read_text()
    assert (busybox_root / "bin/ls").is_symlink()
    assert not (busybox_root / "new").exists()


def test_a_read_only_root_takes_no_writes(output: Output) -> None:
    lines = output("echo x > /new; echo y > /dev/shm/works; cat /dev/shm/works", read_only=True)

    assert sorted(lines) == ["sh: can't create /new: Read-only file system", "y"]


def test_mounts_of_the_container_do_not_reach_the_host(run: Run, place: Place) -> None:
    run("sleep 60")

    assert str(place.state_dir) not in Path("/proc/self/mountinfo").read_text()


def test_the_hosts_mounts_do_not_reach_the_container(output: Output) -> None:
    points = {line.split()[4] for line in output("cat /proc/self/mountinfo")}

    assert all(point == "/" or point.startswith(("/proc", "/sys", "/dev", "/etc/")) for point in points)


def test_the_hosts_root_hides_our_own_directories(place: Place, launcher: Launcher, run: Run) -> None:
    script = f"ls -A {place.state_dir} {place.run_dir}; ls -d /etc /usr; touch /cgw-never"

    run(["/bin/sh", "-c", script], rootfs="/")

    assert launcher.wait("t", 20) == 0
    lines = [line.data.decode() for line in launcher.read_log("t")]
    assert "containers" not in lines
    assert lines[-2:] == ["/etc", "/usr"]
    assert not Path("/cgw-never").exists()


def test_the_environment_is_the_containers_own(output: Output) -> None:
    lines = output(["env"], env={"GREETING": "hello", "HOME": "/x"}, hostname="here")

    assert sorted(line for line in lines if not line.startswith("PATH=")) == [
        "GREETING=hello",
        "HOME=/x",
        "HOSTNAME=here",
    ]
    assert not any("CGWARDEN" in line for line in lines)
