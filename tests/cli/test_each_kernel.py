"""The life of one container, from the command line to the kernel's files, on each kernel of the tests.

This machine's, and that of the guest, where the unified tree has all controllers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from cgroupfs.conversions import QUADRATIC
from tests.cli.real import Running, read_kernel, running, wait_for

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

MIB: Final = 1 << 20
FLAGS: Final = (
    *(
        "--memory",
        "64M",
        "--memory-swap",
        "96M",
        "--cpus",
        "0.5",
        "--pids-limit",
        "50",
        "--cpu-shares",
        "512",
    ),
    *("--cpuset-cpus", "1", "--cpuset-mems", "0", "--blkio-weight", "300"),
)
SCRIPT: Final = "cat </dev/null >/dev/full; echo full $?; echo done; exec sleep 1000"


@pytest.fixture
def daemon() -> Iterator[Running]:
    with running() as daemon:
        yield daemon


@pytest.fixture
def disk() -> str:
    """A whole disk that throttles work on."""
    for name in ("sda", "vda", "nvme0n1", "sdb"):
        device = Path("/sys/block", name, "dev")
        if device.exists():
            return device.read_text().strip()
    raise AssertionError(f"none of {os.listdir('/sys/block')} is a disk")


def test_a_container_on_this_kernel_from_the_command_line(
    daemon: Running, busybox_root: Path, disk: str
) -> None:
    flags = (*FLAGS, "--device-write-bps", f"{disk}:1mb")
    daemon.run("t", "sh", "-c", SCRIPT, flags=flags, rootfs=str(busybox_root))

    inspected = daemon.json("inspect", "t")
    assert kernel_limits(inspected, disk) == {
        "memory": 64 * MIB,
        "swap": 32 * MIB,
        "cpu": "50000 100000",
        "weight": QUADRATIC.to_weight(512) if is_v2(inspected) else 512,
        "pids": "50",
        "cpuset": ("1", "0"),
        "blkio": "300",
        "write_bps": str(MIB),
    }
    assert (
        weight_told(daemon) == ("cpu_weight", 59, "spec") if is_v2(inspected) else ("cpu_shares", 512, "spec")
    )

    wait_for(lambda: daemon.cli("logs", "t").stdout.endswith("done\n"), 120)
    assert daemon.cli("logs", "t").stdout.splitlines() == ["full 0", "done"]
    assert daemon.cli("exec", "t", "cat", "/dev/null").returncode == 0

    assert daemon.json("freeze", "t")["changed"] is True
    assert frozen(daemon.json("inspect", "t"))
    assert daemon.json("ps")[0]["state"] == "frozen"
    assert daemon.json("thaw", "t")["changed"] is True
    assert not frozen(daemon.json("inspect", "t"))

    assert (
        daemon.json("limit", "t", "--memory", "48M", "--memory-swap", "64M", "--cpus", "1")["changed"] is True
    )
    changed = kernel_limits(inspected, disk)
    assert (changed["memory"], changed["swap"], changed["cpu"]) == (48 * MIB, 16 * MIB, "100000 100000")
    daemon.json("limit", "t", "--cpu-shares", "2048")
    assert kernel_limits(inspected, disk)["weight"] == (
        QUADRATIC.to_weight(2048) if is_v2(inspected) else 2048
    )
    assert ("cpu_shares 2048 is cpu_weight" in daemon.cli("why", "t").stdout) == is_v2(inspected)
    assert daemon.json("limit", "t", "--cpu-shares", "2048")["changed"] is False
    assert daemon.json("limit", "t", "--reset")["changed"] is True
    assert kernel_limits(inspected, disk)["memory"] == 64 * MIB
    assert weight_told(daemon)[2] == "spec"

    wait_for(lambda: daemon.json("stats", "t")[0]["usage"], 120)
    assert daemon.json("stats", "t")[0]["usage"]["pids_current"] == 1

    assert daemon.cli("rm", "-f", "t").returncode == 0
    assert daemon.json("ps", "-a") == []
    assert not any(Path(directory).exists() for directory in inspected["cgroups"].values())


def test_a_device_is_opened_where_it_was_given_alone(daemon: Running, busybox_root: Path) -> None:
    """With the right to make any node, and no filter of calls, only the device rules are left to refuse."""
    able = ("--cap-add", "MKNOD", "--security-opt", "seccomp=unconfined")
    script = (
        "(mknod /dev/node b 7 0 && echo made; head -c 0 /dev/node; echo read $?; "
        "dd if=/dev/null of=/dev/node conv=notrunc 2>&1 | grep -o 'not permitted'; echo done) 2>&1; "
        "exec sleep 1000"
    )

    daemon.run("without", "sh", "-c", script, flags=able, rootfs=str(busybox_root))
    flags = (*able, "--device", "/dev/loop0:/dev/given:r")
    daemon.run("with", "sh", "-c", script, flags=flags, rootfs=str(busybox_root))

    refused = "head: /dev/node: Operation not permitted"
    assert finished(daemon, "without") == ["made", refused, "read 1", "not permitted"]
    assert finished(daemon, "with") == ["made", "read 0", "not permitted"]
    assert daemon.cli("exec", "with", "head", "-c", "0", "/dev/given").returncode == 0


def finished(daemon: Running, name: str) -> list[str]:
    """The lines of a container that says at last that it is done."""
    wait_for(lambda: daemon.cli("logs", name).stdout.endswith("done\n"), 120)
    lines: list[str] = daemon.cli("logs", name).stdout.splitlines()[:-1]
    return lines


def is_v2(inspected: Mapping[str, Any]) -> bool:
    return Path(inspected["cgroups"]["cpu"], "cpu.max").exists()


def kernel_limits(inspected: Mapping[str, Any], disk: str) -> dict[str, object]:
    """What the kernel's own files say, of whichever version."""
    memory = int(read_kernel(inspected, "memory", "memory.limit_in_bytes", "memory.max"))
    both = read_kernel(inspected, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max")
    if is_v2(inspected):
        cpu = read_kernel(inspected, "cpu", "cpu.max")
        write_bps = read_kernel(inspected, "blkio", "io.max").partition("wbps=")[2].split()[0]
    else:
        cpu = " ".join(read_kernel(inspected, "cpu", f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        write_bps = read_kernel(inspected, "blkio", "blkio.throttle.write_bps_device").removeprefix(
            f"{disk} "
        )
    return {
        "memory": memory,
        "swap": int(both) - (0 if is_v2(inspected) else memory),
        "cpu": cpu,
        "weight": int(read_kernel(inspected, "cpu", "cpu.shares", "cpu.weight")),
        "pids": read_kernel(inspected, "pids", "pids.max"),
        "cpuset": tuple(read_kernel(inspected, "cpuset", f"cpuset.{name}") for name in ("cpus", "mems")),
        "blkio": read_kernel(inspected, "blkio", "blkio.bfq.weight", "io.bfq.weight").removeprefix(
            "default "
        ),
        "write_bps": write_bps,
    }


def weight_told(daemon: Running) -> tuple[str, int, str]:
    """Which of the two fields has a value, that, and whose it is."""
    inspected = daemon.json("inspect", "t")
    told = [name for name in ("cpu_shares", "cpu_weight") if inspected["limits"][name] is not None]
    return told[0], inspected["limits"][told[0]], inspected["owners"].get(told[0])


def frozen(inspected: Mapping[str, Any]) -> bool:
    return "frozen 1" in read_kernel(inspected, "unified", "cgroup.events")
