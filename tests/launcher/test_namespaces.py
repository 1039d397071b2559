"""Namespaces of every kind: made, joined, the host's, and entered by exec; asked of the kernel."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import BadSpec, Container, ContainerSpec, Launcher, LaunchFailed
from launcher.lives.joins import open_namespace
from launcher.records import read_start_ticks
from launcher.scene.namespaces import FLAGS
from tests.launcher.conftest import Place, eventually

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]
FIELD = {"pid": "pid", "ipc": "ipc", "uts": "uts", "net": "network"}


def namespaces_of(pid: int | str | None) -> dict[str, str]:
    return {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in FLAGS}


def shared(pid: int | str | None, other: int | str | None = "self") -> set[str]:
    """The kinds that two processes have in common."""
    ours, theirs = namespaces_of(pid), namespaces_of(other)
    return {kind for kind in FLAGS if ours[kind] == theirs[kind]}


@pytest.mark.parametrize("kind", ["pid", "ipc", "uts", "net"])
def test_a_namespace_of_another_container_is_joined_and_no_other(run: Run, kind: str) -> None:
    first = run("sleep 60", name="first")

    second = run("sleep 60", **{FIELD[kind]: "container:first"})

    assert shared(first.pid, second.pid) - {"user", "time"} == {kind}


@pytest.mark.parametrize("kind", ["pid", "ipc", "uts", "net", "cgroup"])
def test_a_namespace_of_the_host_is_shared_and_no_other(run: Run, kind: str) -> None:
    container = run("sleep 60", **{(FIELD | {"cgroup": "cgroupns"})[kind]: "host"})

    assert shared(container.pid) - {"user", "time"} == {kind}


def test_all_that_can_be_joined_is_joined_at_once(run: Run) -> None:
    first = run("sleep 60", name="first")

    second = run("sleep 60", **dict.fromkeys(FIELD.values(), "container:first"))

    assert shared(first.pid, second.pid) - {"user", "time"} == set(FIELD)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"network": "host", "ipc": "host"},
        {"pid": "host", "uts": "host", "cgroupns": "host"},
        {"pid": "container:first", "network": "container:first"},
        {"time_offsets": {"boottime_sec": 1000}},
    ],
)
def test_exec_enters_exactly_the_namespaces_of_the_first_process(
    run: Run, launcher: Launcher, fields: dict[str, object]
) -> None:
    run("sleep 60", name="first")
    container = run("sleep 60", **fields)

    session = launcher.exec("t", ["sleep", "60"])

    assert namespaces_of(session.pid) == namespaces_of(container.pid)
    session.kill()
    session.close()


def test_a_joined_pid_namespace_shows_both_containers_processes(run: Run, output: Output) -> None:
    run("exec sleep 61", name="first")

    lines = output("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo $$", pid="container:first")

    assert "sleep 61 sh -c" in lines[0]
    assert int(lines[0].split()[-1]) > 1


def test_a_container_in_the_hosts_pid_namespace_ends_whole(run: Run, launcher: Launcher) -> None:
    container = run("sleep 60 & sleep 60", pid="host")
    assert container.cgroup is not None
    assert eventually(lambda: len(container.cgroup.procs()) == 2)  # type: ignore[union-attr]
    pids = container.cgroup.procs()

    launcher.stop("t", 0.1)

    assert eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))


def test_containers_of_one_network_reach_each_other_by_loopback(run: Run, output: Output) -> None:
    run("while true; do echo hello | nc -l -p 7777; done", name="first")

    lines = output("until nc 127.0.0.1 7777; do sleep 0.1; done", network="container:first")

    assert lines[-1] == "hello"


@pytest.mark.parametrize("ipc", ["container:first", "host"])
def test_shared_memory_goes_with_the_ipc_namespace(run: Run, output: Output, ipc: str) -> None:
    run("echo theirs > /dev/shm/cgwtest; sleep 60", name="first")
    name = f"/dev/shm/cgwtest-{os.getpid()}"
    Path(name).write_text("hosts\n")

    lines = output(
        f"cat /dev/shm/cgwtest {name} 2>/dev/null; grep ' /dev/shm ' /proc/self/mountinfo", ipc=ipc
    )

    os.unlink(name)
    assert lines[0] == ("theirs" if ipc == "container:first" else "hosts")
    assert {"nosuid", "nodev", "noexec"} <= set(lines[1].split()[5].split(","))


def test_shared_memory_of_a_container_is_its_own_otherwise(run: Run, output: Output) -> None:
    run("echo x > /dev/shm/x; sleep 60", name="first")

    assert output("ls /dev/shm") == []


def test_who_joined_a_pid_namespace_ends_with_it(run: Run, launcher: Launcher) -> None:
    run("sleep 60", name="first")
    run("sleep 60", pid="container:first")

    launcher.remove("first", force=True)

    assert launcher.wait("t", 10) == 137


def test_a_joined_network_outlives_the_container_that_made_it(run: Run, launcher: Launcher) -> None:
    run("sleep 60", name="first")
    run("sleep 60", network="container:first")
    launcher.remove("first", force=True)

    session = launcher.exec("t", ["grep", "lo:", "/proc/net/dev"])

    assert session.wait() == 0


@pytest.mark.parametrize("field", list(FIELD.values()))
def test_joining_what_is_not_there_is_refused_by_field(place: Place, run: Run, field: str) -> None:
    with pytest.raises(BadSpec, match=f"{field}: there is no container 'nobody'"):
        run("true", **{field: "container:nobody"})

    assert not place.remains("t")


def test_joining_an_ended_container_is_refused_by_field(place: Place, run: Run, launcher: Launcher) -> None:
    run("true", name="first")
    launcher.wait("first", 10)

    with pytest.raises(BadSpec, match="network: container 'first' is not running"):
        run("true", network="container:first")

    assert not place.remains("t")


def test_a_pid_namespace_with_somebody_who_may_trace_us_is_not_joined(run: Run, place: Place) -> None:
    run("sleep 60", name="first", cap_add=["SYS_PTRACE"])
    run("sleep 60", name="second", cap_add=["SYS_PTRACE"], userns="auto")

    with pytest.raises(BadSpec, match="pid: container 'first' has a process with CAP_SYS_PTRACE"):
        run("true", pid="container:first")
    assert not place.remains("t")
    run("true", pid="container:second")


def test_a_namespace_is_never_opened_of_a_later_process_with_the_number() -> None:
    ticks = read_start_ticks(os.getpid())
    assert ticks is not None

    with pytest.raises(ProcessLookupError):
        open_namespace(os.getpid(), ticks - 1, "net")
    os.close(open_namespace(os.getpid(), ticks, "net"))


def test_the_supervisor_keeps_its_own_namespaces(run: Run) -> None:
    run("sleep 60", name="first")
    container = run("sleep 60", pid="container:first", time_offsets={"monotonic_sec": 5})

    supervisor = Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()[1]

    assert shared(supervisor) == set(FLAGS)
    for kind in ("pid", "time"):
        assert os.readlink(f"/proc/{supervisor}/ns/{kind}_for_children") == os.readlink(
            f"/proc/self/ns/{kind}"
        )


def test_clocks_differ_by_the_offsets_from_the_first_instruction_on(run: Run, output: Output) -> None:
    before = float(Path("/proc/uptime").read_text().split()[0])

    lines = output(["cat", "/proc/uptime"], time_offsets={"boottime_sec": 100000, "monotonic_sec": 50})

    assert 100000 <= float(lines[0].split()[0]) - before < 100060


def test_the_host_name_of_another_container_stays_its_own(run: Run, output: Output) -> None:
    run("sleep 60", name="first", hostname="one")

    names = output("hostname; echo $HOSTNAME; cat /etc/hostname", uts="container:first", hostname="two")

    assert names == ["one", "one", "one"]


def test_the_host_name_of_the_host_is_told_where_it_is_shared(output: Output) -> None:
    assert set(output("hostname; echo $HOSTNAME", uts="host", hostname="two")) == {os.uname().nodename}


def test_a_dry_run_names_what_is_made_joined_and_shared(launcher: Launcher, busybox_root: Path) -> None:
    wire = {"name": "t", "rootfs": str(busybox_root), "command": ["true"], "pid": "host"}
    spec = ContainerSpec.from_wire(wire | {"network": "container:first", "time_offsets": {"boottime_sec": 1}})

    lines = launcher.describe(spec)

    assert "clone the first process into new namespaces: mnt uts ipc cgroup time" in lines
    assert "join the net namespace of container first" in lines
    assert "share with the host: pid" in lines


def test_a_clock_before_boot_is_refused_and_leaves_nothing(place: Place, run: Run) -> None:
    with pytest.raises(LaunchFailed, match="would stand before its own beginning"):
        run("true", time_offsets={"boottime_sec": -(1 << 32)})

    assert not place.remains("t")
