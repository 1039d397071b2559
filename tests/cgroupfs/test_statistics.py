"""Each reader: good text, a missing file, garbage; and the same numbers from a captured kernel."""

from __future__ import annotations

import pytest

from cgroupfs import Cgroup, CpuStat, DeviceIo, IoStat, MemoryStat, NumaBytes, ParseError, PidsStat, Psi
from cgroupfs.blkio import BlkioV1, BlkioV2
from cgroupfs.cpu import CpuV1, CpuV2
from cgroupfs.hugetlb import HugetlbV1, HugetlbV2, read_page_sizes
from cgroupfs.io_traffic import parse_operations
from cgroupfs.memory import MemoryV1, MemoryV2
from cgroupfs.memory_events import MemoryEvents, MemoryReclaim
from cgroupfs.net import parse_net_dev
from cgroupfs.net_marks import NetMarks, read_marks
from cgroupfs.numa import NumaV1, NumaV2
from cgroupfs.pids import PidsV1
from cgroupfs.pressure import Pressure, parse_pressure
from cgroupfs.statistic import read_statistic
from cgroupfs.values import UNLIMITED
from tests.cgroupfs.conftest import Tree
from tests.trees.work import SPINNERS

V1_BANDWIDTH = "nr_periods 9\nnr_throttled 4\nthrottled_time 5000\nnr_bursts 1\nburst_time 2000\n"
V1_MEMORY = (
    "cache 1\nrss 1\ntotal_cache 50\ntotal_rss 40\ntotal_shmem 3\ntotal_mapped_file 4\ntotal_dirty 5\n"
    "total_writeback 6\ntotal_swap 7\ntotal_pgfault 8\ntotal_pgmajfault 9\ntotal_inactive_file 30\n"
    "total_active_file 20\n"
)
V2_MEMORY = (
    "anon 40\nfile 50\nkernel 2\nshmem 3\nfile_mapped 4\nfile_dirty 5\nfile_writeback 6\ninactive_file 30\n"
    "active_file 20\npgfault 8\npgmajfault 9\n"
)


def test_v1_cpu_times_become_microseconds(tree: Tree) -> None:
    usage = {"cpuacct.usage": "7000\n", "cpuacct.usage_user": "4000\n", "cpuacct.usage_sys": "3000\n"}
    dirs = tree.make({"cpu": {"cpu.stat": V1_BANDWIDTH}, "cpuacct": usage})

    assert read_statistic(CpuV1(unified=False), dirs) == CpuStat(7, 4, 3, 9, 4, 5, 1, 2)


def test_a_hybrid_hosts_cpu_time_comes_from_the_unified_tree(tree: Tree) -> None:
    dirs = tree.make(
        {
            "cpu": {"cpu.stat": V1_BANDWIDTH},
            "unified": {"cpu.stat": "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnice_usec 0\n"},
        }
    )

    assert read_statistic(CpuV1(unified=True), dirs) == CpuStat(7, 4, 3, 9, 4, 5, 1, 2)


def test_a_cgroup_without_bandwidth_control_has_no_throttle_numbers(tree: Tree) -> None:
    dirs = tree.make({"cpu": {"cpu.stat": "usage_usec 7730\nuser_usec 4387\nsystem_usec 3343\n"}})

    stat = read_statistic(CpuV2(), dirs)

    assert stat == CpuStat(usage_usec=7730, user_usec=4387, system_usec=3343)


def test_an_older_kernel_has_no_burst_numbers(tree: Tree) -> None:
    dirs = tree.make(
        {
            "cpu": {"cpu.stat": "nr_periods 9\nnr_throttled 4\nthrottled_time 5000\n"},
            "unified": {"cpu.stat": "usage_usec 7\nuser_usec 4\nsystem_usec 3\n"},
        }
    )

    assert read_statistic(CpuV1(unified=True), dirs) == CpuStat(7, 4, 3, 9, 4, 5, None, None)


def test_v1_memory_counts_child_groups_in(tree: Tree) -> None:
    dirs = tree.make({"memory": {"memory.usage_in_bytes": "100\n", "memory.stat": V1_MEMORY}})

    stat = read_statistic(MemoryV1(), dirs)

    assert stat == MemoryStat(100, 40, 50, 3, 4, 5, 6, 30, 20, 7, None, 8, 9)
    assert stat is not None
    assert stat.working_set_bytes == 70


def test_without_swap_accounting_swap_is_absent_and_not_zero(tree: Tree) -> None:
    text = V1_MEMORY.replace("total_swap 7\n", "")
    dirs = tree.make({"memory": {"memory.usage_in_bytes": "100\n", "memory.stat": text}})
    reader = MemoryV1()

    first, second = read_statistic(reader, dirs), read_statistic(reader, dirs)

    assert first == second == MemoryStat(100, 40, 50, 3, 4, 5, 6, 30, 20, None, None, 8, 9)


