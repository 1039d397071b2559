"""What watching costs: CPU per container per sweep beside the floor, and memory, for 10 to 1,000 containers.

The floor is the same kept files by bare ``os.pread`` with no parsing, measured between our own sweeps in
the same run. Makes cgroups below a parent of its own and removes them, also on Ctrl-C. Run as root:
``python -m bench.sweep``.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.containers import Bench, Source, hired, listen_to_signals, made_containers, resident
from cgroupfs import Hierarchies, HotFiles, HotStats
from monitor import HOST_METRICS, METRICS, EventLog, Monitor, Usage

SIZES = (10, 100, 300, 1000)
TICKS = {10: 60, 100: 60}  # enough for every slow round to come round; larger sizes spread theirs anyway
TICKS_LARGE = 20
WORKERS = 10
FULL_TICKS = 900
READ_SIZE = 4096
NOTHING_READ = HotStats(None, None, None, None, None)
KIB, MIB = 1024, 1024 * 1024


class Cost(NamedTuple):
    """CPU microseconds per container."""

    floor: float  # bare pread of the kept files
    hot: float  # reading and parsing them
    tick: float  # hot and slow rounds, usage, history, and the host's own numbers
    sweep: float  # the part of the tick that is for the containers


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES), help="numbers of containers")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between ticks")
    options = parser.parse_args(argv)
    listen_to_signals()
    _raise_fd_limit()
    print(f"{os.cpu_count()} CPUs, Linux {os.uname().release}, Python {sys.version.split()[0]}")
    print(
        "CPU microseconds per container per sweep; floor: bare os.pread of the same files,"
        " core: of one, at one sweep a second"
    )
    print(
        f"{'containers':>10} {'load':<7}"
        + "".join(f"{title:>7}" for title in ("floor", "hot", "ratio", "sweep", "ratio", "tick"))
        + f"{'core':>8}{'fds':>7}{'RSS':>8}"
    )
    try:
        for size in sorted(options.sizes):
            measure(size, options.pause)
    except KeyboardInterrupt:
        return 130
    return 0


def measure(size: int, pause: float) -> None:
    """All three loads on `size` containers."""
    ticks = TICKS.get(size, TICKS_LARGE)
    with (
        resident() as pid,
        made_containers(size, pid) as containers,
        hired([container.cgroup for container in containers[:WORKERS]]) as workers,
        watching(containers) as monitor,
    ):
        for _ in range(3):  # opens and reads everything, then settles
            monitor.tick()
        _show(size, "idle", run(monitor, ticks, pause, _nothing), monitor)
        workers.start()
        _show(size, "busy", run(monitor, ticks, pause, _nothing), monitor)
        workers.stop()
        _show(size, "worst", run(monitor, ticks, pause, lambda: forget(monitor)), monitor)
        if size == max(SIZES):
            fill_history(monitor)
            history_kib = monitor.history.memory_bytes / size / KIB
            print(
                f"{size:>10} with 15 minutes of noise as history: {_rss_bytes() / MIB:.0f} MB RSS,"
                f" {history_kib:.0f} KiB of history per container"
            )


def run(monitor: Monitor, ticks: int, pause: float, before_each: Callable[[], None]) -> Cost:
    """Floor, hot files and whole tick in turn, so that all three see the same machine."""
    hot = hot_files(monitor)
    fds = [fd for files in hot for fd in kept_fds(files)]
    size = len(hot)
    calls: list[Callable[[], object]] = [
        lambda: read_bare(fds),
        lambda: [files.read() for files in hot],
        monitor.tick,
    ]
    spent = [0.0, 0.0, 0.0]
    swept = monitor.totals().cpu_sec
    for tick in range(ticks):
        for which in (tick % 3, (tick + 1) % 3, (tick + 2) % 3):  # whoever comes first has the coldest caches
            before_each()
            spent[which] += _cpu(calls[which])
        time.sleep(pause)
    swept = monitor.totals().cpu_sec - swept
    floor, hot_files_, tick_ = (seconds * 1e6 / ticks / size for seconds in spent)
    return Cost(floor, hot_files_, tick_, swept * 1e6 / ticks / size)


def read_bare(fds: list[int]) -> None:
    pread = os.pread
    for fd in fds:
        pread(fd, READ_SIZE, 0)


def hot_files(monitor: Monitor) -> list[HotFiles]:
    # The bench looks inside: the floor has to be measured on the very same descriptors.
    return [tracked._hot for tracked in monitor._sweep._tracked.values()]


def kept_fds(files: HotFiles) -> list[int]:
    return [file.fd for statistic in files._kept for file in statistic.kept]


def forget(monitor: Monitor) -> None:
    """As if every file of every container had changed since the last tick: every parser runs."""
    for tracked in monitor._sweep._tracked.values():
        for statistic in tracked._hot._kept:
            for file in statistic.kept:
                file.raw = b""
        tracked._hot_stats = tracked._hot_at_slow = NOTHING_READ
        tracked.usage = tracked.usage._replace(cpu_cores=random.random())


def fill_history(monitor: Monitor) -> None:
    """Fifteen minutes in which nothing stands still, written as the sweep would write it."""
    names = monitor.history.names()
    rows = [Usage._make(random.random() * _most(metric) for metric in METRICS) for _ in range(997)]
    host = [random.random()] * len(HOST_METRICS)
    for tick in range(FULL_TICKS):
        noisy = {name: rows[(tick * 31 + i * 7) % len(rows)] for i, name in enumerate(names)}
        monitor.history.append(time.monotonic(), time.time(), host, noisy)


def _most(metric: str) -> float:
    return 1.0 if metric.endswith("_fraction") else 1e9 if metric.endswith(("_bytes", "_per_sec")) else 8.0


@contextmanager
def watching(containers: tuple[Bench, ...]) -> Iterator[Monitor]:
    """A monitor of them, with all hot files kept."""
    events = EventLog(None)
    monitor = Monitor(
        source=Source(containers), hierarchies=Hierarchies.read(), events=events, max_fds=10 * len(containers)
    )
    try:
        yield monitor
    finally:
        monitor.close()
        events.close()


def _show(size: int, load: str, cost: Cost, monitor: Monitor) -> None:
    floor, hot, tick, sweep = cost
    core = tick * size / 1e6
    print(
        f"{size:>10} {load:<7}{floor:>7.1f}{hot:>7.1f}{hot / floor:>7.2f}"
        f"{sweep:>7.1f}{sweep / floor:>7.2f}{tick:>7.1f}"
        f"{core:>8.2%}{_open_fds():>7}{_rss_bytes() / MIB:>6.0f} M",
        flush=True,
    )


def _cpu(call: Callable[[], object]) -> float:
    start = time.process_time()  # of all threads: the monitor reads in one of its own
    call()
    return time.process_time() - start


def _open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _raise_fd_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _nothing() -> None:
    """No load but what runs by itself."""


if __name__ == "__main__":
    sys.exit(main())
