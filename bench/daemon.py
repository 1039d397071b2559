"""What the whole daemon costs while it watches: CPU, and memory of each of its processes.

Starts a daemon of its own with real containers that sleep, waits until every round has come by once, and
then reads /proc from outside. Nobody asks the daemon for anything meanwhile. Ends it and removes all that it
made, also on Ctrl-C. Run as root: ``python -m bench daemon``.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from bench.containers import listen_to_signals
from bench.launch import Daemon, make_root, spec_of
from bench.serving import GUARDIAN, SPAWNER, children_of, serving, supervisors_of

MANY: Final = 1000
SETTLE_SEC: Final = 10.0
LAUNCHERS: Final = 4  # at once; more would only wait for each other
KIB: Final = 1024
TICKS_PER_SEC: Final = os.sysconf("SC_CLK_TCK")


class Sleepers(Daemon):
    """Containers that outlast any run of this."""

    def start(self, name: str) -> None:
        spec = spec_of(name, self._root) | {"command": ["/bin/sleep", "1000000"]}
        self._ask("POST", "/api/v1/containers", spec, 201)


class Memory(NamedTuple):
    """Of one process, in bytes."""

    rss: int
    pss: int  # shared pages in equal parts
    private: int


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench daemon", description=__doc__.splitlines()[0])
    parser.add_argument("count", nargs="?", type=int, default=MANY, help=f"containers (default: {MANY})")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to watch it (default: 60)")
    options = parser.parse_args(argv)
    listen_to_signals()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="cgwb-", dir="/tmp") as directory,  # a short path
            serving(Path(directory)) as process,
        ):
            measure(process, Path(directory), options.count, options.seconds)
    except KeyboardInterrupt:
        return 130
    return 0


def measure(process: subprocess.Popen[bytes], where: Path, count: int, seconds: float) -> None:
    """Launch, settle, watch, and say what was seen."""
    daemon = Sleepers(str(where / "run/cgwarden.sock"), make_root(where))
    started = time.monotonic()
    with ThreadPoolExecutor(LAUNCHERS) as pool:
        list(pool.map(daemon.start, (f"c{i}" for i in range(count))))
    took = time.monotonic() - started
    print(f"{count} containers launched in {took:.1f} s ({took * 1e3 / count:.1f} ms each)", flush=True)
    time.sleep(SETTLE_SEC)
    cpu_before, since = cpu_sec(process.pid), time.monotonic()
    time.sleep(seconds)
    spent, elapsed = cpu_sec(process.pid) - cpu_before, time.monotonic() - since
    print(
        f"{'daemon':<12}{spent / elapsed:>9.2%} of a core over {elapsed:.0f} s,"
        f" {len(os.listdir(f'/proc/{process.pid}/fd'))} descriptors"
    )
    for name, memory in (
        ("daemon", memory_of(process.pid)),
        ("spawner", mean_memory(children_of(process.pid, SPAWNER))),
        ("guardian", mean_memory(children_of(process.pid, GUARDIAN))),
        ("supervisor", mean_memory(supervisors_of(process.pid))),
    ):
        rss, pss, private = (size / KIB for size in memory)
        print(f"{name:<12}{rss:>9.0f} KiB RSS{pss:>9.0f} KiB PSS{private:>9.0f} KiB private")


def cpu_sec(pid: int) -> float:
    """CPU time of all threads so far, also of those that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SEC


def memory_of(pid: int) -> Memory:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kib = {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    return Memory(kib["Rss"] * KIB, kib["Pss"] * KIB, (kib["Private_Clean"] + kib["Private_Dirty"]) * KIB)


def mean_memory(pids: Sequence[int]) -> Memory:
    each = [memory_of(pid) for pid in pids]
    return Memory(*(sum(column) // len(each) for column in zip(*each, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
