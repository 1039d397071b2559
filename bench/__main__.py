"""``python -m bench``: everything that docs/performance.md reports, in one run, as one report.

``python -m bench PART [ARGUMENT...]`` runs one part alone, with its own arguments: ``sweep``, ``launch``,
``bridge``, ``freeze``, or ``daemon``, which takes minutes with its thousand containers and is run with a
hundred otherwise.
"""

import importlib
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple


class Part(NamedTuple):
    """`always`: what its module is told each time; `short`: what more in the run of all parts."""

    title: str
    module: str
    always: tuple[str, ...] = ()
    short: tuple[str, ...] = ()


_PARTS: Final = {
    "sweep": Part("CPU per container and sweep, beside bare preads of the same files", "sweep"),
    "launch": Part("create+start through the daemon, beside `runc run -d` of the same root", "launch"),
    "bridge": Part(
        "the same on a bridge, beside runc and the `ip` commands that build one",
        "launch",
        ("--network", "bridge", "--parallel", "0"),
    ),
    "freeze": Part("the command `cgwarden freeze`, beside the start of its interpreter", "freeze"),
    "daemon": Part(
        "what a whole daemon costs while real containers run", "daemon", short=("100", "--seconds", "10")
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run each part, or the one that is named; the status is that of the worst one."""
    named, *rest = (sys.argv[1:] if argv is None else list(argv)) or ("",)
    if named and named not in _PARTS:
        print(f"bench: there is no part {named!r}; parts are {', '.join(_PARTS)}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("bench: needs root, since it makes cgroups and containers: sudo make bench", file=sys.stderr)
        return 5
    print(describe_machine())
    if named:
        return _run(named, rest)
    return max(_run(name, part.short) for name, part in _PARTS.items())


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


def _run(name: str, argv: Sequence[str]) -> int:
    part = _PARTS[name]
    print(f"\n== {name}: {part.title}", flush=True)
    started = time.monotonic()
    status: int | None = importlib.import_module(f"bench.{part.module}").main([*part.always, *argv])
    print(f"({time.monotonic() - started:.0f} s)", flush=True)
    return status or 0


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


if __name__ == "__main__":
    sys.exit(main())
