"""``python -m bench``: everything that docs/performance.md reports, in one run, as one report."""

import importlib
import os
import platform
import sys
import time
from pathlib import Path
from typing import Final

_PARTS: Final = (
    ("sweep", "CPU per container and sweep, beside bare preads of the same files"),
    ("launch", "create+start through the daemon, beside `runc run -d` of the same root"),
)


def main() -> int:
    """Run each part; the status is that of the worst one."""
    if os.geteuid() != 0:
        print("bench: needs root, since it makes cgroups and containers: sudo make bench", file=sys.stderr)
        return 5
    print(describe_machine())
    return max(_run(name, title) for name, title in _PARTS)


def describe_machine() -> str:
    """The kind of machine, as far as it decides the figures."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        "",
    )
    memory_kib = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    return (
        f"machine: {os.cpu_count()} x {cpu or platform.machine()}, {memory_kib / 2**20:.1f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )


def _run(name: str, title: str) -> int:
    print(f"\n== {name}: {title}", flush=True)
    started = time.monotonic()
    status: int | None = importlib.import_module(f"bench.{name}").main()
    print(f"({time.monotonic() - started:.0f} s)", flush=True)
    return status or 0


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


if __name__ == "__main__":
    sys.exit(main())
