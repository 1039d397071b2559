"""Making room and making groups inside a real cgroup namespace, with the host's mounts and with own ones."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from cgroupfs import Cgroup, CgroupError, Hierarchies, Refused, settle, subtree
from cgroupfs.placement import Ground, decide
from tests.cgroupfs.conftest import Start

pytestmark = pytest.mark.kernel

REPOSITORY = str(Path(__file__).parents[2])
INSIDE = """
import json, os, subprocess, sys
sys.path.insert(0, {repository!r})
import cgroupfs

def mount_anew():
    # In a mount namespace of this process alone: the mounts of an engine that gives each container its own.
    old = [place for place in set(cgroupfs.Hierarchies.read().places.values())]
    subprocess.run(["mount", "-t", "tmpfs", "none", "/sys/fs/cgroup"], check=True)
    for place in old:
        if place.kind == "v2" and place.controller != "unified":
            continue
        target = "/sys/fs/cgroup/" + place.controller
        os.mkdir(target)
        options = [] if place.kind == "v2" else ["-o", place.controller]
        kind = "cgroup2" if place.kind == "v2" else "cgroup"
        subprocess.run(["mount", "-t", kind, *options, "none", target], check=True)

if {anew}:
    mount_anew()
hierarchies = cgroupfs.Hierarchies.read()
placement = cgroupfs.place(hierarchies, "cgw")
hierarchies = cgroupfs.settle(hierarchies, placement)
web = hierarchies.create(placement.parent + "/web")
unified = web.dirs["unified"]
said = dict(
    parent=placement.parent,
    leaf=placement.leaf,
    own=[line.split(":")[2] for line in open("/proc/self/cgroup") if line.startswith("0::")][0].strip(),
    controllers=sorted((unified.read("cgroup.controllers") or "").split()),
    offered=sorted(c for c, place in hierarchies.places.items() if place.kind == "v2" and c != "unified"),
    below=sorted((unified.read("cgroup.subtree_control") or "").split()),
    memory=web.read_limits().memory_max_bytes is not None,
)
hierarchies.remove(placement.parent)
print("ready", flush=True)
print(json.dumps(said), flush=True)
input()
"""


@pytest.mark.parametrize("anew", [False, True])
def test_in_a_cgroup_namespace_groups_are_made_below_our_own(
    hierarchies: Hierarchies, real: Cgroup, start: Start, anew: bool
) -> None:
    inside = INSIDE.format(repository=REPOSITORY, anew=anew)
    program = ("unshare", "--cgroup", "--mount", "--propagation", "private", sys.executable, "-c", inside)

    process = start(real, f"os.execvp('unshare', {program!r})")
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())

    handed_down = bool(said["offered"])
    assert said["parent"] == "/cgw"
    assert said["leaf"] == ("/daemon" if handed_down else None)
    assert said["own"] == ("/daemon" if handed_down else "/")
    assert {name for name in said["offered"] if name != "blkio"} <= set(said["controllers"])
    assert said["below"] == []
    assert said["memory"]
    assert hierarchies.children(real.path) == ({"daemon"} if handed_down else set())


def test_a_parent_that_holds_processes_is_refused_with_their_pids(
    hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    process = start(real)

    with pytest.raises(Refused, match=rf"are in the group itself \({process.pid}\)") as caught:
        hierarchies.create(f"{real.path}/child")

    assert caught.value.file == subtree.CONTROL
    assert hierarchies.children(real.path) == set()


def test_processes_of_a_delegated_group_move_into_its_leaf(
    hierarchies: Hierarchies, real: Cgroup, start: Start
) -> None:
    processes = [start(real), start(real)]
    ground = Ground(own=real.path, exempt=True, hands_down=True, systemd=True, delegated=(real.path,))

    ours = settle(hierarchies, decide(ground, "containers"))
    web = ours.create(f"{real.path}/containers/web")

    members = Path(real.paths()["unified"], "daemon/cgroup.procs").read_text().split()
    assert sorted(map(int, members)) == sorted(process.pid for process in processes)
    assert web.alive()


def test_above_the_base_nothing_is_enabled(hierarchies: Hierarchies, parent: str) -> None:
    above = hierarchies.create(f"{parent}/above")
    ours = hierarchies.within(f"{parent}/above/base")

    ours.create(f"{parent}/above/base/cgw/web")

    assert (above.dirs["unified"].read(subtree.CONTROL) or "").split() == []


@pytest.mark.needs("cpuset", "v1")
def test_an_empty_cpuset_above_the_base_stays_so_and_is_named(hierarchies: Hierarchies, parent: str) -> None:
    above = hierarchies.create(parent).dirs["cpuset"]
    above.make_child("theirs")
    theirs = above.open_child("theirs")

    with pytest.raises(Refused, match=r"theirs, which is not ours to write, has an empty cpuset\.cpus"):
        hierarchies.based(f"{parent}/theirs/base").create(f"{parent}/theirs/base/web")

    assert [(theirs.read(file) or "").strip() for file in ("cpuset.cpus", "cpuset.mems")] == ["", ""]
    assert hierarchies.children(f"{parent}/theirs") == set()


@pytest.mark.needs("cpuset", "v1")
def test_an_empty_cpuset_below_the_base_gets_what_is_above_and_so_does_a_new_one_above(
    hierarchies: Hierarchies, parent: str
) -> None:
    above = hierarchies.create(parent).dirs["cpuset"]
    above.make_child("ours")

    below = hierarchies.based(parent).create(f"{parent}/ours/web")
    new = hierarchies.based(f"{parent}/new/base").create(f"{parent}/new/base/web")

    limits = hierarchies.cgroup(parent).read_limits()
    for group in (below, new):
        assert group.read_limits().cpuset_cpus == limits.cpuset_cpus != ""
        assert group.read_limits().cpuset_mems == limits.cpuset_mems != ""


def test_only_what_is_missing_and_served_is_enabled(hierarchies: Hierarchies, real: Cgroup) -> None:
    unified = real.dirs["unified"]
    offered = subtree.read_words(unified, "cgroup.controllers")

    new = subtree.enable(unified)

    assert set(new) == offered & set(subtree.SERVED)
    assert subtree.enable(unified) == ()
    assert set((unified.read(subtree.CONTROL) or "").split()) == set(new)


def test_a_threaded_parent_is_refused_in_words(hierarchies: Hierarchies, real: Cgroup) -> None:
    child = hierarchies.within(f"{real.path}-threads/a").create(f"{real.path}-threads/a")
    child.dirs["unified"].write("cgroup.type", "threaded")

    with pytest.raises(CgroupError, match="the group is domain threaded; use another parent"):
        hierarchies.create(f"{real.path}-threads/a/b")

    assert os.path.isdir(child.paths()["unified"])
