"""Where groups go, decided from literals: a host of our own, systemd's, and a namespace."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from cgroupfs import Hierarchies, NoCgroups, ParseError, settle
from cgroupfs.mounts import Mount
from cgroupfs.namespace import localise, parse_proc_cgroup
from cgroupfs.placement import Ground, decide, is_delegated, place, read_ground

HOST = Ground(own="/", exempt=True, hands_down=True)
UNIT = "/system.slice/cgwarden.service"
SERVICE = Ground(own=UNIT, exempt=True, hands_down=True, systemd=True, delegated=(UNIT,))
MOUNTINFO = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"


def test_on_a_host_of_our_own_containers_go_to_the_top_and_nobody_moves() -> None:
    placement = decide(HOST, "cgwarden")

    assert (placement.base, placement.parent, placement.leaf) == ("/", "/cgwarden", None)
    assert placement.advice == ""


def test_in_a_namespace_the_processes_at_its_top_make_room() -> None:
    placement = decide(Ground(own="/", exempt=False, hands_down=True), "cgwarden")

    assert (placement.parent, placement.leaf) == ("/cgwarden", "/daemon")


def test_where_no_controller_comes_down_the_unified_tree_nobody_moves() -> None:
    placement = decide(Ground(own="/", exempt=False, hands_down=False), "cgwarden")

    assert (placement.parent, placement.leaf) == ("/cgwarden", None)


def test_a_delegated_service_keeps_containers_beside_its_own_leaf() -> None:
    placement = decide(SERVICE, "cgwarden")

    assert placement.base == UNIT
    assert (placement.parent, placement.leaf) == (f"{UNIT}/cgwarden", f"{UNIT}/daemon")
    assert "delegated" in placement.why


def test_a_service_that_systemd_started_in_its_leaf_uses_the_unit_above() -> None:
    placement = decide(dataclasses.replace(SERVICE, own=f"{UNIT}/daemon"), "cgwarden")

    assert (placement.base, placement.leaf) == (UNIT, f"{UNIT}/daemon")


def test_what_is_delegated_to_another_manager_is_not_ours() -> None:
    manager = "/user.slice/user-1000.slice/user@1000.service"
    ground = Ground(f"{manager}/app.slice/run-1.scope", True, True, systemd=True, delegated=(manager,))

    assert decide(dataclasses.replace(ground, delegated=()), "cgwarden").parent == "/cgwarden"


def test_a_scope_that_was_delegated_under_our_name_is_used_and_nobody_in_it_is_moved() -> None:
    scope = "/system.slice/cgwarden-containers.scope"
    ground = Ground("/user.slice/user-0.slice/session-1.scope", True, True, systemd=True, delegated=(scope,))

    placement = decide(ground, "cgwarden")

    assert (placement.base, placement.parent, placement.leaf) == (scope, f"{scope}/cgwarden", None)


def test_under_systemd_without_delegation_there_is_advice() -> None:
    placement = decide(dataclasses.replace(SERVICE, delegated=()), "cgwarden")

    assert placement.parent == "/cgwarden"
    assert "Delegate=yes" in placement.advice


def host(root: Path, own: str, *, systemd: bool, type_: str | None) -> Hierarchies:
    top = root / "sys/fs/cgroup"
    for name in ("proc/self", "sys/fs/cgroup", *(["run/systemd/system"] if systemd else [])):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "proc/self/mountinfo").write_text(MOUNTINFO)
    (root / "proc/self/cgroup").write_text(f"0::{own}\n")
    for directory in (top, top / "system.slice", top / own.lstrip("/")):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cgroup.procs").write_text("")
    (top / "cgroup.controllers").write_text("cpu memory pids perf_event\n")
    if type_ is not None:
        (top / "cgroup.type").write_text(type_)
    return Hierarchies.read(str(root))


def test_the_ground_is_read_from_the_tree_and_from_systemds_marks(tmp_path: Path) -> None:
    hierarchies = host(tmp_path, UNIT, systemd=True, type_=None)
    scope = tmp_path / "sys/fs/cgroup/system.slice/cgwarden-1.scope"
    scope.mkdir()
    for directory in (tmp_path / "sys/fs/cgroup" / UNIT.lstrip("/"), scope):
        os.setxattr(directory, "user.delegate", b"1")

    ground = read_ground(hierarchies, "cgwarden", str(tmp_path))

    assert ground == dataclasses.replace(SERVICE, delegated=(UNIT, "/system.slice/cgwarden-1.scope"))


def test_a_top_with_a_type_is_not_the_root_of_all(tmp_path: Path) -> None:
    hierarchies = host(tmp_path, "/", systemd=False, type_="domain\n")

    assert read_ground(hierarchies, "cgwarden", str(tmp_path)) == Ground("/", exempt=False, hands_down=True)


def test_a_delegated_group_without_what_containers_need_is_refused_in_one_line(tmp_path: Path) -> None:
    hierarchies = host(tmp_path, UNIT, systemd=True, type_=None)
    (tmp_path / "sys/fs/cgroup" / UNIT.lstrip("/") / "cgroup.controllers").write_text("pids\n")

    with pytest.raises(NoCgroups, match=r"cpu, memory are neither.*cgroup\.subtree_control"):
        settle(hierarchies, decide(SERVICE, "cgwarden"))


def test_only_what_is_handed_down_to_the_base_is_used_there(tmp_path: Path) -> None:
    hierarchies = host(tmp_path, UNIT, systemd=True, type_=None)
    offered = tmp_path / "sys/fs/cgroup" / UNIT.lstrip("/") / "cgroup.controllers"
    offered.write_text("cpu memory pids io\n")
    (offered.parents[2] / "cgroup.controllers").write_text("cpu io memory pids hugetlb\n")

    ours = Hierarchies.read(str(tmp_path)).within(UNIT)

    assert set(ours.places) == {"cpu", "memory", "pids", "blkio", "unified"}
    assert ours.base == ("system.slice", "cgwarden.service")
    assert hierarchies.within("/not/there").places == hierarchies.places


def test_without_a_unified_tree_there_is_nothing_to_make_room_for(captured: Hierarchies) -> None:
    del captured.places["unified"]

    assert place(captured, "cgwarden").leaf is None


def test_a_group_without_a_mark_is_not_delegated(tmp_path: Path) -> None:
    assert not is_delegated(str(tmp_path))
    os.setxattr(tmp_path, "user.delegate", b"0")
    assert not is_delegated(str(tmp_path))


def test_the_own_groups_are_told_per_hierarchy() -> None:
    text = "9:name=systemd:/\n4:cpu,cpuacct:/a:b\n3:pids:/x (deleted)\n0::/c\n"

    assert parse_proc_cgroup(text) == {"name=systemd": "/", "cpu": "/a:b", "cpuacct": "/a:b", "unified": "/c"}


@pytest.mark.parametrize("line", ["", "x", "1:cpu", "1:cpu:relative", "a:cpu:/"])
def test_a_malformed_line_is_a_parse_error(line: str) -> None:
    with pytest.raises(ParseError):
        parse_proc_cgroup(line + "\n")


def test_a_mount_from_outside_is_used_from_our_own_group_on(tmp_path: Path) -> None:
    for number in ("1", "2"):
        directory = tmp_path / "box" / number / "in"
        directory.mkdir(parents=True)
        (directory / "cgroup.procs").write_text(f"{os.getpid() if number == '2' else 1}\n")
    mount = Mount("v1", str(tmp_path), "/../..", frozenset({"memory"}))

    found = localise(mount, {"memory": "/in"})

    assert (found.mounted_at, found.root) == (f"{tmp_path}/box/2", "/")


@pytest.mark.parametrize("root", ["/", "/..", "/../x", "/docker/abc"])
def test_a_mount_in_which_we_are_not_found_stays_as_it_is(tmp_path: Path, root: str) -> None:
    mount = Mount("v2", str(tmp_path), root, frozenset())

    assert localise(mount, {"unified": "/"}) == mount
