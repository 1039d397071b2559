"""Making, freezing, killing and removing real cgroups with real processes in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cgroupfs import Cgroup, CgroupError, CgroupGone, FreezeTimeout, Hierarchies, Refused, Written
from cgroupfs.__main__ import main
from tests.cgroupfs.conftest import Start
from tests.cgroupfs.interrupts import interrupted_once

pytestmark = pytest.mark.kernel


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def test_a_cgroup_is_the_same_path_in_every_hierarchy(real: Cgroup, hierarchies: Hierarchies) -> None:
    assert {"cpu", "cpuset", "memory", "blkio", "pids", "unified"} <= real.dirs.keys()
    assert real.dirs.keys() == hierarchies.places.keys()
    for controller, directory in real.paths().items():
        assert directory == hierarchies.places[controller].mounted_at + real.path
        assert Path(directory).is_dir()


@pytest.mark.needs("cpuset", "v1")
def test_the_cpuset_of_a_new_parent_is_seeded_from_above(real: Cgroup, parent: str) -> None:
    top = Path(real.paths()["cpuset"].removesuffix(real.path), "cpuset.cpus").read_text()

    assert Path(real.paths()["cpuset"]).parent.joinpath("cpuset.cpus").read_text() == top
    assert real.read_limits().cpuset_mems != ""


@pytest.mark.needs("cpuset", "v2")
def test_a_new_group_of_the_unified_tree_has_no_cpuset_and_uses_its_parents(
    hierarchies: Hierarchies, real: Cgroup, parent: str
) -> None:
    above = hierarchies.cgroup(parent)
    above.apply(above.plan_limits({"cpuset_cpus": "0"}))

    limits = real.read_limits()

    assert (limits.cpuset_cpus, limits.cpuset_cpus_effective) == ("", "0")


def test_making_one_that_is_there_opens_it(hierarchies: Hierarchies, real: Cgroup) -> None:
    assert hierarchies.create(real.path).inode == real.inode
    assert hierarchies.cgroup(real.path).inode == real.inode
    assert hierarchies.children(os.path.dirname(real.path)) == {"web"}


def test_a_half_made_cgroup_is_taken_back(hierarchies: Hierarchies, parent: str) -> None:
    hierarchies.create(parent)

    with pytest.raises(CgroupError):
        hierarchies.create(f"{parent}/a/{'x' * 250}/cgroup.procs")

    assert hierarchies.children(parent) == set()


@pytest.mark.parametrize("path", ["", "/", "/a/../b", "a/./b", "/a\0b", "/a\nb", "/" + "x" * 300])
def test_a_path_that_could_lead_elsewhere_is_refused(hierarchies: Hierarchies, path: str) -> None:
    for verb in (hierarchies.create, hierarchies.cgroup, hierarchies.remove):
        with pytest.raises(CgroupError, match="not a cgroup path"):
            verb(path)


def test_one_that_is_not_there_is_gone(hierarchies: Hierarchies, parent: str) -> None:
    with pytest.raises(CgroupGone):
        hierarchies.cgroup(f"{parent}/none")


def test_removing_twice_is_removing_once_and_takes_children_along(
    hierarchies: Hierarchies, real: Cgroup
) -> None:
    hierarchies.create(f"{real.path}/a/b")

    hierarchies.remove(real.path)
    hierarchies.remove(real.path)

    assert not any(Path(directory).exists() for directory in real.paths().values())


def test_without_recursion_child_groups_are_named(hierarchies: Hierarchies, real: Cgroup) -> None:
    hierarchies.create(f"{real.path}/a")

    with pytest.raises(Refused, match=r"has child groups \(a\); remove them first"):
        hierarchies.remove(real.path, recursive=False)


def test_one_in_use_is_refused_with_the_pids_that_use_it(
    hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    process = start(real)

    with pytest.raises(Refused, match=rf"1 processes are in it \({process.pid}\); stop them first"):
        hierarchies.remove(real.path)

    assert real.procs() == [process.pid]
    assert process.poll() is None


def test_a_single_thread_enters_every_hierarchy_by_writing_0(real: Cgroup, start: Start) -> None:
    process = start(real)

    lines = Path(f"/proc/{process.pid}/cgroup").read_text().splitlines()

    named = [line for line in lines if "name=" in line]
    assert all(line.endswith(f":{real.path}") for line in lines if line not in named)


def test_freezing_twice_changes_something_once(real: Cgroup, start: Start) -> None:
    process = start(real)

    assert [real.freeze(), real.freeze()] == [True, False]
    assert real.read_freezer() == "frozen"
    assert [real.thaw(), real.thaw()] == [True, False]
    assert real.read_freezer() == "thawed"
    assert process.poll() is None


def test_a_frozen_process_does_nothing_until_it_is_thawed(real: Cgroup, start: Start) -> None:
    start(real, "print('ready', flush=True)\nwhile True: pass")
    kept = real.hot()
    real.freeze()
    before = kept.read().cpu

    assert kept.read().cpu == before
    real.thaw()
    deadline = time.monotonic() + 5
    while kept.read().cpu == before and time.monotonic() < deadline:
        os.sched_yield()
    assert kept.read().cpu != before
    kept.close()


def test_an_empty_cgroup_freezes_too(real: Cgroup) -> None:
    assert real.freeze(timeout_sec=2)
    assert real.thaw(timeout_sec=2)


@pytest.mark.needs("freezer", "v1")
def test_one_frozen_by_the_other_freezer_counts_as_frozen_and_is_thawed(real: Cgroup, start: Start) -> None:
    start(real)
    real.dirs["freezer"].write("freezer.state", "FROZEN")

    assert real.read_freezer() in ("freezing", "frozen")
    real.freeze()
    assert real.read_freezer() == "frozen"
    assert real.thaw()
    assert real.read_freezer() == "thawed"


@pytest.mark.needs("freezer", "v1")
def test_without_a_unified_tree_the_other_freezer_serves(
    hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    process = start(real)
    del real.dirs["unified"]

    assert real.set_frozen(True) == [Written("freezer", "freezer.state", "THAWED", "FROZEN", "FROZEN")]
    assert (real.read_freezer(), state_of(process.pid)) == ("frozen", "D")
    assert real.thaw()


@pytest.mark.needs("freezer", "v1")
def test_a_thaw_tells_each_freezer_that_it_wrote_to(real: Cgroup, start: Start) -> None:
    start(real)
    real.freeze()
    real.dirs["freezer"].write("freezer.state", "FROZEN")

    assert real.set_frozen(True) == []
    assert [(write.file, write.value, write.read_back) for write in real.set_frozen(False)] == [
        ("cgroup.freeze", "0", "0"),
        ("freezer.state", "THAWED", "THAWED"),
    ]
    assert real.set_frozen(False) == []


def unfreezable(
    hierarchies: Hierarchies, real: Cgroup, start: Start
) -> tuple[subprocess.Popen[bytes], Cgroup]:
    """Held by the v1 freezer of another group, it is in state D, where no freezer of ours can stop it."""
    process = start(real)
    aside = hierarchies.create(f"{real.path}-aside")
    aside.dirs["freezer"].write("cgroup.procs", str(process.pid))
    aside.dirs["freezer"].write("freezer.state", "FROZEN")
    return process, aside


@pytest.mark.needs("freezer", "v1")
def test_a_freeze_that_does_not_finish_is_taken_back(
    hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    process, aside = unfreezable(hierarchies, real, start)

    with pytest.raises(FreezeTimeout, match=rf"in uninterruptible I/O: {process.pid}\); thawed again"):
        real.freeze(timeout_sec=0.3)

    assert real.read_freezer() == "thawed"
    assert aside.thaw()


@pytest.mark.needs("freezer", "v1")
def test_a_freeze_that_is_interrupted_is_taken_back(
    hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    _process, aside = unfreezable(hierarchies, real, start)

    with pytest.raises(KeyboardInterrupt), interrupted_once(lambda: real.read_freezer() != "thawed"):
        real.freeze(timeout_sec=60)

    assert real.read_freezer() == "thawed"
    assert aside.thaw()


OTHER_FREEZER = pytest.mark.needs("freezer", "v1")


@pytest.mark.parametrize(
    "freezer",
    [
        None,
        "unified",
        pytest.param("v1", marks=OTHER_FREEZER),
        pytest.param("both", marks=OTHER_FREEZER),
    ],
)
def test_killing_ends_every_process_frozen_or_not(
    hierarchies: Hierarchies, real: Cgroup, start: Start, freezer: str | None
) -> None:
    child = hierarchies.create(f"{real.path}/child")
    deeper = hierarchies.create(f"{real.path}/other/deeper")
    processes = [start(deeper), start(deeper), start(child)]
    if freezer in ("unified", "both"):
        real.freeze()
    if freezer in ("v1", "both"):
        real.dirs["freezer"].write("freezer.state", "FROZEN")
        child.dirs["freezer"].write("freezer.state", "FROZEN")

    real.kill()

    assert [process.wait(timeout=5) for process in processes] == [-9, -9, -9]
    assert real.procs() == []


@pytest.mark.needs("freezer", "v1")
def test_without_a_unified_tree_killing_signals_each(real: Cgroup, start: Start) -> None:
    process = start(real)
    real.dirs["freezer"].write("freezer.state", "FROZEN")
    del real.dirs["unified"]

    real.kill()

    assert process.wait(timeout=5) == -9


@pytest.mark.needs("freezer", "v1")
def test_without_a_unified_tree_not_even_a_fork_storm_outruns_the_kill(real: Cgroup, start: Start) -> None:
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    try:\n"
        "        if os.fork(): os._exit(0)\n"
        "    except BlockingIOError: pass\n"
    )
    real.apply(real.plan_limits({"pids_max": 20}))
    process = start(real, code)
    del real.dirs["unified"]

    real.kill()

    assert real.procs() == []
    assert process.wait(timeout=5) in (0, -9)


@pytest.mark.needs("pids", "v1")
def test_a_process_that_is_in_one_hierarchy_only_is_killed_too(real: Cgroup, start: Start) -> None:
    outside = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    real.dirs["pids"].write("cgroup.procs", str(outside.pid))

    real.kill()

    assert outside.wait(timeout=5) == -9
    assert outside.stdin is not None
    outside.stdin.close()


def test_killing_an_empty_or_removed_cgroup_does_nothing(hierarchies: Hierarchies, real: Cgroup) -> None:
    real.kill()
    hierarchies.remove(real.path)

    real.kill()


def test_everything_is_one_json_document_with_a_key_per_area(
    real: Cgroup, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start(real)
    real.apply(real.plan_limits({"pids_max": 50}))

    assert main([real.path, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    areas = {"cpu", "memory", "blkio", "devices", "net", "numa", "freezer", "pids", "pressure", "hugetlb"}
    assert areas <= set(document)
    assert document["procs"] == [process.pid]
    assert document["pids"]["pids_max"] == 50
    assert document["pids"]["current"] == 1
    assert document["memory"]["memory_max_bytes"] == "max"
    assert document["memory"]["memory_high_bytes"] == real.read_limits().to_wire()["memory_high_bytes"]
    assert document["memory"]["usage_bytes"] >= 0
    assert document["cpu"]["cpu_max_cores"] == "max"
    assert document["blkio"]["io_max"] == {}
    assert document["cpu"]["periods"] == 0
    assert document["net"]["shared"] is True
    assert document["numa"]["cpuset_mems_effective"]
    assert document["freezer"]["state"] == "thawed"


def test_the_table_says_not_offered_and_never_zero_for_it(
    real: Cgroup, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([real.path]) == 0

    out = capsys.readouterr().out
    assert "cpu_shares" in out
    assert "memory_high_bytes" in out
    assert "not offered" in out


def test_the_command_tells_one_that_is_not_there_in_one_line(
    parent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"{parent}/none"]) == 3

    assert capsys.readouterr().err == f"{parent}/none: the cgroup is gone\n"


def test_a_probe_shows_every_file_and_leaves_nothing(hierarchies: Hierarchies, real: Cgroup) -> None:
    ours = hierarchies.based(real.path)
    control = Path(real.paths()["unified"], "cgroup.subtree_control")

    reports = {each.controller: each for each in ours.probe("look")}

    assert all(each.known for each in reports.values() if each.mounted_at is not None)
    assert "memory.memory_max_bytes" in reports["memory"].fields
    assert hierarchies.children(real.path) == set()
    assert control.read_text().split() == []