def test_v2_memory_gives_the_same_fields(tree: Tree) -> None:
    files = {"memory.current": "100\n", "memory.stat": V2_MEMORY, "memory.swap.current": "7\n"}
    dirs = tree.make({"memory": files})

    assert read_statistic(MemoryV2(), dirs) == MemoryStat(100, 40, 50, 3, 4, 5, 6, 30, 20, 7, 2, 8, 9)


def test_memory_keys_that_moved_are_found_again(tree: Tree) -> None:
    dirs = tree.make({"memory": {"memory.usage_in_bytes": "100\n", "memory.stat": V1_MEMORY}})
    reader = MemoryV1()
    before = read_statistic(reader, dirs)
    dirs["memory"].write("memory.stat", V1_MEMORY.replace("total_rss 40\n", "total_new 99\ntotal_rss 40\n"))

    assert read_statistic(reader, dirs) == before


def test_a_working_set_is_never_negative() -> None:
    assert MemoryStat(10, 0, 0, 0, 0, 0, 0, 30, 0, None, None, 0, 0).working_set_bytes == 0


def test_v1_memory_events_say_what_the_kernel_does_not_tell(tree: Tree) -> None:
    dirs = tree.make(
        {"memory": {"memory.failcnt": "3\n", "memory.oom_control": "oom_kill_disable 0\nunder_oom 1\n"}}
    )

    assert MemoryV1().read_events(dirs) == MemoryEvents(None, 3, None, True)


def test_v2_memory_events_have_the_same_names(tree: Tree) -> None:
    files = {"memory.peak": "9\n", "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n"}

    assert MemoryV2().read_events(tree.make({"memory": files})) == MemoryEvents(
        peak_bytes=9, limit_hits=3, oom_kills=1, low_hits=0, high_hits=0, ooms=1
    )


def test_v1_disk_traffic_is_told_per_device(tree: Tree) -> None:
    head = "8:0 Read {}\n8:0 Write {}\n8:0 Sync 0\n8:0 Async 0\n8:0 Discard {}\n8:0 Total 0\nTotal 0\n"
    dirs = tree.make(
        {
            "blkio": {
                "blkio.throttle.io_service_bytes_recursive": head.format(10, 20, 30),
                "blkio.throttle.io_serviced_recursive": head.format(1, 2, 3),
            }
        }
    )

    stat = read_statistic(BlkioV1(), dirs)

    assert stat == IoStat((DeviceIo("8:0", 10, 20, 1, 2, 30),))
    assert stat is not None
    assert (stat.read_bytes, stat.write_bytes, stat.reads, stat.writes) == (10, 20, 1, 2)


def test_older_kernels_count_no_discards() -> None:
    text = b"8:0 Read 1\n8:0 Write 2\n8:0 Sync 0\n8:0 Async 0\n8:0 Total 3\nTotal 3\n"

    assert parse_operations(text) == {"8:0": (1, 2, None)}


def test_no_disk_touched_is_an_empty_list_and_not_absent(tree: Tree) -> None:
    files = ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive")
    dirs = tree.make({"blkio": dict.fromkeys(files, "Total 0\n")})

    assert read_statistic(BlkioV1(), dirs) == IoStat(())


def test_v2_disk_lines_without_keys_are_left_out(tree: Tree) -> None:
    text = "254:0 \n8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=30 dios=3\n"

    stat = read_statistic(BlkioV2(), tree.make({"blkio": {"io.stat": text}}))

    assert stat == IoStat((DeviceIo("8:0", 10, 20, 1, 2, 30),))


def test_tasks_peak_and_limit_hits(tree: Tree) -> None:
    dirs = tree.make({"pids": {"pids.current": "3\n", "pids.peak": "5\n", "pids.events": "max 2\n"}})

    assert read_statistic(PidsV1(), dirs) == PidsStat(3)
    assert PidsV1().read_events(dirs) == (5, 2)


def test_pressure_percentages_become_fractions() -> None:
    text = (
        b"some avg10=1.50 avg60=50.00 avg300=100.00 total=7\nfull avg10=0.00 avg60=0.25 avg300=0.00 total=3\n"
    )

    assert parse_pressure(text) == Psi(0.015, 0.5, 1.0, 7, 0.0, 0.0025, 0.0, 3)


def test_a_cpu_without_full_pressure_has_none() -> None:
    psi = parse_pressure(b"some avg10=1.00 avg60=0.00 avg300=0.00 total=7\n")

    assert (psi.some_usec, psi.full_usec) == (7, None)


def test_v1_memory_per_node_counts_pages_and_v2_bytes(tree: Tree) -> None:
    v1 = "total=9 N0=9 N1=0\nhierarchical_file=3 N0=2 N1=1\nhierarchical_anon=1 N0=0 N1=1\n"
    v2 = "anon N0=0 N1=4096\nfile N0=8192 N1=4096\nanon_thp N0=0 N1=0\n"
    expected = {0: NumaBytes(0, 8192), 1: NumaBytes(4096, 4096)}

    assert NumaV1().read_bytes_per_node(tree.make({"memory": {"memory.numa_stat": v1}})) == expected
    (tree.root / "memory/memory.numa_stat").write_text(v2)
    assert (
        NumaV2().read_bytes_per_node({"memory": tree.make({"b": {"memory.numa_stat": v2}})["b"]}) == expected
    )


