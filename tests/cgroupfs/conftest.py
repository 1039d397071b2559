"""Trees for the tests of this layer: literals on a plain directory, a captured kernel, and the real one."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from cgroupfs import Cgroup, ControlDir, Hierarchies
from tests import trees
from tests.cgroupfs.hosts import REAL, leave_out, parametrize_by_tree, report_left_out
from tests.trees.work import container_at_work


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize_by_tree(metafunc)


# Last, so that what nobody has asked for is not counted as left out.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out(config, items)


def pytest_report_collectionfinish(config: pytest.Config) -> str | None:
    return report_left_out(config)


class Tree:
    """Cgroup directories made of literals."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, directories: Mapping[str, Mapping[str, str]]) -> dict[str, ControlDir]:
        """One directory per controller with the given files."""
        for controller, files in directories.items():
            directory = self.root / controller
            directory.mkdir(parents=True)
            for name, text in ({"cgroup.procs": ""} | dict(files)).items():
                (directory / name).write_text(text)
        return {controller: ControlDir.open(str(self.root / controller)) for controller in directories}

    def text(self, path: str) -> str:
        return (self.root / path).read_text()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def captured(tmp_path: Path, request: pytest.FixtureRequest) -> Hierarchies:
    """A container at work on each captured kernel, as plain files: writes refuse nothing."""
    trees.unpack(request.param, tmp_path)
    return Hierarchies.read(str(tmp_path))


@pytest.fixture
def web(captured: Hierarchies) -> Cgroup:
    return captured.cgroup("/cgwarden/web")


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Cgroup]:
    """The same container at work, on each captured tree and on the real kernel: for reading alone."""
    if request.param == REAL:
        with container_at_work(Hierarchies.read()) as cgroup:
            yield cgroup
    else:
        root = tmp_path_factory.mktemp(request.param)
        trees.unpack(request.param, root)
        yield Hierarchies.read(str(root)).cgroup("/cgwarden/web")


@pytest.fixture(scope="session")
def hierarchies() -> Hierarchies:
    """The real kernel's."""
    return Hierarchies.read()


@pytest.fixture
def parent(hierarchies: Hierarchies) -> Iterator[str]:
    """A path of this test alone; all below it is gone afterwards."""
    path = f"/cgwtest-{uuid.uuid4().hex[:8]}"
    yield path
    hierarchies.remove(path)


@pytest.fixture
def real(hierarchies: Hierarchies, parent: str) -> Cgroup:
    """A new, empty cgroup of the real kernel."""
    return hierarchies.create(f"{parent}/web")


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start `python -c CODE` inside a cgroup and wait for its line "ready"; killed and reaped afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start_in(
        cgroup: Cgroup, code: str = "print('ready', flush=True); input()"
    ) -> subprocess.Popen[bytes]:
        fds = cgroup.entry_fds()
        enter = f"import os\nfor fd in {fds}: os.write(fd, b'0'); os.close(fd)\n"
        process = subprocess.Popen(
            # Without site packages: a start is most of what a test costs where the kernel is emulated.
            [sys.executable, "-I", "-S", "-c", enter + code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=fds,
        )
        started.append(process)
        for fd in fds:
            os.close(fd)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", process.stderr and process.stderr.read()
        return process

    yield start_in
    for process in started:
        process.kill()
        process.communicate()
