"""How long create+start takes, ours beside `runc run -d`: same root, namespaces, limits and
seccomp profile, in turns.

``python -m bench launch`` goes through a daemon of its own, as users do: POST /api/v1/containers over the
unix socket. ``--alone`` drives the launcher in this process, ``--socket PATH`` a daemon that runs already.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench import supervisors
from bench.oci import seccomp_of_default
from bench.serving import serving
from launcher.network import netns

MEMORY_BYTES = 64 << 20
PIDS = 50
CPU_CORES = 0.5
COMMAND = ["/bin/sleep", "100"]
REST_SEC = 0.1


def make_root(where: Path) -> Path:
    """A small root: busybox, static, under the names that are used."""
    root = where / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy2("/bin/busybox", root / "bin/busybox")
    for name in ("sh", "sleep", "true", "cat"):
        (root / "bin" / name).symlink_to("busybox")
    return root


def spec_of(name: str, root: Path, network: str = "none") -> dict[str, Any]:
    limits = {"memory_max_bytes": MEMORY_BYTES, "pids_max": PIDS, "cpu_max_cores": CPU_CORES}
    return {"name": name, "rootfs": str(root), "command": COMMAND, "limits": limits, "network": network}


class Ours:
    """The launcher in this process, without daemon and journal."""

    label = "cgwarden (launcher alone)"

    def __init__(self, where: Path, root: Path, network: str = "none") -> None:
        from cgroupfs import Hierarchies
        from launcher import ContainerSpec, Launcher, Spawner

        self._spec = ContainerSpec
        self._root = root
        self._network = network
        self._spawner = Spawner.start()
        self._launcher = Launcher(
            hierarchies=Hierarchies.read(),
            cgroup_parent=f"cgwtest-{uuid4().hex[:8]}",
            run_dir=str(where / "run"),
            state_dir=str(where / "state"),
            spawner=self._spawner,
            on_event=lambda _event: None,
            record_limits=lambda _spec, _written, _phase: None,
        )

    def start(self, name: str) -> None:
        self._launcher.run(self._spec.from_wire(spec_of(name, self._root, self._network)))

    def remove(self, name: str) -> None:
        self._launcher.remove(name, force=True)

    def close(self) -> None:
        self._launcher.close()
        self._spawner.close()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


class Daemon:
    """The whole way: HTTP over the unix socket, validation, journal, launcher."""

    label = "cgwarden (through the daemon)"

    def __init__(self, path: str, root: Path, network: str = "none") -> None:
        self._path = path
        self._root = root
        self._network = network

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, expected: int) -> None:
        connection = UnixConnection(self._path)
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != expected:
                raise SystemExit(f"{method} {path}: {answer.status} {told.decode()}")

    def start(self, name: str) -> None:
        self._ask("POST", "/api/v1/containers", spec_of(name, self._root, self._network), 201)

    def remove(self, name: str) -> None:
        self._ask("DELETE", f"/api/v1/containers/{name}?force=true", None, 204)

    def close(self) -> None:
        return


class Runc:
    """`runc run -d` of a bundle with the same root, namespaces and limits."""

    label = "runc run -d"

    def __init__(self, where: Path, root: Path) -> None:
        self._state = str(where / "runc")
        self._parent = f"cgwtest-{uuid4().hex[:8]}"
        self._bundles = where / "bundles"
        self._seccomp = seccomp_of_default()
        self._root = root

    def prepare(self, name: str) -> None:
        """Not timed: podman or containerd would have written the bundle."""
        bundle = self._bundles / name
        bundle.mkdir(parents=True)
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        config = json.loads((bundle / "config.json").read_text())
        config["root"] = {"path": str(self._root), "readonly": False}
        config["process"] |= {"terminal": False, "args": COMMAND}
        kinds = ("pid", "network", "ipc", "uts", "mount", "cgroup")
        config["linux"]["namespaces"] = [{"type": kind} for kind in kinds]
        config["linux"]["seccomp"] = self._seccomp
        config["linux"]["cgroupsPath"] = f"/{self._parent}/{name}"
        config["linux"]["resources"] |= {
            "memory": {"limit": MEMORY_BYTES},
            "pids": {"limit": PIDS},
            "cpu": {"quota": int(CPU_CORES * 100_000), "period": 100_000},
        }
        (bundle / "config.json").write_text(json.dumps(config))

    def start(self, name: str) -> None:
        self.run(name)

    def run(self, name: str, *options: str) -> None:
        null = subprocess.DEVNULL
        bundle = ["--bundle", str(self._bundles / name)]
        argv = ["runc", "--root", self._state, "run", "-d", *options, *bundle, name]
        subprocess.run(argv, stdin=null, stdout=null, stderr=null, check=True)

    def remove(self, name: str) -> None:
        subprocess.run(["runc", "--root", self._state, "delete", "--force", name], check=True)

    def close(self) -> None:
        from cgroupfs import Hierarchies

        Hierarchies.read().remove(f"/{self._parent}")


def time_start(side: Ours | Daemon | Runc, name: str) -> float:
    """Milliseconds of one create+start; the container is removed again, untimed."""
    if isinstance(side, Runc):
        side.prepare(name)
    started = time.perf_counter()
    side.start(name)
    elapsed = (time.perf_counter() - started) * 1e3
    side.remove(name)
    # What either does in the background, a network that goes or is made ahead, is not charged to the other.
    time.sleep(REST_SEC)
    return elapsed


def percentile(values: Sequence[float], fraction: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * fraction))]


def measure(sides: Sequence[Ours | Daemon | Runc], count: int) -> dict[str, list[float]]:
    """In turns, so that whatever else the machine does meets both; the first round warms up and is not
    counted.
    """
    taken: dict[str, list[float]] = {side.label: [] for side in sides}
    for round_ in range(count + 1):
        for side in sides:
            elapsed = time_start(side, f"bench{round_}")
            if round_:
                taken[side.label].append(elapsed)
    return taken


def time_parallel(side: Ours | Daemon | Runc, count: int) -> float:
    """Seconds until `count` containers, asked for at once, all run."""
    names = [f"many{number}" for number in range(count)]
    if isinstance(side, Runc):
        for name in names:
            side.prepare(name)
    with ThreadPoolExecutor(count) as pool:
        started = time.perf_counter()
        list(pool.map(side.start, names))
        elapsed = time.perf_counter() - started
        list(pool.map(side.remove, names))
    return elapsed


def report(taken: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    figures = {
        label: {"p50_ms": statistics.median(values), "p95_ms": percentile(values, 0.95)}
        for label, values in taken.items()
    }
    for label, figure in figures.items():
        print(f"{label:32} p50 {figure['p50_ms']:6.1f} ms   p95 {figure['p95_ms']:6.1f} ms")
    ours, theirs = list(figures.values())
    print(
        f"{'ratio to runc':32} p50 {ours['p50_ms'] / theirs['p50_ms']:6.2f}"
        f"      p95 {ours['p95_ms'] / theirs['p95_ms']:6.2f}"
    )
    return figures


def _other_side(network: str) -> type[Runc]:
    from bench.bridge import RuncOnBridge

    return RuncOnBridge if network == "bridge" else Runc


@contextlib.contextmanager
def closing_all(sides: Sequence[Ours | Daemon | Runc]) -> Iterator[None]:
    try:
        yield
    finally:
        for side in sides:
            side.close()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench launch", description=__doc__.splitlines()[0])
    parser.add_argument("--socket", metavar="PATH", help="measure that daemon, not one of the bench's own")
    parser.add_argument("--alone", action="store_true", help="the launcher in this process, no daemon")
    parser.add_argument("--count", type=int, default=50, metavar="N", help="rounds (default: 50)")
    parser.add_argument(
        "--parallel", type=int, default=200, metavar="N", help="also start N at once on both sides; 0: do not"
    )
    parser.add_argument(
        "--network", choices=("none", "bridge"), default="none", help="bridge: runc gets it from `ip`"
    )
    options = parser.parse_args(argv)
    if options.network == "bridge":
        # Bridge, rules and links of both sides are in a namespace that ends with us.
        netns.enter(netns.make())
    with (
        tempfile.TemporaryDirectory(prefix="cgwb-", dir="/tmp") as directory,  # a short path
        contextlib.ExitStack() as running,
    ):
        where = Path(directory)
        root = make_root(where)
        if not options.alone and not options.socket:
            running.enter_context(serving(where))
            options.socket = str(where / "run/cgwarden.sock")
        network = options.network
        ours = Daemon(options.socket, root, network) if options.socket else Ours(where, root, network)
        sides = (ours, _other_side(network)(where, root))
        with closing_all(sides):
            report(measure(sides, options.count))
            if (where / "state").is_dir():
                supervisors.report(supervisors.measure(ours, where / "state"))
            if options.parallel:
                for side in sides:
                    print(
                        f"{side.label:32} {options.parallel} at once: "
                        f"{time_parallel(side, options.parallel):.2f} s"
                    )


if __name__ == "__main__":
    main()
