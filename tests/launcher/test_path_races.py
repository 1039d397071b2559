"""S09: somebody flips a directory and a link, as fast as it goes, where mounts are being set up; S10: traps
in the root. Nothing outside is touched, whatever a launch says.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import ContainerSpec, Launcher, LauncherError, syscalls
from launcher.scene.operations import Scene
from launcher.scene.volume_mounts import AttachVolume
from tests.launcher.conftest import Place

pytestmark = pytest.mark.kernel

TRIES = 500
RENAME_EXCHANGE = 2


@contextlib.contextmanager
def flipping(directory: Path, link: Path) -> Iterator[None]:
    """Another process exchanges the two names without a pause."""
    libc = ctypes.CDLL(None)
    here, there = os.fsencode(directory), os.fsencode(link)
    pid = os.fork()
    if pid == 0:
        while True:
            libc.renameat2(-100, here, -100, there, RENAME_EXCHANGE)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def outside(short_dir: Path) -> Path:
    """What must not be touched."""
    made = short_dir / "outside"
    made.mkdir()
    (made / "marker").write_text("untouched")
    return made


def print_of(directory: Path) -> list[tuple[str, int, int, int, str]]:
    """Names, owners, modes, times of change and content of all there is."""
    found = []
    for path in sorted([directory, *directory.rglob("*")]):
        stat = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found.append((str(path), stat.st_uid, stat.st_mode, stat.st_ctime_ns, content))
    return found


def mounts_in(directory: Path, place: Place) -> list[str]:
    """Where the host has mounts now, our own view of /proc apart."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    below = (point for point in points if point.startswith(f"{directory}/"))
    return sorted(point for point in below if not point.startswith(str(place.run_dir)))


@pytest.fixture
def hostile(short_dir: Path, busybox_root: Path) -> Path:
    """A root of the test's own, to be made hostile."""
    root = short_dir / "hostile"
    root.mkdir(mode=0o755)
    os.system(f"cp -a {busybox_root}/. {root}/")
    return root


def launch_again_and_again(launcher: Launcher, wire: dict[str, object], tries: int) -> tuple[int, int]:
    """(started, refused)"""
    started = 0
    for _ in range(tries):
        with contextlib.suppress(LauncherError):
            launcher.run(ContainerSpec.from_wire(wire))
            started += 1
            launcher.remove("t", force=True)
    return started, tries - started


@pytest.mark.parametrize("userns", ["host", "auto"])
def test_a_flipped_target_never_leads_a_mount_outside(
    place: Place, launcher: Launcher, hostile: Path, outside: Path, short_dir: Path, userns: str
) -> None:
    shared = short_dir / "shared"
    for path in (shared / "flip/deep", hostile / "flip/deep"):
        path.mkdir(parents=True)
    (shared / "link").symlink_to(f"../../../../../../..{outside}")
    (hostile / "link").symlink_to(outside)
    before = print_of(outside)
    wire: dict[str, object] = {
        "name": "t",
        "rootfs": str(hostile),
        "command": ["true"],
        "userns": userns,
        "volumes": [{"source": str(shared), "target": "/v"}],
        "tmpfs": [
            {"target": target} for target in ("/v/flip/made", "/v/flip/deep", "/flip/made", "/flip/deep")
        ],
    }

    with flipping(shared / "flip", shared / "link"), flipping(hostile / "flip", hostile / "link"):
        started, refused = launch_again_and_again(launcher, wire, TRIES // 2)

    assert started + refused == TRIES // 2
    assert refused > 0
    assert print_of(outside) == before
    assert mounts_in(short_dir, place) == []
    assert not place.remains("t")


def test_a_flipped_source_is_what_was_planned_or_refused(
    launcher: Launcher, outside: Path, short_dir: Path, hostile: Path
) -> None:
    """Between the daemon's look and the mount a directory becomes a link: that is not followed any more."""
    (short_dir / "way").mkdir()
    (short_dir / "link").symlink_to(outside)
    (hostile / "v").mkdir()
    where = AttachVolume(str(short_dir / "way"), "/v")
    before, seen = print_of(outside), set()

    with flipping(short_dir / "way", short_dir / "link"):
        for _ in range(TRIES):
            seen.add(in_a_mount_namespace(lambda: mounted_names(where, hostile)))

    assert seen <= {"", "ELOOP"}
    assert print_of(outside) == before


def mounted_names(volume: AttachVolume, root: Path) -> str:
    """What is at the target after the operation, or why it was refused."""
    scene = Scene([], {})
    scene.root_fd = syscalls.open_tree(syscalls.AT_FDCWD, os.fsencode(root))
    syscalls.move_mount(scene.root_fd, os.open(root, os.O_PATH))
    try:
        volume.execute(scene)
    except OSError as e:
        return errno.errorcode[e.errno or 0]
    return " ".join(os.listdir(root / "v"))


def in_a_mount_namespace(do: Callable[[], str]) -> str:
    """In a process of its own, whose mounts end with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.set_propagation(b"/", syscalls.MS_REC | syscalls.MS_SLAVE)
            os.write(writer, do().encode() or b"\0")
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text.strip("\0") if text else "died"


@pytest.mark.parametrize(
    "trap", ["proc", "sys", "dev", "etc", "dev/null", "dev/pts", "etc/resolv.conf", "etc/hosts", "v", "v/w"]
)
def test_a_trap_in_the_root_catches_nothing_outside(
    place: Place, launcher: Launcher, hostile: Path, outside: Path, short_dir: Path, trap: str
) -> None:
    where = hostile / trap
    where.parent.mkdir(parents=True, exist_ok=True)
    if where.is_dir() and not where.is_symlink():
        os.system(f"rm -rf {where}")
    where.unlink(missing_ok=True)
    where.symlink_to(outside / "marker" if "." in trap or trap.endswith(("null", "hosts")) else outside)
    before = print_of(outside)
    wire: dict[str, object] = {
        "name": "t",
        "rootfs": str(hostile),
        "command": ["true"],
        "tmpfs": [{"target": "/v/w"}],
        "devices": [{"source": "/dev/kmsg", "target": "/dev/pts2/x"}],
        "dns": ["10.0.0.1"],
    }

    launch_again_and_again(launcher, wire, 1)
    launch_again_and_again(launcher, wire | {"userns": "auto"}, 1)

    assert print_of(outside) == before
    assert mounts_in(short_dir, place) == []
    assert not place.remains("t")


def test_a_root_that_is_itself_a_link_is_resolved_before_it_is_used(
    place: Place, launcher: Launcher, hostile: Path, short_dir: Path
) -> None:
    (short_dir / "root").symlink_to(hostile)

    container = launcher.run(
        ContainerSpec.from_wire({"name": "t", "rootfs": str(short_dir / "root"), "command": ["sleep", "60"]})
    )

    assert container.spec.rootfs == str(hostile)
