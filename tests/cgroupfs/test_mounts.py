"""Which controller is served where, from mountinfo as several hosts show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgroupfs import Hierarchies, NoCgroups, ParseError
from cgroupfs.mounts import Place, find_places, parse_mountinfo, parse_proc_cgroups

V1 = "32 31 0:29 / /sys/fs/cgroup/{0} rw,relatime - cgroup cgroup rw,{0}\n"
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
NEEDED = ("cpu", "cpuacct", "memory", "pids")


def places(text: str, offered: str = "") -> dict[str, Place]:
    return find_places(parse_mountinfo(text), lambda mounted_at: offered)


def host(root: Path, mountinfo: str, offered: str = "") -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(mountinfo)
    (root / "sys/fs/cgroup/unified").mkdir(parents=True)
    (root / "sys/fs/cgroup/unified/cgroup.controllers").write_text(offered)
    (root / "sys/fs/cgroup/unified/cgroup.procs").write_text("")
    return root


def test_the_options_tell_the_controllers_and_not_the_directory() -> None:
    text = "32 31 0:29 / /cg/x rw - cgroup none rw,seclabel,cpu,cpuacct,release_agent=/bin/x\n"

    found = places(text)

    assert found["cpu"] == Place("cpu", "v1", "/cg/x")
    assert found["cpuacct"].mounted_at == "/cg/x"
    assert "release_agent=/bin/x" not in found


def test_a_hybrid_host_mixes_both_per_controller() -> None:
    found = places(V1.format("memory") + UNIFIED, "hugetlb io")

    assert {name: place.kind for name, place in found.items()} == {
        "memory": "v1",
        "unified": "v2",
        "hugetlb": "v2",
        "blkio": "v2",
    }


def test_the_whole_hierarchy_is_preferred_to_a_bind_mount_of_a_part() -> None:
    part = "50 31 0:29 /docker/abc /part rw - cgroup cgroup rw,memory\n"

    assert places(part + V1.format("memory"))["memory"].mounted_at == "/sys/fs/cgroup/memory"


def test_blanks_in_a_mount_point_are_unescaped() -> None:
    assert places(r"32 31 0:29 / /a\040b rw - cgroup cgroup rw,cpu" + "\n")["cpu"].mounted_at == "/a b"


@pytest.mark.parametrize("line", ["", "x", "32 31 0:29 / /a rw - cgroup\n", "32 31 - cgroup cgroup rw,cpu"])
def test_a_malformed_line_is_a_parse_error(line: str) -> None:
    with pytest.raises(ParseError):
        parse_mountinfo(line + "\n")


def test_available_but_unmounted_controllers_are_known() -> None:
    known = parse_proc_cgroups(
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\nnet_cls\t0\t1\t1\ncpu\t1\t3\t0\n"
    )

    assert known == (("net_cls", 0, True), ("cpu", 1, False))


def test_a_host_without_cgroups_gets_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoCgroups, match="no cgroup file system is mounted; mount one"):
        Hierarchies.read(str(host(tmp_path, "")))


def test_a_host_without_proc_gets_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(NoCgroups, match="mount /proc"):
        Hierarchies.read(str(tmp_path))


def test_a_host_whose_controllers_are_all_in_the_unified_tree_is_taken(tmp_path: Path) -> None:
    found = Hierarchies.read(str(host(tmp_path, UNIFIED, "cpu memory pids io")))

    assert {place.kind for place in found.places.values()} == {"v2"}
    assert {"cpu", "memory", "pids", "blkio", "unified"} == set(found.places)


def test_what_the_parent_does_not_hand_down_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoCgroups, match=r"cpu, memory are neither.*cgroup.subtree_control") as caught:
        Hierarchies.read(str(host(tmp_path, UNIFIED, "pids io")))

    assert "\n" not in str(caught.value)


def test_a_missing_controller_is_named(tmp_path: Path) -> None:
    mountinfo = "".join(V1.format(name) for name in NEEDED if name != "pids") + UNIFIED

    with pytest.raises(NoCgroups, match="pids are neither in the unified tree nor mounted"):
        Hierarchies.read(str(host(tmp_path, mountinfo)))


@pytest.mark.needs("memory", "v1")
def test_a_report_names_what_is_mounted_where_and_what_is_not(captured: Hierarchies) -> None:
    report = {each.controller: each for each in captured.report()}

    assert report["memory"].kind == "v1"
    assert report["unified"].kind == "v2"
    assert report["net_cls"].mounted_at is None
    assert report["blkio"].cost_usec is not None


def test_a_mount_point_of_any_bytes_hides_no_other(tmp_path: Path) -> None:
    odd = b"90 31 0:90 / /mnt/\xff\r\x0c\xe2\x80\xa8 rw - tmpfs tmpfs rw\n"
    mountinfo = "".join(V1.format(name) for name in NEEDED) + UNIFIED
    host(tmp_path, "")
    (tmp_path / "proc/self/mountinfo").write_bytes(odd + mountinfo.encode())

    assert "memory" in Hierarchies.read(str(tmp_path)).places
