"""The leak check itself: a check that never fails proves nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.network import netns
from launcher.network.nft import Nft
from tests import leaks
from tests.leaks import Scope, read_left


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_GRACE_SEC", 0.0)


@pytest.mark.kernel
def test_a_cgroup_that_is_left_is_found_in_its_hierarchy(
    cgroup_parent: str, leak_scope: Scope, no_grace: None
) -> None:
    before = read_left(leak_scope)
    directory = _mount_of("pids") / cgroup_parent
    directory.mkdir()

    found = leaks.wait_for_no_leak(before, leak_scope)

    directory.rmdir()
    assert f"cgroups: {directory}" in found


def test_a_process_that_is_left_is_found_by_its_parent(leak_scope: Scope, no_grace: None) -> None:
    before = read_left(leak_scope)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    found = leaks.wait_for_no_leak(before, leak_scope)

    child.communicate(b"\n")
    assert any(f"processes: {child.pid} " in line for line in found)


def test_a_process_that_outlived_its_parent_is_found_by_its_mark(leak_scope: Scope, no_grace: None) -> None:
    before = read_left(leak_scope)
    script = "sleep 60 >/dev/null 2>&1 & echo $!"
    orphan = int(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout)

    found = leaks.wait_for_no_leak(before, leak_scope)

    subprocess.run(["kill", str(orphan)], check=True)
    assert any(f"processes: {orphan} " in line for line in found)


def test_what_was_there_before_is_no_leak(leak_scope: Scope) -> None:
    assert leaks.wait_for_no_leak(read_left(leak_scope), leak_scope) == []


@pytest.fixture
def mounted(short_dir: Path) -> Iterator[Path]:
    """A small file system of its own with a file in it, mounted in a directory of this test."""
    point = short_dir / "point"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", point], check=True)
    (point / "precious").write_text("not ours to delete")
    yield point
    leaks.detach_mounts([str(short_dir)])


@pytest.mark.kernel
def test_a_directory_is_never_removed_through_a_mount(short_dir: Path, mounted: Path) -> None:
    with pytest.raises(AssertionError, match="still mounted"):
        leaks.remove_unmounted(short_dir)

    assert (mounted / "precious").exists()


@pytest.mark.kernel
def test_detaching_takes_the_mount_off_and_leaves_what_was_in_it_alone(
    short_dir: Path, mounted: Path
) -> None:
    leaks.detach_mounts([str(short_dir)])

    assert not (mounted / "precious").exists()
    assert mounted.is_dir()


def test_on_a_shared_machine_the_cgroups_of_other_runs_do_not_count() -> None:
    scope = Scope(everything=False, parents={"cgwtest-0123abcd"})

    assert scope.owns_parent("cgwtest-0123abcd")
    assert not scope.owns_parent("cgwtest-89efabcd")
    assert not scope.owns_parent("cgwarden")


def _mount_of(controller: str) -> Path:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if controller in right.split()[-1].split(","):
            return Path(left.split()[4])
    pytest.skip(f"no hierarchy with {controller} on this kernel")


@pytest.mark.kernel
def test_a_table_of_rules_that_is_left_is_found(leak_scope: Scope, no_grace: None) -> None:
    home, fresh = netns.current(), netns.make()
    netns.enter(fresh)
    try:
        before = read_left(leak_scope)
        nft = Nft()
        nft.run("add table inet cgwtest_left")
        nft.close()

        found = leaks.wait_for_no_leak(before, leak_scope)
    finally:
        netns.enter(home)
        os.close(fresh)
        os.close(home)

    assert "tables: inet cgwtest_left" in found


@pytest.mark.kernel
def test_a_network_namespace_that_is_held_open_is_found(leak_scope: Scope, no_grace: None) -> None:
    before = read_left(leak_scope)
    held = netns.make()

    found = leaks.wait_for_no_leak(before, leak_scope)

    os.close(held)
    assert any(line.startswith("namespaces: net:[") for line in found)
