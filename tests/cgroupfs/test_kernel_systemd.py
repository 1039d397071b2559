"""Placement under a real systemd: our delegated unit is found and used, and neither disturbs the other."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from cgroupfs import Cgroup
from tests.systemd import Systemd, running_systemd

pytestmark = [pytest.mark.kernel, pytest.mark.needs("memory", "v2"), pytest.mark.timeout(600)]

REPOSITORY: Final = Path(__file__).parents[2]
# What the daemon does at its start, with one container; it stays until it is told to end.
PROGRAM: Final = """
import json, os, sys
sys.path.insert(0, {repository!r})
import cgroupfs
said = {{}}
try:
    hierarchies = cgroupfs.Hierarchies.read()
    placement = cgroupfs.place(hierarchies, "cgw")
    said = dict(base=placement.base, parent=placement.parent, leaf=placement.leaf, advice=placement.advice)
    web = cgroupfs.settle(hierarchies, placement).create(placement.parent + "/web")
    limits = web.read_limits()
    wish = {{name: value for name, value in {wish!r}.items() if getattr(limits, name) is not None}}
    web.apply(web.plan_limits(wish))
    said |= dict(web=web.dirs["unified"].path.removeprefix("/sys/fs/cgroup"), wish=wish)
    if not os.fork():
        for fd in web.entry_fds():
            os.write(fd, b"0")
        os.execvp("sleep", ["sleep", "1000"])
except cgroupfs.CgroupError as e:
    said["error"] = str(e)
with open("/run/said.new", "w") as file:
    json.dump(said, file)
os.rename("/run/said.new", "/run/said")
os.execvp("sleep", ["sleep", "1000"])
"""
WISH: Final = {
    "memory_max_bytes": 64 << 20,
    "pids_max": 20,
    "cpu_weight": 300,
    "hugetlb_max_bytes": {"2MB": 4 << 20},
}
SERVICE: Final = "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart={command}\nKillMode=process\n{more}\n"
# Keeps a delegated scope: a program in a group below, so that the scope itself can hand controllers down.
HOLD: Final = "mkdir /sys/fs/cgroup$0/hold; echo $$ >/sys/fs/cgroup$0/hold/cgroup.procs; exec sleep 1000"


@pytest.fixture
def systemd(real: Cgroup, short_dir: Path) -> Iterator[Systemd]:
    with running_systemd(real.paths()["unified"], short_dir) as systemd:
        yield systemd
    real.kill()


def start(systemd: Systemd, more: str) -> dict[str, Any]:
    """Run the program as ``cgw.service``; what it said."""
    systemd.run(
        "sh", "-c", "cat >/run/program.py", text=PROGRAM.format(repository=str(REPOSITORY), wish=WISH)
    )
    systemd.add("cgw.service", SERVICE.format(command=f"{sys.executable} /run/program.py", more=more))
    systemd.run("systemctl", "start", "cgw.service", check=True)
    said = systemd.run(
        "sh", "-c", "for i in $(seq 600); do [ -s /run/said ] && break; sleep 0.2; done; cat /run/said"
    )
    found: dict[str, Any] = json.loads(said)
    assert "error" not in found, found
    return found


def kernel_files(systemd: Systemd, group: str) -> dict[str, str]:
    """What a group's limits and its hand-down are, of those files that it has."""
    names = (
        "cgroup.subtree_control",
        "memory.max",
        "pids.max",
        "cpu.weight",
        "hugetlb.2MB.max",
        "cgroup.procs",
    )
    return {
        name: systemd.text(f"{group}/{name}") for name in names if (systemd.top / group[1:] / name).exists()
    }


def test_our_delegated_service_is_found_and_used_and_neither_disturbs_the_other(systemd: Systemd) -> None:
    above = kernel_files(systemd, "/")["cgroup.subtree_control"]

    said = start(systemd, "Delegate=yes\nTasksMax=500")

    unit = "/system.slice/cgw.service"
    assert said == {
        "base": unit,
        "parent": f"{unit}/cgw",
        "leaf": f"{unit}/daemon",
        "advice": "",
        "web": f"{unit}/cgw/web",
        "wish": said["wish"],
    }
    main_pid = systemd.run("systemctl", "show", "-P", "MainPID", "cgw.service").strip()
    assert systemd.run("cat", f"/proc/{main_pid}/cgroup").strip() == f"0::{unit}/daemon"
    assert set(kernel_files(systemd, unit)["cgroup.subtree_control"].split()) == offered(systemd, unit)
    ours, parent = kernel_files(systemd, f"{unit}/cgw/web"), kernel_files(systemd, f"{unit}/cgw")
    assert ours["cgroup.procs"]
    assert said["wish"].keys() <= {"memory_max_bytes", "pids_max", "cpu_weight", "hugetlb_max_bytes"}
    assert said["wish"]
    # What systemd does on a working host: it reads its units again, and writes the limits of ours.
    systemd.run("systemctl", "daemon-reload")
    systemd.run("systemctl", "set-property", "--runtime", "cgw.service", "TasksMax=400", "CPUWeight=50")
    systemd.run("systemctl", "daemon-reexec")
    assert systemd.run("systemctl", "is-active", "cgw.service").strip() == "active"
    assert kernel_files(systemd, f"{unit}/cgw/web") == ours
    assert kernel_files(systemd, f"{unit}/cgw") == parent
    # Only systemd has written above our unit: what it needs for its own properties and no more.
    assert set(above.split()) <= set(kernel_files(systemd, "/")["cgroup.subtree_control"].split())


