"""Capture one working container's cgroup from this kernel: `python -m tests.trees.capture NAME`, as root."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from cgroupfs import Cgroup, Hierarchies
from tests.trees import HERE, pack

WORK = (
    "import mmap,os,time\n"
    "held = mmap.mmap(-1, 8 << 20); held.write(b'x' * (8 << 20))\n"
    "fd = os.open('/var/tmp', os.O_TMPFILE | os.O_RDWR)\n"
    "os.write(fd, b'x' * (4 << 20)); os.fsync(fd)\n"
    "end = time.process_time() + 1\n"
    "while time.process_time() < end: pass\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n"
)
LEFT_OUT = ("memory.kmem.slabinfo", "memory.shown_ram_in_bytes")
BLOCK_SIZE = 65536


def main(name: str) -> None:
    """Run some work under limits and write ``tests/trees/NAME.txt``."""
    hierarchies = Hierarchies.read()
    parent = f"/cgwtest-{uuid.uuid4().hex[:8]}"
    cgroup = hierarchies.create(f"{parent}/web")
    worker: subprocess.Popen[bytes] | None = None
    try:
        cgroup.apply(
            cgroup.plan_limits({"memory_max_bytes": 256 << 20, "cpu_max_cores": 0.5, "pids_max": 50})
        )
        worker = subprocess.Popen(
            [sys.executable, "-c", WORK], stdout=subprocess.PIPE, preexec_fn=_enter(cgroup)
        )
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(2.5)  # the kernel folds memory statistics together every two seconds
        files = _read_tree(cgroup, parent) | _read_proc()
        remark = f"Linux {os.uname().release.split('-')[0]}, hybrid: v1 controllers beside a unified tree.\n"
        (HERE / f"{name}.txt").write_text(remark + pack(files))
    finally:
        if worker is not None:
            worker.kill()
            worker.communicate()
        hierarchies.remove(parent)


def _enter(cgroup: Cgroup):  # type: ignore[no-untyped-def]
    fds = cgroup.entry_fds()

    def enter() -> None:
        for fd in fds:
            os.write(fd, b"0")
            os.close(fd)

    return enter


def _read_tree(cgroup: Cgroup, parent: str) -> dict[str, str]:
    files = {}
    for directory in sorted(set(cgroup.paths().values())):
        for file in sorted(Path(directory).iterdir()):
            if file.name in LEFT_OUT or not file.stat().st_mode & 0o444:
                continue
            with contextlib.suppress(OSError):  # files that are there to be written, or polled, alone
                files[str(file).lstrip("/").replace(parent, "/cgwarden")] = file.read_text()
        above = Path(directory).parent
        for file in (above / "cpuset.cpus", above / "cpuset.mems", above / "cgroup.procs"):
            if file.exists():
                files[str(file).lstrip("/").replace(parent, "/cgwarden")] = file.read_text()
        files[f"{str(above.parent).lstrip('/')}/cgroup.procs"] = ""
    return files


def _read_proc() -> dict[str, str]:
    mounts = Path("/proc/self/mountinfo").read_text().splitlines(keepends=True)
    return {
        "proc/self/mountinfo": "".join(line for line in mounts if " - cgroup" in line),
        "proc/cgroups": Path("/proc/cgroups").read_text(),
        "sys/fs/cgroup/unified/cgroup.controllers": Path(
            "/sys/fs/cgroup/unified/cgroup.controllers"
        ).read_text(),
        "sys/devices/system/cpu/possible": Path("/sys/devices/system/cpu/possible").read_text(),
        "sys/devices/system/cpu/online": Path("/sys/devices/system/cpu/online").read_text(),
        "sys/devices/system/node/online": Path("/sys/devices/system/node/online").read_text(),
    }


if __name__ == "__main__":
    main(sys.argv[1])
