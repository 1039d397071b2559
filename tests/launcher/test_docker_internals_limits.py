"""The limits of the row "cgroups" as docker's flags, through the daemon."""

import pytest

from tests.cli.real import read_kernel, running
from tests.launcher.conftest import whole_disk

pytestmark = pytest.mark.kernel

MIB = 1 << 20


def test_cgroups_by_the_flags_of_run_and_limit() -> None:
    """Written through the daemon, read back from the kernel's own files."""
    disk = whole_disk()
    given = ("--pids-limit", "-1", "--cpu-quota", "-1", "--memory-swappiness", "-1", "--blkio-weight", "0")
    changed = ("--pids-limit", "20", "--memory", "48M", "--cpus", "0.5", "--device-read-bps", f"{disk}:2mb")
    with running() as daemon:
        daemon.run("t", "sleep", "60", flags=(*given, "--memory", "64M", "--device-read-bps", f"{disk}:1mb"))
        first = daemon.json("inspect", "t")
        assert read_kernel(first, "pids", "pids.max") == "max"
        assert read_kernel(first, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] in ("-1", "max")
        throttled = ("blkio", "blkio.throttle.read_bps_device", "io.max")
        assert str(MIB) in read_kernel(first, *throttled)

        done = daemon.cli("limit", "t", *changed)

        assert done.returncode == 0, done.stderr
        told = daemon.json("inspect", "t")
        assert read_kernel(told, "pids", "pids.max") == "20"
        assert read_kernel(told, "memory", "memory.limit_in_bytes", "memory.max") == str(48 * MIB)
        assert read_kernel(told, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
        assert str(2 * MIB) in read_kernel(told, *throttled)
