"""Each row of the table of the talk "Docker Internals" (R. Jnagal) as one test on the real kernel.

The names are those of the rows; what goes deeper has files of its own beside this one.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import Container, Launcher
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]


def namespace_of(pid: int | None, kind: str) -> str:
    return os.readlink(f"/proc/{pid}/ns/{kind}")


@pytest.mark.parametrize("kind", ["pid", "mnt", "net", "user", "uts", "ipc", "cgroup", "time"])
def test_namespaces_clone_setns_unshare(run: Run, launcher: Launcher, kind: str) -> None:
    """Process trees, mounts, network, users, host names, IPC: made anew, and entered by exec."""
    container = run("sleep 60", userns="auto", time_offsets={"boottime_sec": 3600})

    session = launcher.exec("t", ["sleep", "60"])

    assert namespace_of(container.pid, kind) != namespace_of(os.getpid(), kind)
    assert namespace_of(session.pid, kind) == namespace_of(container.pid, kind)
    session.kill()
    session.close()


@pytest.mark.parametrize(
    ("kind", "field"), [("pid", "pid"), ("net", "network"), ("uts", "uts"), ("ipc", "ipc")]
)
def test_namespaces_joined_and_shared_with_the_host(run: Run, kind: str, field: str) -> None:
    first = run("sleep 60", name="first")

    joined = run("sleep 60", name="joined", **{field: "container:first"})
    shared = run("sleep 60", name="shared", **{field: "host"})

    assert namespace_of(joined.pid, kind) == namespace_of(first.pid, kind)
    assert namespace_of(shared.pid, kind) == namespace_of(os.getpid(), kind)


def test_user_namespaces_unprivileged_users(place: Place, run: Run, launcher: Launcher) -> None:
    """Root inside is nobody outside; what it writes belongs to a range that is the container's alone."""
    container = run("id -u; echo x > /new; exec sleep 60", userns="auto")
    other = run("sleep 60", name="other", userns="auto")

    base, theirs = (
        json.loads((place.state_of(name) / "ids.json").read_text())["base"] for name in ("t", "other")
    )
    session = launcher.exec("t", ["cat", "/new"])

    assert session.wait() == 0
    assert Path(f"/proc/{container.pid}").stat().st_uid == base >= 1 << 30
    assert Path(f"/proc/{other.pid}").stat().st_uid == theirs >= base + 65536
    assert (place.state_of("t") / "upper/new").stat().st_uid == base
    assert [line.data for line in launcher.read_log("t")] == [b"0"]


def test_nosuid_and_read_only_mounts(output: Output, short_dir: Path) -> None:
    (short_dir / "v").mkdir()
    script = (
        "grep -E ' (/|/v|/t) ' /proc/self/mountinfo; echo x > /x; echo x > /v/x; echo works > /t/x; cat /t/x"
    )

    lines = output(
        script,
        read_only=True,
        volumes=[{"source": str(short_dir / "v"), "target": "/v", "options": ["ro", "noexec"]}],
        tmpfs=[{"target": "/t"}],
    )

    options = {line.split()[4]: set(line.split()[5].split(",")) for line in lines if " - " in line}
    assert {"ro", "nodev"} <= options["/"]
    assert {"ro", "nosuid", "nodev", "noexec"} <= options["/v"]
    assert {"rw", "nosuid", "nodev", "noexec"} <= options["/t"]
    assert sum("Read-only file system" in line for line in lines) == 2
    assert "works" in lines


def test_device_cgroups(output: Output) -> None:
    """The usual devices open, one that was given does, any other does not, node or no node."""
    script = "head -c1 /dev/urandom | wc -c; for n in tun other; do (exec 3<>/dev/$n) && echo $n; done"

    lines = output(
        f"mknod /dev/other c 1 2; {script}",
        devices=[{"source": "/dev/net/tun", "target": "/dev/tun"}],
        cap_add=["MKNOD"],
    )

    assert "1" in lines
    assert "tun" in lines
    assert "other" not in lines