def test_huge_pages_are_told_per_size(tree: Tree) -> None:
    v1 = {
        "hugetlb.2MB.usage_in_bytes": "2097152\n",
        "hugetlb.2MB.limit_in_bytes": "9223372036854771712\n",
        "hugetlb.2MB.failcnt": "4\n",
    }
    v2 = {"hugetlb.2MB.current": "2097152\n", "hugetlb.2MB.max": "max\n", "hugetlb.2MB.events": "max 4\n"}

    v1_dirs = tree.make({"hugetlb": v1})
    v2_dirs = {"hugetlb": tree.make({"v2": v2})["v2"]}

    assert read_page_sizes(v1_dirs) == read_page_sizes(v2_dirs) == ("2MB",)
    assert HugetlbV1().read(v1_dirs, ["2MB"]) == {"2MB": (2097152, UNLIMITED, 4)}
    assert HugetlbV2().read(v2_dirs, ["2MB"]) == {"2MB": (2097152, UNLIMITED, 4)}
    assert HugetlbV1().read({}, read_page_sizes({})) is None


def test_interface_names_may_hold_a_colon() -> None:
    columns = " ".join(str(number) for number in range(1, 17))
    text = f"Inter-| Receive\n face |bytes\n    lo: {columns}\neth0:1:{columns}\n"

    counters = parse_net_dev(text.encode())

    assert [each.name for each in counters] == ["lo", "eth0:1"]
    assert counters[0][1:] == (1, 2, 3, 4, 9, 10, 11, 12)


def test_packet_marks_are_read_where_those_hierarchies_are_mounted(tree: Tree) -> None:
    dirs = tree.make(
        {"net_cls": {"net_cls.classid": "1048577\n"}, "net_prio": {"net_prio.ifpriomap": "lo 5\n"}}
    )

    assert read_marks(dirs) == NetMarks(1048577, {"lo": 5})
    assert read_marks({}) == NetMarks(None, None)


READERS = [CpuV1(unified=True), CpuV2(), MemoryV1(), MemoryV2(), BlkioV1(), BlkioV2(), PidsV1(), Pressure()]


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: type(reader).__name__)
def test_a_statistic_that_is_not_offered_is_none(reader: MemoryV1, tree: Tree) -> None:
    dirs = tree.make({name: {} for name in ("cpu", "memory", "blkio", "pids", "unified")})

    assert read_statistic(reader, dirs) is None
    assert read_statistic(reader, {}) is None


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: type(reader).__name__)
def test_garbage_in_a_file_is_a_parse_error(reader: MemoryV1, tree: Tree) -> None:
    files: dict[str, dict[str, str]] = {}
    for source in reader.sources:
        files.setdefault(source.controller, {})[source.file] = "no such thing\n"

    with pytest.raises(ParseError):
        read_statistic(reader, tree.make(files))


def test_a_captured_container_reads_as_the_kernel_showed_it(web: Cgroup) -> None:
    stats = web.hot(keep=False).read()
    slow = web.read_slow()

    assert stats.cpu is not None
    assert stats.cpu.usage_usec > 1_000_000
    assert stats.cpu.throttled_usec is not None
    assert stats.cpu.throttled_usec > 0
    assert stats.memory is not None
    assert stats.memory.shmem_bytes == 8 << 20
    assert stats.io is not None
    assert stats.io.write_bytes >= 4 << 20
    assert stats.pids == PidsStat(1)
    assert stats.pressure is not None
    assert stats.pressure.io is not None
    assert slow.freezer == "thawed"
    assert slow.populated is True
    assert slow.oom_kills == 0
    assert slow.pids_peak in (1, 1 + SPINNERS)  # one tree was captured before there were any


def test_a_period_of_no_time_is_a_parse_error(tree: Tree) -> None:
    dirs = tree.make({"cpu": {"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "0\n"}})

    with pytest.raises(ParseError, match="cfs_period_us"):
        CpuV1(unified=False).read_limits(dirs)


def test_what_reclaim_did_is_told_as_far_as_the_kernel_tells(tree: Tree) -> None:
    unified = "pgscan 30\npgsteal 20\nworkingset_refault_anon 1\nworkingset_refault_file 2\n"
    older = "workingset_refault_file 1\ntotal_workingset_refault_anon 3\ntotal_workingset_refault_file 4\n"
    dirs = tree.make({"v2": {"memory.stat": unified}, "v1": {"memory.stat": older}})

    assert MemoryV2().read_reclaim({"memory": dirs["v2"]}) == MemoryReclaim(30, 20, 1, 2)
    assert MemoryV1().read_reclaim({"memory": dirs["v1"]}) == MemoryReclaim(None, None, 3, 4)
    assert [reader.read_reclaim({}) for reader in (MemoryV1(), MemoryV2())] == [None, None]
