"""The rights that the chart asks for suffice, shown by a daemon that has these and no others."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.charts.conftest import Render, Rendered
from tests.charts.pod import Pod
from tests.leaks import Scope

pytestmark = pytest.mark.kernel

Cli = Callable[..., str]
PROGRAM = [sys.executable, "-m", "cgwarden"]
_DEADLINE_SEC = 20.0


@pytest.fixture
def without() -> str:
    """A capability to leave out; a test that wants that is parametrized with this name."""
    return ""


@pytest.fixture
def rendered(
    render: Render, cgroup_parent: str, short_dir: Path, busybox_root: Path, without: str
) -> Rendered:
    """A release whose directories on the node are this test's."""
    for name in ("state", "run"):
        (short_dir / name).mkdir()
    rendered = render(
        f"config.cgroupParent={cgroup_parent}",
        f"host.stateDir={short_dir}/state",
        f"host.runDir={short_dir}/run",
        f"host.rootDirectories={{{busybox_root}}}",
    )
    granted = rendered.container["securityContext"]["capabilities"]["add"]
    granted[:] = [name for name in granted if name != without]
    return rendered


@pytest.fixture
def pod(rendered: Rendered, cgroup_parent: str, short_dir: Path, leak_scope: Scope) -> Iterator[Pod]:
    """The pod, made and not started; its containers live below `cgroup_parent`."""
    if shutil.which("runc") is None:
        pytest.skip("no runc: apt-get install runc, or make test")
    name = f"{cgroup_parent}-pod"
    leak_scope.parents.add(name)
    bundle = short_dir / "pod"
    bundle.mkdir()
    pod = Pod(rendered, bundle, name=name, command=PROGRAM)
    yield pod
    if pod.started:
        pod.stop("KILL")


@pytest.fixture
def cli(short_dir: Path, pod: Pod) -> Cli:
    """The node's own command line, through the socket that the pod leaves in the node's directory."""

    def run(*argv: str) -> str:
        environment = {**os.environ, "CGWARDEN_HOST": f"unix://{short_dir}/run/cgwarden.sock"}
        done = subprocess.run([*PROGRAM, *argv], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.stderr}\n{pod.log.read_text()}"
        return done.stdout

    return run


def started(pod: Pod, short_dir: Path) -> None:
    """Start the pod and wait until its socket answers."""
    pod.start()
    deadline = time.monotonic() + _DEADLINE_SEC
    environment = {**os.environ, "CGWARDEN_HOST": f"unix://{short_dir}/run/cgwarden.sock"}
    while subprocess.run([*PROGRAM, "ps"], env=environment, capture_output=True, check=False).returncode != 0:
        assert pod.runs, pod.log.read_text()
        assert time.monotonic() < deadline, pod.log.read_text()
        time.sleep(0.1)


def test_the_daemon_does_its_work_with_the_rights_of_the_chart(
    pod: Pod, cli: Cli, short_dir: Path, busybox_root: Path
) -> None:
    started(pod, short_dir)
    limits = ("--memory", "64M", "--cpus", "0.5", "--pids-limit", "50")

    cli("run", "-d", "--name", "t", "--rootfs", str(busybox_root), *limits, "--", "sleep", "1000")
    cli("freeze", "t")
    frozen = json.loads(cli("inspect", "t"))["state"]
    cli("thaw", "t")
    cli("limit", "t", "--memory", "128M")
    said = cli("exec", "t", "--", "cat", "/proc/1/comm")
    limit = json.loads(cli("inspect", "t"))["limits"]["memory_max_bytes"]
    cli("rm", "-f", "t")

    assert (frozen, said.strip(), limit) == ("frozen", "sleep", 128 * 2**20)
    assert pod.stop("TERM") == 0


def test_a_container_of_another_user_can_be_entered(
    pod: Pod, cli: Cli, short_dir: Path, busybox_root: Path
) -> None:
    started(pod, short_dir)

    cli("run", "-d", "--name", "t", "--rootfs", str(busybox_root), "--user", "65534", "--", "sleep", "1000")
    said = cli("exec", "t", "--", "id", "-u")
    cli("rm", "-f", "t")

    assert said.strip() == "65534"
    assert pod.stop("TERM") == 0


def test_containers_outlive_the_pod_and_the_next_one_adopts_them(
    pod: Pod, cli: Cli, short_dir: Path, busybox_root: Path
) -> None:
    started(pod, short_dir)
    cli("run", "-d", "--name", "t", "--rootfs", str(busybox_root), "--", "sleep", "1000")
    before = json.loads(cli("inspect", "t"))
    pod.stop("KILL")

    started(pod, short_dir)
    after = json.loads(cli("inspect", "t"))
    cli("rm", "-f", "t")

    assert (after["state"], after["pid"]) == ("running", before["pid"])
    assert pod.stop("TERM") == 0


@pytest.mark.parametrize("without", ["SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN"])
def test_each_right_of_the_daemon_is_needed(pod: Pod, cli: Cli, short_dir: Path, busybox_root: Path) -> None:
    with pytest.raises(AssertionError):
        started(pod, short_dir)
        cli(
            "run",
            "-d",
            "--name",
            "t",
            "--rootfs",
            str(busybox_root),
            "--user",
            "65534",
            "--",
            "sleep",
            "1000",
        )
        try:
            cli("exec", "t", "--", "id", "-u")
        finally:
            cli("rm", "-f", "t")

    pod.stop("TERM")
