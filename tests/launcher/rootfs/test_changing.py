"""Changing the root: pivot_root on any ordinary host; chroot, with less to lose, where that cannot work."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.rootfs.changing import can_pivot

# A daemon in a chroot that is no mount point: there pivot_root is EINVAL. All its mounts are in a namespace
# of its own and end with it, so that no path outside leads through them; what is the machine's is read-only.
IN_A_CHROOT = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/root"
for place in bin sbin lib lib64 usr etc root "$CHECKOUT" tmp proc sys dev run; do
    [ -L "/$place" ] && { ln -s "$(readlink "/$place")" "$1/root/$place"; continue; }
    [ -d "/$place" ] && [ ! -d "$1/root/$place" ] || continue
    mkdir "$1/root/$place"
    mount --rbind "/$place" "$1/root/$place"
    case $place in tmp|proc|sys|dev|run) ;; *) mount -o remount,bind,ro "$1/root/$place" ;; esac
done
shift 1 && exec chroot "$0" "$@"
"""
LAUNCH = """
import json, sys
from cgroupfs import Hierarchies
from launcher import ContainerSpec, Launcher, Spawner
order = json.load(sys.stdin)
launcher = Launcher(hierarchies=Hierarchies.read(), spawner=Spawner.start(), on_event=lambda _: None,
    record_limits=lambda *_: None, **order["place"])
launcher.adopt()
try:
    spec = ContainerSpec.from_wire(order["spec"])
    plan = launcher.describe(spec)
    launcher.run(spec)
    launcher.wait("t", 20)
    lines = [line.data.decode() for line in launcher.read_log("t")]
    print(json.dumps({"plan": plan, "lines": lines, "cap_drop": launcher.get("t").spec.cap_drop}))
    launcher.remove("t")
finally:
    launcher.close()
"""
"""What a container sees, and what it tries: a second chroot is the way out that pivot_root would close."""
ATTACK = """
echo inside; ls -a /..
mkdir -p /x; chroot /x true; echo "chroot $?"; ls /boot /root/.. 2>&1 | tail -1
"""


def test_an_ordinary_host_can_pivot_and_a_ramfs_or_a_chroot_cannot() -> None:
    disk = "23 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n24 23 0:5 / /proc rw - proc proc rw\n"
    ramfs = "1 1 0:2 / / rw - rootfs rootfs rw\n24 1 0:5 / /proc rw - proc proc rw\n"
    chrooted = "24 23 0:5 / /proc rw - proc proc rw\n"

    assert [can_pivot(text) for text in (disk, ramfs, chrooted)] == [True, False, False]


@pytest.fixture
def chroot(tmp_path: Path) -> Iterator[list[str]]:
    """A command that runs another in a mount namespace whose root cannot be left by pivot_root."""
    place = tmp_path / "chroot"
    place.mkdir()
    yield ["unshare", "--mount", "sh", "-c", IN_A_CHROOT, f"{place}/root", str(place)]
    place.rmdir()


@pytest.mark.kernel
def test_without_pivot_root_a_container_is_entered_by_chroot_and_cannot_chroot_again(
    chroot: list[str], short_dir: Path, cgroup_parent: str, busybox_root: Path
) -> None:
    place = {
        "cgroup_parent": cgroup_parent,
        "run_dir": str(short_dir / "run"),
        "state_dir": str(short_dir / "state"),
    }
    spec = {"name": "t", "rootfs": str(busybox_root), "command": ["sh", "-c", ATTACK]}

    done = subprocess.run(
        [*chroot, sys.executable, "-c", LAUNCH],
        input=json.dumps({"place": place, "spec": spec}),
        env={
            "CHECKOUT": Path(__file__).parts[1],
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "chroot into the root, moved over /" in told["plan"]
    assert told["cap_drop"] == ["SYS_CHROOT"]
    assert "inside" in told["lines"]
    # The second chroot, and `..` at the top, lead nowhere but into the container's own root.
    assert "chroot 1" in told["lines"], told["lines"]
    assert "x" in told["lines"], told["lines"]
