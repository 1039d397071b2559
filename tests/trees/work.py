"""One container at work, the same on every kernel: the captured trees show it, the real one is held to it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Final

from cgroupfs import Cgroup, Hierarchies

MIB: Final = 1 << 20
LIMITS: Final = {"memory_max_bytes": 256 * MIB, "cpu_max_cores": 0.5, "pids_max": 50}
SHARED_BYTES: Final = 8 * MIB
WRITTEN_BYTES: Final = 4 * MIB
CPU_USEC: Final = 1_000_000
SPINNERS: Final = 8
_CODE: Final = (
    "import mmap, os, time\n"
    "for fd in {fds}: os.write(fd, b'0'); os.close(fd)\n"
    f"held = mmap.mmap(-1, {SHARED_BYTES}); held.write(b'x' * {SHARED_BYTES})\n"
    # Past the page cache: what the kernel writes back later, v1 charges to nobody.
    "fd = os.open('/var/tmp', os.O_TMPFILE | os.O_RDWR | os.O_DIRECT)\n"
    f"os.write(fd, memoryview(held)[:{WRITTEN_BYTES}]); os.fsync(fd)\n"
    # Several at once, so that a busy machine cannot keep them below the quota.
    f"for _ in range({SPINNERS}):\n"
    "    if not os.fork():\n"
    f"        while time.process_time() < {CPU_USEC / 1e6 / SPINNERS}: pass\n"
    "        os._exit(0)\n"
    f"for _ in range({SPINNERS}): os.wait()\n"
    "print('ready', flush=True)\n"
    "input()\n"
)
# The kernel folds its memory statistics together every two seconds, and when enough has changed.
_SETTLED_SEC: Final = 10.0
_POLL_SEC: Final = 0.05


@contextlib.contextmanager
def container_at_work(hierarchies: Hierarchies) -> Iterator[Cgroup]:
    """A cgroup with one process that has used memory, a disk and more CPU time than it may at once."""
    parent = f"/cgwtest-{uuid.uuid4().hex[:8]}"
    cgroup = hierarchies.create(f"{parent}/web")
    try:
        cgroup.apply(cgroup.plan_limits(LIMITS))
        with _worker(cgroup):
            _wait_until_settled(cgroup)
            yield cgroup
    finally:
        hierarchies.remove(parent)


@contextlib.contextmanager
def _worker(cgroup: Cgroup) -> Iterator[None]:
    fds = cgroup.entry_fds()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CODE.format(fds=fds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=fds,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", process.communicate()
        yield
    finally:
        process.kill()
        process.communicate()


def _wait_until_settled(cgroup: Cgroup) -> None:
    deadline = time.monotonic() + _SETTLED_SEC
    while time.monotonic() < deadline:
        memory = cgroup.hot(keep=False).read().memory
        if memory is not None and (memory.shmem_bytes or 0) >= SHARED_BYTES:
            return
        time.sleep(_POLL_SEC)
    raise AssertionError(f"memory never showed the {SHARED_BYTES} bytes that were taken: {memory}")