def offered(systemd: Systemd, unit: str) -> set[str]:
    return set(systemd.text(f"{unit}/cgroup.controllers").split())


def test_a_service_that_was_delegated_nothing_says_so_and_writes_nothing_in_its_unit(
    systemd: Systemd,
) -> None:
    said = start(systemd, "")

    assert "Delegate=yes" in said["advice"]
    assert said["base"] == "/"
    assert systemd.text("/system.slice/cgw.service/cgroup.subtree_control") == ""
    assert not (systemd.top / "system.slice/cgw.service/daemon").exists()


def test_a_delegated_scope_of_our_name_is_used_by_a_daemon_elsewhere(systemd: Systemd) -> None:
    scope = "/system.slice/cgw-containers.scope"
    systemd.run(
        *(
            "sh",
            "-c",
            'systemd-run --scope -q --unit=cgw-containers -p Delegate=yes sh -c "$0" "$1" >/dev/null 2>&1 &',
        ),
        HOLD,
        scope,
    )
    systemd.run(
        "sh", "-c", f"for i in $(seq 600); do [ -d /sys/fs/cgroup{scope}/hold ] && break; sleep 0.2; done"
    )

    said = start(systemd, "")

    assert (said["base"], said["parent"], said["leaf"]) == (scope, f"{scope}/cgw", None)
    assert said["web"] == f"{scope}/cgw/web"
    assert said["advice"] == ""
    assert systemd.text(f"{scope}/hold/cgroup.procs")
    assert systemd.text("/system.slice/cgw.service/cgroup.subtree_control") == ""


DAEMON: Final = (
    "-m cgwarden serve --cgroup-parent=cgw --listen= --run-dir=/run/cgw --state-dir=/run/cgw-state"
    " --policy-dir=/run/cgw-policies"
)
ROOT_OF_BUSYBOX: Final = """
mkdir -p /run/cgw-policies; cd /run; mkdir -p root/bin root/proc root/dev root/sys root/tmp root/etc
cp "$(command -v busybox)" /run/root/bin/busybox
ln -s busybox /run/root/bin/sleep
"""


def cli(systemd: Systemd, *argv: str, check: bool = True) -> str:
    """A command of the command line, as somebody on that host types it."""
    host = "CGWARDEN_HOST=unix:///run/cgw/cgwarden.sock"
    program = ("env", host, f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", "cgwarden")
    return systemd.run(*program, *argv, check=check)


def test_the_daemon_as_a_delegated_service_starts_containers_in_its_unit_and_leaves_them_running(
    systemd: Systemd,
) -> None:
    unit, web = "/system.slice/cgw.service", "/system.slice/cgw.service/cgw/web"
    systemd.run("sh", "-ec", ROOT_OF_BUSYBOX)
    more = f"WorkingDirectory={REPOSITORY}\nStandardError=file:/run/cgw.log\nDelegate=yes"
    systemd.add("cgw.service", SERVICE.format(command=f"{sys.executable} {DAEMON}", more=more))
    systemd.run("systemctl", "start", "cgw.service")
    ready = "[ -S /run/cgw/cgwarden.sock ] && exit; sleep 0.2"
    wait = f"for i in $(seq 900); do {ready}; done; cat /run/cgw.log; exit 1"
    systemd.run("sh", "-c", wait)

    limits = ("--memory", "64M", "--pids-limit", "20")
    cli(systemd, "run", "-d", "--name", "web", "--rootfs", "/run/root", *limits, "--", "sleep", "1000")

    inspected = json.loads(cli(systemd, "inspect", "web", "--json"))
    assert inspected["cgroups"]["unified"] == f"/sys/fs/cgroup{web}"
    assert systemd.text(f"{web}/memory.max") == str(64 << 20)
    assert systemd.text(f"{web}/pids.max") == "20"
    inside = systemd.text(f"{web}/cgroup.procs")
    assert inside
    main_pid = systemd.run("systemctl", "show", "-P", "MainPID", "cgw.service").strip()
    assert systemd.run("cat", f"/proc/{main_pid}/cgroup").strip() == f"0::{unit}/daemon"

    systemd.run("systemctl", "stop", "cgw.service")

    assert systemd.run("systemctl", "show", "-P", "Result", "cgw.service").strip() == "success"
    assert systemd.run("systemctl", "is-active", "cgw.service", check=False).strip() == "inactive"
    assert systemd.text(f"{web}/cgroup.procs") == inside
