"""The root drivers on the rows of the talk's table: provisioning, small and large changes, diffing, memory.

``python -m bench.rootfs [--driver NAME …] [--dir DIR]`` makes a layer of 3,000 files and 104 MB, gives it
to each driver through the launcher's own code, and prints medians. Mounts are made in a namespace of this
process and end with it; btrfs gets a file system in a file. ``--json FILE`` writes the figures too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from launcher import syscalls
from launcher.rootfs.mounting import MountRoot, open_media
from launcher.rootfs.roots import DRIVERS, Roots
from launcher.rootfs.source import RootSource
from launcher.scene.operations import Scene
from launcher.spec import ContainerSpec

SMALL_BYTES: Final = 14_000
FULL: Final = (3000, 64 << 20, 20)
QUICK: Final = (100, 4 << 20, 2)
"""Files, bytes of the largest, rounds of provisioning; the quick one only shows that each row works."""
READERS: Final = 3
MIB: Final = 1 << 20
MS_PRIVATE: Final = 1 << 18
BTRFS_BYTES: Final = 4 << 30


def make_layer(state: Path, files: int, large_bytes: int) -> str:
    """3,000 files and 104 MB in full: one of 64 MB, the rest small, thirty to a directory."""
    tree = state / "layers" / ("1" * 64) / "tree"
    piece = os.urandom(1 << 20)
    for number in range(files - 1):
        directory = tree / f"dir{number // 30}"
        directory.mkdir(parents=True, exist_ok=True)
        start = number % 1000
        (directory / f"file{number}").write_bytes(piece[start : start + SMALL_BYTES])
    with open(tree / "large", "wb") as file:
        for _ in range(large_bytes // len(piece)):
            file.write(piece)
    os.sync()
    return str(tree)


class Containers:
    """Roots of one driver, mounted as containers have them."""

    def __init__(self, state: Path, driver: str, layer: str) -> None:
        self._state, self._driver, self._layers = state, driver, (layer,)
        self.roots = Roots(str(state), driver)

    def why_not(self) -> str | None:
        return self.roots.why_not(self._driver)

    def spec(self, name: str) -> ContainerSpec:
        return ContainerSpec(name=name, image="bench", driver=self._driver)

    def make(self, name: str) -> tuple[RootSource, float]:
        """What was prepared, and the milliseconds it took."""
        os.makedirs(self._state / "containers" / name / "root")
        began = time.perf_counter()
        source = self.roots.prepare(self.spec(name), self._layers)
        return source, (time.perf_counter() - began) * 1e3

    def mount(self, name: str, source: RootSource) -> Path:
        directory = self._state / "containers" / name
        media = open_media(source)
        scene = Scene([], {})
        MountRoot(source, str(directory), media).execute(scene)
        os.close(scene.root_fd)
        return directory / "root"

    def remove(self, name: str, *, mounted: bool) -> None:
        directory = self._state / "containers" / name
        if mounted:
            syscalls.umount_detach(os.fsencode(directory / "root"))
        self.roots.remove(name)
        shutil.rmtree(directory)


def measure(containers: Containers, state: Path, rounds: int) -> dict[str, Any]:
    """One column of the table."""
    figures: dict[str, Any] = {}
    containers.make("first")  # whatever is made once for a chain of layers is there afterwards
    times = []
    for number in range(rounds):
        times.append(containers.make(f"p{number}")[1])
        containers.remove(f"p{number}", mounted=False)
    figures["provisioning_ms"] = statistics.median(times)
    root = containers.mount("changed", containers.make("changed")[0])
    figures["small_first_ms"] = change(root / "dir1" / "file30")
    figures["small_again_ms"] = change(root / "dir1" / "file30")
    free = _free(state)
    figures["large_ms"] = change(root / "large")
    os.sync()
    figures["large_bytes"] = free - _free(state)
    figures["diff_ms"] = statistics.median(_timed(containers, "changed") for _ in range(5))
    containers.remove("changed", mounted=True)
    figures["memory_bytes"] = statistics.median(measure_memory(containers) for _ in range(3))
    containers.remove("first", mounted=False)
    return figures


def change(path: Path) -> float:
    """Milliseconds to open a file and write one byte into it."""
    began = time.perf_counter()
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, b"!", 0)
    took = (time.perf_counter() - began) * 1e3
    os.close(fd)
    return took


def _timed(containers: Containers, name: str) -> float:
    began = time.perf_counter()
    found = containers.roots.diff(containers.spec(name))
    took = (time.perf_counter() - began) * 1e3
    assert [change.path for change in found] == ["/dir1", "/dir1/file30", "/large"], found
    return took


def _free(state: Path) -> int:
    """Free bytes of the file system that the driver writes to."""
    place = state / "btrfs" if (state / "btrfs").is_dir() else state
    found = os.statvfs(place)
    return found.f_bfree * found.f_frsize


def measure_memory(containers: Containers) -> int:
    """Page cache after three containers have read the same 64 MB."""
    names = [f"reader{number}" for number in range(READERS)]
    roots = [containers.mount(name, containers.make(name)[0]) for name in names]
    os.sync()
    for root in roots:
        _forget(root / "large")
    before = _cached()
    for root in roots:
        with open(root / "large", "rb", buffering=0) as file:
            while file.read(MIB):
                continue
    used = _cached() - before
    for name in names:
        containers.remove(name, mounted=True)
    return used


def _forget(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def _cached() -> int:
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("Cached:"))
    return int(line.split()[1]) * 1024


@contextlib.contextmanager
def place_for(driver: str, top: Path) -> Iterator[Path]:
    """A state directory; for btrfs with such a file system in it."""
    state = top / driver
    (state / "containers").mkdir(parents=True)
    if driver != "btrfs" or shutil.which("mkfs.btrfs") is None:
        yield state
        return
    image = top / "btrfs.img"
    with open(image, "wb") as file:
        file.truncate(BTRFS_BYTES)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, stdout=subprocess.DEVNULL)
    (state / "btrfs").mkdir()
    subprocess.run(["mount", "-o", "loop,noatime", image, state / "btrfs"], check=True)
    yield state
    subprocess.run(["umount", state / "btrfs"], check=True)
    os.unlink(image)


ROWS: Final[tuple[tuple[str, Callable[[dict[str, Any]], str]], ...]] = (
    ("Provisioning (ms)", lambda f: f"{f['provisioning_ms']:.2f}"),
    ("Small file: 1 byte, first time (ms)", lambda f: f"{f['small_first_ms']:.3f}"),
    ("Small file: 1 byte, second time (ms)", lambda f: f"{f['small_again_ms']:.3f}"),
    ("Large file: 1 byte (ms)", lambda f: f"{f['large_ms']:.2f}"),
    ("Large file: space for that (MB)", lambda f: f"{f['large_bytes'] / MIB:.2f}"),
    ("Diffing, 2 changes (ms)", lambda f: f"{f['diff_ms']:.2f}"),
    ("Memory: page cache of 3 readers of the large file (MB)", lambda f: f"{f['memory_bytes'] / MIB:.0f}"),
)


def table(columns: dict[str, dict[str, Any]]) -> str:
    """As Markdown; a driver that cannot work here says why below."""
    works = {name: found for name, found in columns.items() if "why_not" not in found}
    lines = ["| | " + " | ".join(works) + " |", "|---" * (len(works) + 1) + "|"]
    lines += [f"| {label} | " + " | ".join(cell(f) for f in works.values()) + " |" for label, cell in ROWS]
    lines += [f"{name}: not on this host: {f['why_not']}" for name, f in columns.items() if name not in works]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rootfs", description=__doc__)
    parser.add_argument("--driver", action="append", choices=DRIVERS)
    parser.add_argument("--dir", default="/var/tmp", help="a directory on a disk")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--small", action="store_true", help="small files, few rounds: figures mean nothing")
    options = parser.parse_args()
    size = QUICK if options.small else FULL
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.set_propagation(b"/", syscalls.MS_REC | MS_PRIVATE)
    columns: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="cgwarden-bench-", dir=options.dir) as top:
        for driver in options.driver or DRIVERS:
            with place_for(driver, Path(top)) as state:
                containers = Containers(state, driver, make_layer(state, *size[:2]))
                why = containers.why_not()
                columns[driver] = {"why_not": why} if why else measure(containers, state, size[2])
            shutil.rmtree(Path(top) / driver)
    print(
        f"a layer of {size[0]} files, the largest {size[1] // MIB} MB; medians of {size[2]} for provisioning"
    )
    print(table(columns))
    if options.json:
        Path(options.json).write_text(json.dumps(columns, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
