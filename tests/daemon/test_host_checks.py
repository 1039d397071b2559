"""What `doctor` says of each hierarchy, from reports as literals."""

from __future__ import annotations

import pytest

from cgroupfs import Hierarchies, HierarchyReport, Loss, place
from cgwarden.host_checks import check_hierarchy, check_host

PLACE = "/sys/fs/cgroup/memory"


def report(*lost: Loss, known: bool = True) -> HierarchyReport:
    fields = ("memory.usage_bytes", "memory.faults")
    return HierarchyReport("memory", PLACE, "v1", ("memory.stat",), (), 1.0, known, fields, lost)


def test_a_hierarchy_with_everything_is_told_with_its_place_and_its_fields() -> None:
    check = check_hierarchy(report())

    assert (check["state"], check["detail"]) == ("ok", f"v1 at {PLACE}, 2 fields")


def test_what_costs_something_degrades_and_says_what() -> None:
    swap = Loss(("memory.swap_bytes",), ("memory.swap.current",), "swap is not limited", "")

    check = check_hierarchy(report(swap))

    assert check["state"] == "degraded"
    assert check["detail"].endswith("without memory.swap.current: swap is not limited")


def test_what_this_kernel_lacks_at_no_cost_is_named_and_stays_well() -> None:
    check = check_hierarchy(report(Loss(("cpu.rt_runtime_usec",), ("cpu.rt_runtime_us",), "", "")))

    assert check["state"] == "ok"
    assert check["detail"].endswith("this kernel lacks cpu.rt_runtime_usec")


def test_what_this_interface_never_had_is_not_worth_a_word() -> None:
    assert check_hierarchy(report(Loss(("memory.ooms",), (), "", "v1"))) == check_hierarchy(report())


def test_a_hierarchy_without_groups_says_that_its_files_do_not_show() -> None:
    assert "its files do not show" in check_hierarchy(report(known=False))["detail"]


def test_a_needed_controller_that_nobody_mounted_is_missing_with_the_command() -> None:
    check = check_hierarchy(HierarchyReport("pids", None, "not mounted", (), (), None))

    assert (check["state"], check["detail"]) == ("missing", "not mounted: no limit on processes")
    assert check["advice"] == "mount -t cgroup -o pids pids DIR, at boot"


def test_a_controller_that_is_not_needed_says_what_does_not_work_without_it() -> None:
    lost = (Loss(("net.net_classid",), (), "", ""),)
    check = check_hierarchy(HierarchyReport("net_cls", None, "not mounted", (), (), None, lost=lost))

    assert (check["state"], check["detail"]) == ("ok", "not mounted: no net.net_classid")
    assert "[cgroups] mount_net = true" in check["advice"]


@pytest.mark.kernel
def test_the_host_is_told_in_full_though_no_container_runs(cgroup_parent: str) -> None:
    report = check_host(parent=cgroup_parent)

    found = report["checks"]
    assert isinstance(found, list)
    checks = {check["name"]: check for check in found}
    hierarchies = Hierarchies.read()
    assert checks["placement"]["detail"].startswith(place(hierarchies, cgroup_parent).parent)
    assert all("no group has it yet" not in check["detail"] for check in checks.values())
    assert not any(name.startswith(cgroup_parent) for name in hierarchies.children("/"))
