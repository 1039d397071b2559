"""Fixtures that every part's tests share, the leak check after each test, and "skipped is failed" in CI."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from launcher import apparmor
from tests.leaks import MARK, Scope, detach_mounts, read_left, remove_unmounted, wait_for_no_leak

IN_CI = os.environ.get("CI") == "true"
_ON_THE_KERNEL = ("kernel", "browser")

# What only some kernels have; where it is missing, tests of it are left out, and the guest runs them.
FEATURES: dict[str, Callable[[], bool]] = {
    "apparmor": apparmor.is_enabled,
    "devmapper": lambda: "device-mapper" in Path("/proc/misc").read_text().split(),
    "no-devmapper": lambda: not FEATURES["devmapper"](),
}

# A busy machine must not make a test fail: no deadlines, and slow generation is no finding.
settings.register_profile("cgwarden", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cgwarden")

# Processes inherit it, so that one which outlives its parent can still be told to be ours.
os.environ.setdefault(MARK, uuid.uuid4().hex)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    has = {feature: look() for feature, look in FEATURES.items()}
    left_out = [
        item for item in items if not all(has[mark.args[0]] for mark in item.iter_markers("host_has"))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("kernel") is not None and os.geteuid() != 0:
        pytest.skip("needs root: sudo make test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        _fail_instead(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        _fail_instead(report)
    return report


def _fail_instead(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI every prerequisite is set up, so whatever skips has hidden a failure."""
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"skipped in CI, where nothing may be missing: {why}"


@pytest.fixture(scope="session")
def leak_scope(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scope]:
    """What the leak check counts; CGWARDEN_LEAKS=all counts the whole machine as CI does."""
    everything = IN_CI or os.environ.get("CGWARDEN_LEAKS") == "all"
    scope = Scope(everything=everything, directories={str(tmp_path_factory.getbasetemp())})
    yield scope
    detach_mounts(scope.directories)


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test on the real kernel: no cgroup, mount, namespace, link or process more than before."""
    if not any(request.node.get_closest_marker(name) for name in _ON_THE_KERNEL):
        yield
        return
    scope: Scope = request.getfixturevalue("leak_scope")
    before = read_left(scope)
    yield
    if left := wait_for_no_leak(before, scope):
        pytest.fail("left behind by this test:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_at_the_end(leak_scope: Scope) -> Iterator[None]:
    """The same for what fixtures of a wider scope started."""
    before = read_left(leak_scope)
    yield
    if left := wait_for_no_leak(before, leak_scope):
        pytest.fail("left behind by this run:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture
def cgroup_parent(leak_scope: Scope) -> str:
    """A name for a cgroup parent that nobody else uses; the leak check asks that it is gone afterwards."""
    name = f"cgwtest-{uuid.uuid4().hex[:8]}"
    leak_scope.parents.add(name)
    return name


@pytest.fixture
def short_dir(leak_scope: Scope) -> Iterator[Path]:
    """A directory whose path leaves room for the name of a unix socket (108 bytes in all)."""
    # In the guest /tmp is an overlay already, and a container's would not go on top of it.
    short = "/run/tmp" if os.environ.get("CGWARDEN_IN_GUEST") == "1" else "/tmp"
    path = Path(tempfile.mkdtemp(prefix="cgw-", dir=short))
    leak_scope.directories.add(str(path))
    yield path
    remove_unmounted(path)


@pytest.fixture(scope="session")
def busybox_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest root directory that runs a shell: one static program under its many names."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox: apt-get install busybox-static, or make test")
    root = tmp_path_factory.mktemp("busybox")
    for name in ("bin", "etc", "proc", "dev", "sys", "tmp", "root", "var"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "etc" / "passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    )
    (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    shutil.copy(busybox, root / "bin" / "busybox")
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for name in set(names) - {"busybox"}:
        (root / "bin" / name).symlink_to("busybox")
    return root
