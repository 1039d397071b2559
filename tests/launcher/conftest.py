"""A launcher with directories and a cgroup parent of its own, and a second one that takes over from it."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cgroupfs import Hierarchies, Written
from launcher import Container, ContainerSpec, Launcher, LauncherEvent, Spawner
from launcher.network import NetworkConfig
from tests.launcher.hostile import Probe, make_probe
from tests.launcher.hosts import NetworkHost
from tests.leaks import Scope


class Place:
    """Where the launchers of one test live; any number of them may follow one another here."""

    def __init__(self, directory: Path, cgroup_parent: str) -> None:
        self.run_dir = directory / "run"
        self.state_dir = directory / "state"
        self.cgroup_parent = cgroup_parent
        self.hierarchies = Hierarchies.read()
        self.events: list[LauncherEvent] = []
        self.recorded: list[tuple[str, str, list[Written] | None]] = []
        self.spawner = Spawner.start()
        self.launchers: list[Launcher] = []
        self.network: NetworkConfig | None = None

    def launcher(self) -> Launcher:
        """A launcher as a new daemon would make it: what is here already is adopted."""
        launcher = Launcher(
            hierarchies=self.hierarchies,
            cgroup_parent=self.cgroup_parent,
            run_dir=str(self.run_dir),
            state_dir=str(self.state_dir),
            spawner=self.spawner,
            on_event=self.events.append,
            record_limits=lambda spec, written, phase: self.recorded.append(
                (spec.name, phase, None if written is None else list(written))
            ),
            network=self.network,
        )
        self.launchers.append(launcher)
        launcher.adopt()
        return launcher

    def renew_spawner(self) -> None:
        """For the launchers to come, where the test has closed the first."""
        self.spawner = Spawner.start()

    def state_of(self, name: str) -> Path:
        return self.state_dir / "containers" / name

    def cgroup_dirs(self, name: str) -> list[Path]:
        """The container's directories that exist now, in any hierarchy."""
        mounts = {place.mounted_at for place in self.hierarchies.places.values()}
        return [path for mount in sorted(mounts) if (path := Path(mount, self.cgroup_parent, name)).is_dir()]

    def remains(self, name: str) -> list[Path]:
        """Whatever there is of a container, anywhere."""
        places = (self.state_of(name), self.run_dir / "containers" / name)
        return [*(path for path in places if path.exists()), *self.cgroup_dirs(name)]

    def close(self) -> None:
        last = self.launchers[-1] if self.launchers else self.launcher()
        for container in last.containers():
            last.remove(container.name, force=True)
        for launcher in self.launchers:
            launcher.close()
        self.spawner.close()


@pytest.fixture
def place(short_dir: Path, cgroup_parent: str) -> Iterator[Place]:
    made = Place(short_dir, cgroup_parent)
    yield made
    made.close()


@pytest.fixture
def launcher(place: Place) -> Launcher:
    return place.launcher()


Run = Callable[..., Container]


@pytest.fixture
def run(launcher: Launcher, busybox_root: Path) -> Run:
    """Start `sh -c SCRIPT`, or a command, in a busybox root; the name is `t` unless another is given."""

    def start(script: str | list[str], **fields: object) -> Container:
        command = ["sh", "-c", script] if isinstance(script, str) else script
        wire = {
            "name": "t",
            "rootfs": str(busybox_root),
            "command": command,
            "stop_timeout_sec": 0.3,
        } | fields
        return launcher.run(ContainerSpec.from_wire(wire))

    return start


@pytest.fixture
def output(launcher: Launcher, run: Run) -> Callable[..., list[str]]:
    """Run a script to its end and give back its lines, errors included."""

    def read(script: str | list[str], **fields: object) -> list[str]:
        run(script, **fields)
        launcher.wait("t", 20)
        lines = [line.data.decode() for line in launcher.read_log("t")]
        launcher.remove("t")
        return lines

    return read


@pytest.fixture
def net_host() -> Iterator[NetworkHost]:
    made = NetworkHost()
    yield made
    made.close()


class NetPlace(Place):
    """Its containers are on the bridge."""

    def __init__(self, directory: Path, cgroup_parent: str, root: Path) -> None:
        super().__init__(directory, cgroup_parent)
        self.root = root
        self.network = NetworkConfig(prepared=1)

    def spec(self, name: str, script: str = "sleep 60", **fields: object) -> ContainerSpec:
        wire = {
            "name": name,
            "rootfs": str(self.root),
            "command": ["sh", "-c", script],
            "network": "bridge",
            "stop_timeout_sec": 0.3,
        }
        return ContainerSpec.from_wire(wire | fields)


@pytest.fixture
def net_places(
    net_host: NetworkHost, short_dir: Path, leak_scope: Scope, busybox_root: Path
) -> Iterator[Callable[[], NetPlace]]:
    """Daemons in the test's own host, whose network must be as it was when the last of them has closed."""
    made: list[NetPlace] = []

    def make() -> NetPlace:
        parent = f"cgwtest-{uuid.uuid4().hex[:8]}"
        leak_scope.parents.add(parent)
        directory = short_dir / str(len(made))
        directory.mkdir()
        made.append(NetPlace(directory, parent, busybox_root))
        return made[-1]

    yield make
    for place in made:
        place.close()
    assert net_host.remains() == []


@pytest.fixture
def net_place(net_places: Callable[[], NetPlace]) -> NetPlace:
    return net_places()


Bridged = Callable[..., tuple[Container, dict[str, Any]]]


@pytest.fixture
def bridged(run: Run, launcher: Launcher) -> Bridged:
    """Start a container on the bridge; what is told of its network comes with it."""

    def start(script: str = "sleep 60", **fields: object) -> tuple[Container, dict[str, Any]]:
        container = run(script, **({"network": "bridge"} | fields))
        told = launcher.network_of(container)
        assert told is not None
        return container, told

    return start


def eventually(look: Callable[[], bool], timeout_sec: float = 10.0) -> bool:
    """Polls a fact that the kernel or another process brings about in its own time."""
    deadline = time.monotonic() + timeout_sec
    while not look():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def whole_disk() -> str:
    """`major:minor` of one that every host has."""
    disks = (path for path in Path("/sys/dev/block").iterdir() if not (path / "partition").exists())
    return min(disk.name for disk in disks)


@pytest.fixture
def probe(launcher: Launcher, run: Run) -> Probe:
    """Attempts of a hostile program in a container of this machine's own root, and what came of each."""
    return make_probe(launcher, run)
