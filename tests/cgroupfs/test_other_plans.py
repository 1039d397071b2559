"""Plans for what has few users (huge pages, misc, rdma, packet marks, devices), and refusals in words."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from cgroupfs import (
    UNLIMITED,
    BadLimit,
    CgroupError,
    ControlDir,
    DeviceRule,
    FreezeTimeout,
    Hierarchies,
    NotMounted,
    NotOffered,
    Refused,
    Write,
    misc,
    net_marks,
)
from cgroupfs.devices import DevicesV1, DevicesV2, plan_program
from cgroupfs.host import Host
from cgroupfs.hugetlb import HugetlbV1, HugetlbV2
from cgroupfs.nested import Change, plan_nested
from cgroupfs.pids import PidsV1
from cgroupfs.plan import apply, read_value
from cgroupfs.refusals import explain
from cgroupfs.statistic import Dirs
from cgroupfs.tree import split_path
from cgroupfs.wishes import Wanted
from tests.cgroupfs.conftest import Tree

MIB = 1 << 20


def values(writes: Sequence[Write]) -> list[tuple[str, str]]:
    return [(write.file, write.value) for write in writes]


def test_huge_pages_are_limited_by_size_and_in_whole_pages(tree: Tree) -> None:
    dirs = tree.make({"hugetlb": {"hugetlb.2MB.current": "0\n", "hugetlb.2MB.max": "max\n"}})
    plan = HugetlbV2().plan_limits

    assert values(plan(dirs, ["2MB"], {"hugetlb_max_bytes": {"2MB": 4 * MIB}})) == [
        ("hugetlb.2MB.max", str(4 * MIB))
    ]
    assert plan(dirs, ["2MB"], {"hugetlb_max_bytes": "max"}) == []
    assert plan(dirs, ["2MB"], {}) == []
    with pytest.raises(BadLimit, match=r"is a mapping such as \{'2MB'"):
        plan(dirs, ["2MB"], {"hugetlb_max_bytes": 5})
    with pytest.raises(BadLimit, match="no huge pages of '1GB' here; there are 2MB"):
        plan(dirs, ["2MB"], {"hugetlb_max_bytes": {"1GB": 5}})


def test_a_limit_on_huge_pages_that_rounds_to_the_one_in_force_is_no_change(tree: Tree) -> None:
    files = {"hugetlb.2MB.usage_in_bytes": "0\n", "hugetlb.2MB.limit_in_bytes": f"{4 * MIB}\n"}
    dirs = tree.make({"hugetlb": files})
    plan = HugetlbV1().plan_limits

    assert plan(dirs, ["2MB"], {"hugetlb_max_bytes": {"2MB": 4 * MIB + 5}}) == []
    assert values(plan(dirs, ["2MB"], {"hugetlb_max_bytes": None})) == [("hugetlb.2MB.limit_in_bytes", "-1")]
    with pytest.raises(NotOffered):
        plan({}, [], {"hugetlb_max_bytes": {"2MB": 0}})


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n"])
def test_huge_pages_have_no_limit_in_either_word(tree: Tree, text: str) -> None:
    dirs = tree.make({"hugetlb": {"hugetlb.2MB.current": "0\n", "hugetlb.2MB.max": text}})

    assert HugetlbV2().read_limits(dirs, ["2MB"]) == {"2MB": UNLIMITED}


def test_misc_resources_are_limited_by_name(tree: Tree) -> None:
    dirs = tree.make({"misc": {"misc.max": "sev max\nsev_es 10\n", "misc.current": "sev 0\nsev_es 1\n"}})

    assert values(misc.plan_limits(dirs, {"misc_max": {"sev": 5, "sev_es": 10}})) == [("misc.max", "sev 5")]
    assert values(misc.plan_limits(dirs, {"misc_max": None})) == [("misc.max", "sev_es max")]
    with pytest.raises(BadLimit, match="'tdx' is not here; there are sev, sev_es"):
        misc.plan_limits(dirs, {"misc_max": {"tdx": 5}})
    with pytest.raises(BadLimit, match="is a mapping of sev, sev_es"):
        misc.plan_limits(dirs, {"misc_max": 5})
    with pytest.raises(NotOffered):
        misc.plan_limits({}, {"misc_max": {}})


def test_rdma_devices_are_limited_by_name_and_kind(tree: Tree) -> None:
    dirs = tree.make({"rdma": {"rdma.max": "mlx4_0 hca_handle=2 hca_object=max\n"}})

    wanted = {"rdma_max": {"mlx4_0": {"hca_handle": 3, "hca_object": UNLIMITED}}}
    assert values(misc.plan_limits(dirs, wanted)) == [("rdma.max", "mlx4_0 hca_handle=3")]
    assert values(misc.plan_limits(dirs, {"rdma_max": None})) == [("rdma.max", "mlx4_0 hca_handle=max")]
    assert misc.plan_limits(dirs, {"rdma_max": {"mlx4_0": {"hca_handle": 2}}}) == []
    with pytest.raises(NotOffered):
        misc.plan_limits({}, {"rdma_max": {}})


def test_packet_marks_are_written_where_they_change(tree: Tree, tmp_path: Path) -> None:
    dirs = tree.make(
        {
            "net_cls": {"net_cls.classid": "7\n"},
            "net_prio": {"net_prio.ifpriomap": "lo 0\neth0 5\n"},
        }
    )

    def plan(dirs: Dirs, wanted: Wanted) -> list[Write]:
        return net_marks.plan_limits(dirs, wanted, Host(str(tmp_path)))

    assert values(plan(dirs, {"net_classid": 8, "net_prio": {"eth0": 5, "lo": 2}})) == [
        ("net_cls.classid", "8"),
        ("net_prio.ifpriomap", "lo 2"),
    ]
    assert values(plan(dirs, {"net_classid": None})) == [("net_cls.classid", "0")]
    assert plan(dirs, {"net_classid": 7}) == []
    assert values(plan(dirs, {"net_prio": "max"})) == [("net_prio.ifpriomap", "eth0 0")]
    with pytest.raises(BadLimit, match="is a mapping"):
        plan(dirs, {"net_prio": 5})
    with pytest.raises(BadLimit, match="no interface 'eth1' here"):
        plan(dirs, {"net_prio": {"eth1": 5}})
    for wanted in ({"net_classid": 1}, {"net_prio": {"lo": 1}}):
        with pytest.raises(NotOffered, match="this kernel does not offer"):
            plan({}, wanted)


@pytest.mark.parametrize(
    ("hierarchy", "says"),
    [(0, "nobody has mounted it on this host, so there is no net_cls.classid"), (9, "older than the mount")],
)
def test_marks_that_a_mount_would_give_say_so(tmp_path: Path, hierarchy: int, says: str) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cgroups").write_text(f"#name\nnet_cls\t{hierarchy}\t1\t1\n")

    with pytest.raises(NotMounted, match=says):
        net_marks.plan_limits({}, {"net_classid": 1}, Host(str(tmp_path)))
    with pytest.raises(NotOffered, match="this kernel does not offer"):
        net_marks.plan_limits({}, {"net_prio": {"lo": 1}}, Host(str(tmp_path)))


def test_rules_and_tasks_of_a_controller_that_is_not_there_are_not_offered() -> None:
    with pytest.raises(NotOffered):
        DevicesV1().plan_rules({}, [])
    with pytest.raises(NotOffered):
        DevicesV2().plan_rules({}, [DeviceRule(True, "c", 1, 3, "r")])
    assert values(plan_program("", [DeviceRule(True, "c", 1, 3, "r")])) == [
        ("device program", "deny a; allow c 1:3 r")
    ]
    assert plan_program("deny a; allow c 1:3 r", [DeviceRule(True, "c", 1, 3, "r")]) == []
    with pytest.raises(NotOffered):
        PidsV1().plan_limits({}, {"pids_max": 5})


def test_a_plain_directory_has_no_device_program(tree: Tree) -> None:
    dirs = tree.make({"unified": {}})

    with pytest.raises(NotOffered):
        DevicesV2().plan_rules(dirs, [])
    with pytest.raises(NotOffered):
        read_value(dirs, Write("unified", "device program", ""))


def test_device_rules_are_put_back_after_a_failure(tree: Tree) -> None:
    files = {"devices.list": "c 1:3 rwm\n", "devices.allow": "", "devices.deny": ""}
    plan = [Write("devices", "devices.deny", "a"), Write("pids", "pids.max", "5")]

    with pytest.raises(NotOffered):
        apply(tree.make({"devices": files}), plan)

    assert tree.text("devices/devices.allow") == "c 1:3 rwm"


class Settling(ControlDir):
    """A directory that refuses its first write, as the devices hierarchy does after a child was removed."""

    refused = False

    def write(self, name: str, value: str) -> None:
        if not self.refused:
            self.refused = True
            raise Refused(self.path, name, value, errno.EINVAL, "not yet")
        super().write(name, value)


def test_all_devices_are_denied_once_the_hierarchy_has_settled(tree: Tree) -> None:
    made = tree.make({"devices": {"devices.list": "a *:* rwm\n", "devices.deny": ""}})["devices"]
    dirs = {"devices": Settling(made.path, made.inode, made.device)}

    apply(dirs, [Write("devices", "devices.deny", "a")])

    assert tree.text("devices/devices.deny") == "a"


def test_the_default_of_a_keyed_file_is_read_without_its_word(tree: Tree) -> None:
    dirs = tree.make({"blkio": {"io.bfq.weight": "default 100\n8:0 200\n", "io.max": ""}})

    assert read_value(dirs, Write("blkio", "io.bfq.weight", "5")) == "100"
    assert read_value(dirs, Write("blkio", "io.max", "8:0 rbps=5", "8:0")).startswith("8:0 rbps=max")


def test_what_grows_goes_from_the_outside_in_and_what_shrinks_from_the_inside_out(
    captured: Hierarchies,
) -> None:
    outer, inner = captured.cgroup("/cgwarden"), captured.cgroup("/cgwarden/web")
    wanted = [Change(inner, {"pids_max": 7}), Change(outer, {})]

    steps = plan_nested(wanted)

    assert [(step.cgroup.path, step.write.file, step.write.value) for step in steps] == [
        ("/cgwarden/web", "pids.max", "7")
    ]


@pytest.mark.parametrize("path", ["", "/", "/a/../b", "/./a", "/a\nb", "/a\0b", "/" + "x" * 300])
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(CgroupError, match="is not a cgroup path"):
        split_path(path)


def test_names_of_a_path_are_split() -> None:
    assert split_path("/cgwarden//web/") == ("cgwarden", "web")


@pytest.mark.parametrize(
    ("file", "code", "why"),
    [
        ("memory.limit_in_bytes", errno.EBUSY, "4096 bytes are in use"),
        ("memory.memsw.limit_in_bytes", errno.EINVAL, "never be below the memory limit"),
        ("cgroup.procs", errno.ESRCH, "no such process"),
        ("cgroup.procs", errno.EIO, "Input/output error"),
        ("cpu.cfs_quota_us", errno.EINVAL, "raise the parent first, lower the children first, or change all"),
        ("cpu.cfs_quota_us", errno.EINVAL, "at least the burst (lower cpu_burst_usec first)"),
        ("cpu.cfs_burst_us", errno.EINVAL, "the burst can be at most the quota"),
        ("cpu.rt_runtime_us", errno.EINVAL, "raise the parent's cpu.rt_runtime_us first"),
        ("memory.soft_limit_in_bytes", errno.EINVAL, "-1 for no limit"),
        ("hugetlb.2MB.limit_in_bytes", errno.EINVAL, "-1 for no limit"),
        ("hugetlb.2MB.max", errno.EINVAL, '"max"'),
        ("memory.high", errno.EINVAL, '"max"'),
        ("memory.swappiness", errno.EINVAL, "it is 0 to 200"),
        ("memory.oom.group", errno.EINVAL, "it is 0 or 1"),
        ("memory.oom_control", errno.EINVAL, "it is 0 or 1, and the root"),
        ("memory.reclaim", errno.EAGAIN, "ask for less, or give more swap"),
        ("cpu.max", errno.EINVAL, "1000 us or more"),
        ("memory.high", errno.EROFS, "Read-only file system; cgroup files are root's"),
        ("memory.high", errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_a_refusal_is_told_in_words(file: str, code: int, why: str) -> None:
    asked: list[str] = []

    def read_number(name: str) -> str:
        asked.append(name)
        return "4096"

    assert why in explain(file, "1", code, read_number)
    assert asked == (["memory.usage_in_bytes"] if "in use" in why else [])


def test_an_error_says_where_what_and_why_in_one_line() -> None:
    refused = Refused("/cg/web", "cpu.max", "5", errno.EINVAL, "the quota is 1000 us or more")
    late = FreezeTimeout("/cg/web", "not all tasks froze within 1 s")

    assert str(refused) == (
        "/cg/web: the kernel refused '5' for cpu.max (EINVAL): the quota is 1000 us or more"
    )
    assert (str(late), late.path) == ("/cg/web: not all tasks froze within 1 s", "/cg/web")
    assert repr(UNLIMITED) == "UNLIMITED"
