"""How long the command `cgwarden freeze` takes, thaw in turns with it, beside `python -I -c pass`.

From the start of the command to its end: the interpreter, the request, the durable entry in the journal
(the state directory is on a disk), the kernel's freeze, the answer. The floor is the start of the same
interpreter.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.launch import Daemon, make_root, percentile
from bench.serving import serving

NAME: Final = "still"
TARGET: Final = 2.0


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench freeze", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, metavar="N", help="rounds (default: 100)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="cgwb-", dir="/tmp") as directory:  # a short path
        where = Path(directory)
        root = make_root(where)
        with serving(where):
            daemon = Daemon(str(where / "run/cgwarden.sock"), root)
            daemon.start(NAME)
            report(measure(where, options.count))
            daemon.remove(NAME)


def measure(where: Path, count: int) -> dict[str, list[float]]:
    """Milliseconds, in turns; the first round warms up and is not counted."""
    cgwarden = str(Path(sys.executable).parent / "cgwarden")
    commands = {
        "cgwarden freeze": [cgwarden, "freeze", NAME],
        "cgwarden thaw": [cgwarden, "thaw", NAME],
        "python -I -c pass": [sys.executable, "-I", "-c", "pass"],
    }
    environment = os.environ | {"CGWARDEN_HOST": f"unix://{where}/run/cgwarden.sock"}
    taken: dict[str, list[float]] = {label: [] for label in commands}
    for round_ in range(count + 1):
        for label, command in commands.items():
            elapsed = time_command(command, environment)
            if round_:
                taken[label].append(elapsed)
    return taken


def time_command(command: Sequence[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1e3


def report(taken: dict[str, list[float]]) -> None:
    floor = taken["python -I -c pass"]
    for label, values in taken.items():
        p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
        ratios = f"{p50 / percentile(floor, 0.5):.2f}, {p95 / percentile(floor, 0.95):.2f} of the floor"
        print(f"{label:32} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms   {ratios}")
    print(f"{'target':32} {TARGET:g} of the floor")


if __name__ == "__main__":
    main()
