"""What other kernel tests do not touch: groups changed together, room made in memory, nodes, marks, links."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from cgroupfs import Cgroup, CgroupError, ControlDir, Hierarchies, Refused, net_mount, read_net
from cgroupfs.io_cost import read_io_cost
from cgroupfs.nested import Change, apply_nested, plan_nested
from cgroupfs.net_links import read_links
from cgroupfs.numa_nodes import read_nodes
from tests.cgroupfs.conftest import Start

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
FILL = """
held = bytearray({mib} << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
print("ready", flush=True)
input()
"""


@pytest.fixture
def both(hierarchies: Hierarchies, parent: str) -> tuple[Cgroup, Cgroup]:
    """A parent group and one below it."""
    below = hierarchies.create(f"{parent}/group/web")
    return hierarchies.cgroup(f"{parent}/group"), below


@pytest.mark.parametrize(
    ("outer", "inner"),
    [((2, 1.5), (1, 0.5)), ((1, 0.5), (2, 1.5)), ((1, 1), (0.5, 0.5)), ((0.5, 0.2), (2, 2))],
)
def test_parent_and_child_change_together_in_any_direction(
    both: tuple[Cgroup, Cgroup], outer: tuple[float, float], inner: tuple[float, float]
) -> None:
    group, web = both
    for cores in (outer, inner):
        changes = [Change(group, {"cpu_max_cores": cores[0]}), Change(web, {"cpu_max_cores": cores[1]})]

        apply_nested(plan_nested(changes))

        assert [each.read_limits().cpu_max_cores for each in both] == list(cores)


def test_a_cpuset_moves_with_its_parents(both: tuple[Cgroup, Cgroup], hierarchies: Hierarchies) -> None:
    group, web = both
    first, last = hierarchies.host.read_cpus()[0][0], hierarchies.host.read_cpus()[-1][1]
    for cpu in (first, last, first):
        wanted = {"cpuset_cpus": str(cpu)}

        apply_nested(plan_nested([Change(web, wanted), Change(group, wanted)]))

        assert [each.read_limits().cpuset_cpus_effective for each in both] == [str(cpu)] * 2


def test_a_step_that_is_refused_undoes_those_of_other_groups(
    both: tuple[Cgroup, Cgroup], start: Start
) -> None:
    group, web = both
    start(web, FILL.format(mib=24))
    web.apply(web.plan_limits({"memory_max_bytes": 64 * MIB, "memory_swap_max_bytes": 0}))
    changes = [Change(group, {"pids_max": 77}), Change(web, {"memory_max_bytes": 4 * MIB})]

    with pytest.raises(Refused):
        apply_nested(plan_nested(changes))

    assert group.read_limits().pids_max != 77


def test_a_limit_below_what_is_in_use_kills_nobody(real: Cgroup, start: Start) -> None:
    process = start(real, FILL.format(mib=24))
    real.apply(real.plan_limits({"memory_max_bytes": 64 * MIB, "memory_swap_max_bytes": 0}))

    with pytest.raises(Refused, match="bytes are in use and cannot be reclaimed"):
        real.apply(real.plan_limits({"memory_max_bytes": 8 * MIB}))

    assert process.poll() is None
    assert real.read_limits().memory_max_bytes == 64 * MIB


def test_page_cache_makes_room_for_a_lower_limit(real: Cgroup, start: Start, tmp_path: Path) -> None:
    code = f"""
import os
with open({str(tmp_path / "cache")!r}, "wb") as file:
    file.write(bytes(16 << 20))
    os.fsync(file.fileno())
print("ready", flush=True)
input()
"""
    process = start(real, code)

    real.apply(real.plan_limits({"memory_max_bytes": 12 * MIB}))

    assert process.poll() is None
    assert real.read_limits().memory_max_bytes == 12 * MIB


def test_reclaiming_frees_memory_or_says_that_it_freed_none(real: Cgroup, start: Start) -> None:
    start(real)

    assert real.reclaim(MIB) >= 0


def test_every_node_has_memory_and_is_10_from_itself(hierarchies: Hierarchies) -> None:
    nodes = read_nodes()

    for at, node in enumerate(nodes):
        assert 0 < node.free_bytes < node.total_bytes
        assert node.distances[at] == 10


@pytest.mark.needs("nodes", "2")
def test_memory_moves_to_the_node_that_is_chosen(real: Cgroup, start: Start) -> None:
    real.apply(real.plan_limits({"cpuset_mems": "0"}))
    start(real, FILL.format(mib=8))

    real.apply(real.plan_limits({"cpuset_mems": "1"}))

    numa = real.read_slow().numa
    assert numa is not None
    assert numa[1].anon_bytes > 8 * MIB
    assert numa[0].anon_bytes < MIB


@pytest.mark.needs("cpuset", "v2")
def test_a_partition_has_cpus_of_its_own_or_is_refused_with_the_kernels_reason(
    hierarchies: Hierarchies, parent: str
) -> None:
    web = hierarchies.create(f"{parent}/web")
    group = hierarchies.cgroup(parent)
    last = str(hierarchies.host.read_cpus()[-1][1])

    with pytest.raises(Refused, match="Parent is not a partition root"):
        web.apply(web.plan_limits({"cpuset_cpus": last, "cpuset_partition": "root"}))
    group.apply(group.plan_limits({"cpuset_cpus": last, "cpuset_partition": "root"}))

    assert group.read_limits().cpuset_partition == "root"
    assert web.read_limits().cpuset_cpus == ""
    group.apply(group.plan_limits({"cpuset_partition": None, "cpuset_cpus": None}))
    assert group.read_limits().cpuset_partition == "member"


def test_the_kernel_counts_events_by_the_directory_that_we_name(real: Cgroup) -> None:
    assert real.perf_path is not None
    attributes = struct.pack("=IIQ", 1, 128, 0).ljust(128, b"\0")  # a software clock
    libc = ctypes.CDLL(None, use_errno=True)
    directory = os.open(real.perf_path, os.O_RDONLY | os.O_DIRECTORY)
    number = {"x86_64": 298}.get(os.uname().machine, 241)

    fd = libc.syscall(number, ctypes.c_char_p(attributes), directory, 0, -1, 4)  # PERF_FLAG_PID_CGROUP

    os.close(directory)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    os.close(fd)


def test_the_cost_model_is_read_or_absent(hierarchies: Hierarchies) -> None:
    with contextlib.closing(ControlDir.open(hierarchies.places["unified"].mounted_at)) as top:
        costs = read_io_cost(top)

    # A disk on which the model was on once keeps its line.
    assert not any(cost.enabled for cost in (costs or {}).values())


MARKS = """
import uuid
from cgroupfs import Hierarchies, net_mount
at, group = "{at}", "/cgwtest-" + uuid.uuid4().hex[:8]
net_mount.mount(at)
try:
    hierarchies = Hierarchies.read()
    cgroup = hierarchies.create(group)
    try:
        before = cgroup.read_limits().net_classid
        cgroup.apply(cgroup.plan_limits({{"net_classid": 0x100001, "net_prio": {{"lo": 5}}}}))
        limits = cgroup.read_limits()
        again = cgroup.plan_limits({{"net_classid": 0x100001}})
        print(before, limits.net_classid, limits.net_prio["lo"], again)
    finally:
        hierarchies.remove(group)
finally:
    net_mount.release(at)
print(sorted(net_mount.read_available()))
"""


def test_packet_marks_are_mounted_when_asked_for_and_gone_afterwards(tmp_path: Path) -> None:
    offered = sorted(net_mount.read_available())
    if not offered:
        with pytest.raises(CgroupError):
            net_mount.mount(str(tmp_path / "marks"))
        return
    run = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", MARKS.format(at=tmp_path / "marks")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert run.stdout.splitlines() == ["0 1048577 5 []", str(offered)], run.stderr
    assert not (tmp_path / "marks").exists()


def test_marks_are_never_mounted_inside_a_cgroup_mount(hierarchies: Hierarchies) -> None:
    inside = f"{hierarchies.places['unified'].mounted_at}/cgwtest-marks"

    with pytest.raises(CgroupError, match="would be a cgroup"):
        net_mount.mount(inside)

    assert not Path(inside).exists()


LINKS = """
import subprocess, sys, time
from cgroupfs.net_links import LinkDump
inside = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; read x"], stdin=-1, stdout=-1)
inside.stdout.readline()
run = lambda words: subprocess.run(words.split(), check=True)
run(f"ip link add host0 type veth peer name eth0 netns {inside.pid}")
run("ip link set host0 up")
run(f"nsenter --net --target {inside.pid} ip link set eth0 up")
dump = LinkDump()
ends = dump.find_host_ends({"web": inside.pid, "gone": 4194303})
from cgroupfs import read_net
for _ in range(100):
    mirrored = dump.read_containers(ends)["web"]
    own = next(each for each in read_net(inside.pid) if each.name == "eth0")
    if own == mirrored and own.tx_packets > 0:
        break
    time.sleep(0.05)
print(sorted(ends), own == mirrored, own.tx_packets > 0, sorted(dump.read_links()))
inside.communicate()
"""


def test_the_hosts_end_of_a_pair_tells_what_the_container_counts() -> None:
    run = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", LINKS], cwd=ROOT, capture_output=True, text=True
    )

    assert run.stdout.split(" ", 1)[0] == "['web']", run.stderr
    assert " True True " in run.stdout


def test_our_own_links_are_those_of_proc() -> None:
    counted = read_net(os.getpid())
    assert counted is not None
    assert {link.counters.name for link in read_links().values()} == {each.name for each in counted}
