"""Packet marks from the command line to the kernel's files, mounted by the daemon and gone after it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cgroupfs import net_mount
from cgwarden.net_hierarchy import PLACE
from tests.cli.real import START_SEC, Running, running

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

MOUNT_NET: Final = "[cgroups]\nmount_net = true\n"
ADVICE: Final = "`[cgroups] mount_net = true`"


@pytest.fixture
def inside() -> Iterator[tuple[str, ...]]:
    """Words that run a program in a mount namespace where mounts are no matter of the host's."""
    offered = net_mount.read_available()
    assert offered == ("net_cls", "net_prio"), f"another has mounted them meanwhile: {offered}"
    holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo ready; read x"], stdin=-1, stdout=-1)
    assert holder.stdout is not None
    holder.stdout.readline()
    yield "nsenter", "--mount", f"--target={holder.pid}", "--wd=."
    holder.communicate()
    deadline = time.monotonic() + 10
    while net_mount.read_available() != offered:
        assert time.monotonic() < deadline, "the hierarchy is alive"
        time.sleep(0.05)


def seen(daemon: Running, file: str) -> str:
    """A file of the mount, as the daemon sees it."""
    return Path(f"/proc/{daemon.process.pid}/root{daemon.directory}/run/{PLACE}/{file}").read_text()


def is_mounted(daemon: Running, pid: int) -> bool:
    return f" {daemon.directory}/run/" in Path(f"/proc/{pid}/mountinfo").read_text()


def end(daemon: Running) -> str:
    """Stop it; all that it has logged."""
    daemon.process.terminate()
    assert daemon.process.wait(START_SEC) == 0
    return (daemon.directory / "log").read_text()


def test_marks_work_where_the_daemon_mounts_them_and_the_mount_ends_with_it(
    inside: tuple[str, ...], busybox_root: Path
) -> None:
    with running(*inside, settings=MOUNT_NET) as daemon:
        holder = int(inside[2].removeprefix("--target="))
        group = f"{daemon.parent}/t"
        flags = ("--net-classid", "1048577", "--net-prio", "lo:5")
        daemon.run("t", "sleep", "1000", flags=flags, rootfs=str(busybox_root))
        assert seen(daemon, f"{group}/net_cls.classid") == "1048577\n"
        assert "lo 5\n" in seen(daemon, f"{group}/net_prio.ifpriomap")
        assert seen(daemon, f"{group}/cgroup.procs")
        assert daemon.json("inspect", "t")["limits"]["net_classid"] == 1048577
        assert daemon.json("limit", "t", "--net-classid", "7")["changed"] is True
        assert seen(daemon, f"{group}/net_cls.classid") == "7\n"
        checks = {check["name"]: check for check in daemon.json("doctor")["checks"]}
        assert checks["net_cls"]["detail"].startswith(f"v1 at {daemon.directory}/run/{PLACE}")

        # With a container in it the mount stays, and the next daemon, which was not told to mount, ends it.
        assert f"run/{PLACE} stays mounted: there are groups left in it" in end(daemon)
        assert is_mounted(daemon, holder)
        (daemon.directory / "cgwarden.toml").write_text("")
        daemon.start_again()
        assert daemon.json("inspect", "t")["limits"]["net_classid"] == 7
        assert daemon.cli("rm", "-f", "t").returncode == 0
        assert end(daemon).count("stays mounted") == 1
        assert not is_mounted(daemon, holder)
        assert not (daemon.directory / "run" / PLACE).exists()


def test_what_a_killed_daemon_mounted_is_the_next_ones(inside: tuple[str, ...], busybox_root: Path) -> None:
    with running(*inside, settings=MOUNT_NET) as daemon:
        daemon.process.kill()
        daemon.process.wait()
        daemon.start_again()
        daemon.run("t", "sleep", "1000", flags=("--net-classid", "9"), rootfs=str(busybox_root))
        assert seen(daemon, f"{daemon.parent}/t/net_cls.classid") == "9\n"
        assert daemon.cli("rm", "-f", "t").returncode == 0
        assert "stays mounted" not in end(daemon)


def test_without_the_switch_the_refusal_and_doctor_say_what_to_do(busybox_root: Path) -> None:
    with running() as daemon:
        refused = daemon.cli("run", "--rootfs", str(busybox_root), "--net-classid", "5", "--", "true")
        assert refused.returncode == 125
        assert "nobody has mounted it on this host" in refused.stderr
        assert ADVICE in refused.stderr
        assert daemon.json("ps", "-a") == []
        daemon.run("t", "sleep", "1000", rootfs=str(busybox_root))
        refused = daemon.cli("limit", "t", "--net-prio", "lo:5")
        assert refused.returncode == 1
        assert ADVICE in refused.stderr
        checks = {check["name"]: check for check in daemon.json("doctor")["checks"]}
        assert all(ADVICE in checks[name]["advice"] for name in ("net_cls", "net_prio"))
