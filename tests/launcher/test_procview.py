"""What programs inside read of memory, CPUs and time: the container's own, from the kernel."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import BadSpec, Container, ContainerSpec, Launcher
from tests.launcher.conftest import Place, eventually

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]
MIB = 1 << 20
LIMITS = {"memory_max_bytes": 64 * MIB, "cpu_max_cores": 1.0}


def server_pid(place: Place) -> int:
    """The process that holds the served mount."""
    mount = str(place.run_dir / "procview" / "containers")
    found = [
        int(pid)
        for pid in os.listdir("/proc")
        if pid.isdigit() and mount.encode() in _command_line(pid) and b"procview.server" in _command_line(pid)
    ]
    (pid,) = found
    return pid


def _command_line(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""


def test_free_and_nproc_agree_with_the_limits(output: Output) -> None:
    lines = output("free -m | grep Mem; nproc; grep -c ^processor /proc/cpuinfo", rootfs="/", limits=LIMITS)

    assert lines[0].split()[1] == "64"
    assert lines[1:] == ["1", "1"]


def test_every_file_is_the_containers_and_cannot_be_written(output: Output) -> None:
    lines = output(
        "for f in meminfo swaps cpuinfo stat loadavg; do grep -q . /proc/$f || echo $f is empty; "
        "echo x > /proc/$f && echo $f was written; done 2>/dev/null; "
        "cat /sys/devices/system/cpu/online; grep -c ^cpu[0-9] /proc/stat; cat /proc/stat | tail -n 1; "
        "tail -n 1 /proc/meminfo | cut -d: -f1",
        limits=LIMITS,
    )

    last = Path("/proc/meminfo").read_text().splitlines()[-1]
    assert [line.strip() for line in lines] == ["0", "1", "softirq 0", last.partition(":")[0]]


def test_use_is_what_the_cgroup_holds(run: Run, place: Place) -> None:
    container = run("head -c 20000000 /dev/zero > /dev/shm/held; sleep 60", limits=LIMITS)
    meminfo = place.run_dir / "procview/containers/t/meminfo"

    def used_mib() -> float:
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        return (int(lines["MemTotal"].split()[0]) - int(lines["MemFree"].split()[0])) / 1024

    assert eventually(lambda: 19 < used_mib() < 40)
    assert container.cgroup is not None


def test_time_since_boot_begins_with_the_container_and_ps_stays_right(output: Output) -> None:
    look = "cut -d. -f1 /proc/uptime; sleep 1.2; ps -o etimes= -p 1; date +%s; grep btime /proc/stat"
    lines = output(look, rootfs="/")

    assert int(lines[0]) <= 2
    assert 1 <= int(lines[1]) <= 20
    assert 0 <= int(lines[2]) - int(lines[3].split()[1]) <= 20


def test_plain_shows_the_host(output: Output) -> None:
    lines = output("head -1 /proc/meminfo; cut -d. -f1 /proc/uptime", limits=LIMITS, proc="plain")

    assert lines[0] == Path("/proc/meminfo").read_text().splitlines()[0]
    assert int(lines[1]) > 60


def test_limits_changed_later_are_seen(run: Run, launcher: Launcher, place: Place) -> None:
    container = run("sleep 60", limits=LIMITS)
    online = place.run_dir / "procview/containers/t/meminfo"
    assert container.cgroup is not None

    container.cgroup.apply(container.cgroup.plan_limits({"memory_max_bytes": 96 * MIB}))

    assert eventually(lambda: online.read_text().split()[1] == str(96 * 1024))


def test_exec_sees_the_same(run: Run, launcher: Launcher) -> None:
    run("sleep 60", limits=LIMITS)

    session = launcher.exec("t", ["sh", "-c", "head -1 /proc/meminfo; cut -d. -f1 /proc/uptime"])
    lines = b"".join(data for _stream, data in session).decode().splitlines()

    assert lines[0].split()[1] == str(64 * 1024)
    assert int(lines[1]) < 60


def test_a_killed_server_is_replaced_under_open_files(run: Run, place: Place) -> None:
    container = run("exec 5< /proc/meminfo; while sleep 0.1; do head -1 /proc/meminfo; done", limits=LIMITS)
    first = server_pid(place)

    os.kill(first, signal.SIGKILL)

    assert eventually(lambda: server_pid_or_none(place) not in (None, first))
    inside = Path(f"/proc/{container.pid}/root/proc/meminfo")
    assert inside.read_text().split()[1] == str(64 * 1024)


def server_pid_or_none(place: Place) -> int | None:
    try:
        return server_pid(place)
    except ValueError:
        return None


def test_the_server_outlives_the_daemon_and_the_next_one_finds_it(
    run: Run, launcher: Launcher, place: Place
) -> None:
    container = run("sleep 60", limits=LIMITS)
    first = server_pid(place)

    launcher.close()
    inside = Path(f"/proc/{container.pid}/root/proc/meminfo")
    assert inside.read_text().split()[1] == str(64 * 1024)
    place.launchers.remove(launcher)
    place.spawner.close()
    place.renew_spawner()
    again = place.launcher()

    assert server_pid(place) == first
    again.remove("t", force=True)
    again.close()
    place.launchers.remove(again)
    place.spawner.close()
    place.renew_spawner()
    assert eventually(lambda: server_pid_or_none(place) is None)
    assert not (place.run_dir / "procview").exists()


def test_a_name_that_is_used_again_shows_the_new_container(output: Output) -> None:
    for mib in (64, 96):
        lines = output("head -1 /proc/meminfo", limits={"memory_max_bytes": mib * MIB})
        assert lines[0].split()[1] == str(mib * 1024)


def test_nothing_but_live_containers_is_served(run: Run, launcher: Launcher, place: Place) -> None:
    run("sleep 60")
    served = place.run_dir / "procview/containers"

    assert os.listdir(served) == ["t"]
    for path in ("x", "..x", "t/nothing", "t@x", "a" * 255):
        assert not (served / path).exists()
    launcher.remove("t", force=True)
    assert os.listdir(served) == []


def test_asked_for_without_fuse_is_one_clear_line(launcher: Launcher, busybox_root: Path) -> None:
    """The host's device is hidden in a mount namespace of a process of its own."""
    script = (
        "import os, sys; from launcher.procview import view; view._DEVICE = '/dev/no-fuse'\n"
        "from launcher import ContainerSpec\n"
        "v = view.ProcView('/tmp/x', '/tmp/y', 'p', None)\n"
        "spec = dict(rootfs='/', command=['true'])\n"
        "print(v.wanted(ContainerSpec.from_wire(spec)))\n"
        "try: v.wanted(ContainerSpec.from_wire(spec | dict(proc='limited')))\n"
        "except Exception as e: print(type(e).__name__, e)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert said[0] == "False", "what was not asked for is left out"
    assert said[1].startswith("BadSpec proc")
    assert "modprobe fuse" in said[1]


@pytest.mark.parametrize("proc", ["", "half", 1, True])
def test_only_three_words_are_known(proc: object) -> None:
    with pytest.raises(BadSpec):
        ContainerSpec.from_wire({"rootfs": "/", "command": ["true"], "proc": proc})


# Not `nproc --all`: where /sys tells of two CPUs or fewer, it asks the scheduler and takes the larger number.
COUNT = "nproc; getconf _NPROCESSORS_CONF; grep -c ^processor /proc/cpuinfo; lscpu -p=CPU | grep -vc ^#"


def test_every_count_of_cpus_agrees(output: Output) -> None:
    look = "cd /sys/devices/system/cpu; cat online possible present"

    assert output(f"{COUNT}; {look}", rootfs="/", limits=LIMITS) == ["1"] * 4 + ["0"] * 3


def test_nproc_heeds_the_limits_of_the_group(output: Output, launcher: Launcher) -> None:
    launcher.groups.create("gb", {"cpu_max_cores": 1.0})

    lines = output(COUNT, rootfs="/", group="gb")
    launcher.groups.remove("gb")

    assert lines == ["1"] * 4


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a quota of two CPUs takes two")
def test_exec_counts_by_the_limits_of_now(run: Run, launcher: Launcher) -> None:
    container = run("sleep 60", rootfs="/", limits={"cpu_max_cores": 0.5})
    assert container.cgroup is not None
    container.cgroup.apply(container.cgroup.plan_limits({"cpu_max_cores": 2.0}))

    def counts() -> list[str]:
        session = launcher.exec("t", ["sh", "-c", "nproc; grep -c ^processor /proc/cpuinfo"])
        return b"".join(data for _stream, data in session).decode().split()

    assert eventually(lambda: counts() == ["2", "2"])


def test_a_quota_above_the_cpuset_counts_no_more_than_it(output: Output) -> None:
    limits = {"cpu_max_cores": 2.0, "cpuset_cpus": "0", "cpuset_mems": "0"}

    assert output(COUNT, rootfs="/", limits=limits) == ["1"] * 4


def test_a_server_of_an_earlier_version_shows_what_it_knows(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = (
        "from launcher.procview import places\n"
        "places.FILES = places.FILES[: places.FILES.index('cpu_possible')]\n"
        "from launcher.procview.server import main\n"
        "main()\n"
    )
    monkeypatch.setattr(
        "launcher.procview.view.interpreter.command",
        lambda _module, *arguments: [sys.executable, "-c", earlier, *arguments],
    )

    assert output("cd /sys/devices/system/cpu; cat online", limits=LIMITS) == ["0"]
