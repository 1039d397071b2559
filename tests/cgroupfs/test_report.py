"""What a host offers, told from its trees: per controller, with what is missing and what that costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgroupfs import Hierarchies, HierarchyReport
from cgroupfs.__main__ import main
from cgroupfs.mounts import Place
from cgroupfs.report import Look, assign, judge

UNIFIED = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
MEMORY = Place("memory", "v2", "/cg")


def look(*files: str, known: bool = True) -> Look:
    return Look(frozenset(files), known, 1.0)


def report_on_memory(*files: str, known: bool = True) -> HierarchyReport:
    rows = assign({"memory": MEMORY}, ())["memory"]
    found = look(*files, known=known)
    return judge(MEMORY, found, rows, {"memory": found})


def unified_host(root: Path, group: dict[str, str]) -> Hierarchies:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(UNIFIED)
    (root / "proc/cgroups").write_text(
        "".join(
            f"{name}\t0\t9\t1\n" for name in ("cpu", "cpuacct", "devices", "freezer", "net_cls", "memory")
        )
    )
    top = root / "sys/fs/cgroup"
    for directory, files in ((top, {"cgroup.controllers": "cpu memory pids\n"}), (top / "cgwarden", group)):
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in ({"cgroup.procs": ""} | files).items():
            (directory / name).write_text(text)
    return Hierarchies.read(str(root))


def test_fields_whose_files_are_there_work() -> None:
    report = report_on_memory("memory.current", "memory.max", "memory.stat")

    assert {"memory.usage_bytes", "memory.memory_max_bytes", "memory.anon_bytes"} <= set(report.fields)
    assert "memory.memory_high_bytes" not in report.fields
    assert "memory.high" in report.missing


def test_a_missing_file_names_the_fields_that_it_takes_along_and_what_that_costs() -> None:
    report = report_on_memory("memory.current")

    (swap,) = [loss for loss in report.lost if "memory.swap.max" in loss.files]
    assert swap.fields == ("memory.memory_swap_max_bytes",)
    assert "swapaccount=1" in swap.cost


def test_a_field_of_the_other_interface_is_lost_without_any_file_missing() -> None:
    report = report_on_memory("memory.current")

    (swappiness,) = [loss for loss in report.lost if loss.fields == ("memory.memory_swappiness",)]
    assert swappiness.files == ()
    assert swappiness.why == "v2"


def test_a_controller_that_no_group_has_yet_says_nothing_of_its_files() -> None:
    report = report_on_memory(known=False)

    assert (report.fields, report.missing, report.lost, report.known) == ((), (), (), False)


def test_a_host_with_everything_in_the_unified_tree_misses_no_older_controller(tmp_path: Path) -> None:
    group = {"cgroup.controllers": "memory\n", "memory.current": "0\n", "hugetlb.2MB.max": "max\n"}
    reports = {each.controller: each for each in unified_host(tmp_path, group).report()}

    assert {name for name, each in reports.items() if each.mounted_at is None} == {"net_cls"}
    assert reports["memory"].known
    assert "memory.current" in reports["memory"].offered
    assert "hugetlb.SIZE.max" in reports["memory"].offered
    assert not reports["cpu"].known
    assert [loss.fields for loss in reports["net_cls"].lost] == [("net.net_classid",)]


@pytest.mark.needs("cpu", "v1")
def test_the_working_container_of_a_hybrid_kernel_lacks_little(captured: Hierarchies) -> None:
    reports = {each.controller: each for each in captured.report()}

    assert set(reports["cpu"].fields) >= {"cpu.periods", "cpu.cpu_max_cores", "cpu.cpu_shares"}
    assert "cpuacct.usage" in reports["cpuacct"].offered
    assert "freezer.state" in reports["freezer"].fields
    assert "hugetlb.usage_bytes" in reports["hugetlb"].fields
    assert [name for name, each in reports.items() if not each.known] == []


@pytest.mark.kernel
def test_without_a_path_the_hierarchies_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert main([]) == 0
    table = capsys.readouterr().out

    assert document["memory"]["kind"] in ("v1", "v2")
    assert document["memory"]["mounted_at"] in table
