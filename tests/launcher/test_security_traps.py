"""Traps laid for the launcher itself: roots made to mislead it, and programs that wait for `exec` inside a
container. Each test names the row of the checklist (S07 to S11) or the CVE whose way in it tries.
"""

import contextlib
import ctypes
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import CannotInvoke, Container, Launcher, LauncherError, LaunchFailed
from launcher.defaults import PATH
from launcher.errors import CannotCopy
from launcher.scene.capabilities import DEFAULT, capability_mask
from tests.launcher.conftest import Place, eventually
from tests.launcher.hostile import INTERPRETER

CODE = Path(__file__).resolve().parents[2] / "launcher"
pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
Output = Callable[..., list[str]]
FLIPS = 100
"""Launches under a root that changes meanwhile; 10,000 in a long run, by CGWARDEN_FLIPS."""
EXECS = 150
"""Programs started beside a waiting attacker; 1,000 in a long run, by CGWARDEN_EXECS."""
RENAME_EXCHANGE = 2


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory of the host that traps lead to; it must stay as it is."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "passwd").write_text("spy:x:4242:4242::/:/bin/sh\n")
    (directory / "null").write_text("precious\n")
    before = picture_of(directory)
    yield directory
    assert picture_of(directory) == before
    assert str(directory) not in Path("/proc/self/mountinfo").read_text()


def picture_of(directory: Path) -> dict[str, object]:
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in sorted([directory, *directory.rglob("*")])
    }


@pytest.fixture
def root(busybox_root: Path, tmp_path: Path) -> Path:
    """A root of the test's own, to be spoilt."""
    copy = tmp_path / "root"
    subprocess.run(["cp", "-a", str(busybox_root), str(copy)], check=True)
    return copy


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_s10_a_mount_point_that_is_a_link_is_refused(run: Run, root: Path, outside: Path, name: str) -> None:
    """CVE-2026-41579, crun CVE-2026-47766."""
    (root / name).rmdir()
    (root / name).symlink_to(outside)

    with pytest.raises(LaunchFailed, match=f"/{name}: it must be a plain directory in the root"):
        run("true", rootfs=str(root))


def test_s10_links_in_dev_lie_below_our_own(output: Output, root: Path, outside: Path) -> None:
    """CVE-2025-31133, CVE-2025-52565: what is masked is covered with a null device that we made."""
    (root / "dev" / "pts").mkdir()
    (root / "dev" / "null").symlink_to(outside / "null")
    (root / "dev" / "pts" / "0").symlink_to(outside / "null")

    lines = output("ls -l /dev/null; cat /proc/keys; echo x > /dev/null; ls /dev/pts", rootfs=str(root))

    assert lines[0].startswith("crw-rw-rw-")
    assert lines[1:] == ["ptmx"]


def test_s10_files_that_we_read_in_a_root_are_read_inside_it(
    output: Output, run: Run, root: Path, outside: Path
) -> None:
    """A link of the root leads nowhere but into the root, and nothing that could block is opened."""
    (root / "etc" / "passwd").unlink()
    (root / "etc" / "passwd").symlink_to(outside / "passwd")

    with pytest.raises(LaunchFailed, match="spy: is not in the container's /etc/passwd"):
        run("true", rootfs=str(root), user="spy")

    (root / "etc" / "passwd").unlink()
    os.mkfifo(root / "etc" / "passwd")
    assert output("echo ran", rootfs=str(root), user="5:5") == ["ran"]


def test_s10_a_root_that_is_a_link_is_the_directory_it_leads_to(output: Output, root: Path) -> None:
    link = root.with_name("link")
    link.symlink_to(root)

    assert output("echo $((1 + 1))", rootfs=str(link)) == ["2"]


def test_s07_no_descriptor_serves_as_working_directory(run: Run, launcher: Launcher) -> None:
    """CVE-2024-21626: what lies behind our own descriptors is never entered."""
    run("sleep 60")

    for number in (*range(3, 24), 63, 255, 1023):
        with pytest.raises(LaunchFailed, match="change to the working directory"):
            launcher.exec("t", ["pwd"], workdir=f"/proc/self/fd/{number}")


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 63])
def test_s07_no_descriptor_serves_the_first_process_either(run: Run, number: int) -> None:
    with pytest.raises(LaunchFailed, match="change to the working directory"):
        run("pwd", workdir=f"/proc/self/fd/{number}")


def test_s07_a_link_in_the_root_does_not_help(run: Run, launcher: Launcher, root: Path) -> None:
    for number in range(3, 12):
        (root / f"cwd{number}").symlink_to(f"/proc/self/fd/{number}")
    run("sleep 60", rootfs=str(root))

    for number in range(3, 12):
        with pytest.raises(LaunchFailed, match="change to the working directory"):
            launcher.exec("t", ["pwd"], workdir=f"/cwd{number}")


# It looks at every process that is not its own, as fast as it can: the program's file, kept by O_PATH and
# opened for writing when its process has ended (CVE-2019-5736); descriptors (CVE-2016-9962); tracing.
ATTACKER = """
import ctypes, json, os, stat, sys
libc = ctypes.CDLL(None)
mine, kept, found = os.getpid(), {}, {"seen": 0, "written": [], "directories": [], "caught": []}
print("ready", flush=True)
allowed = {os.stat(path).st_dev for path in ("/", "/dev/pts")}
while not os.path.exists("/tmp/enough"):
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == mine:
            continue
        found["seen"] += 1
        try:
            fd = os.open(f"/proc/{name}/exe", os.O_PATH)
            key = (os.fstat(fd).st_dev, os.fstat(fd).st_ino)
            if key in kept: os.close(fd)
            else: kept[key] = fd
        except OSError: pass
        try:
            for number in os.listdir(f"/proc/{name}/fd"):
                seen = os.stat(f"/proc/{name}/fd/{number}")
                if stat.S_ISDIR(seen.st_mode) and seen.st_dev not in allowed:
                    found["directories"].append(os.readlink(f"/proc/{name}/fd/{number}"))
        except OSError: pass
        # Seized, not stopped; whoever still bears our name was caught before it became the program.
        if libc.ptrace(0x4206, int(name), 0, 0) == 0:
            try:
                status = open(f"/proc/{name}/status").read()
                if status.startswith("Name:\\tcgwarden"):
                    found["caught"].append(status.partition("CapBnd:")[2].split()[0])
            except OSError: pass
        try: os.waitpid(-1, 0x40000001)
        except OSError: pass
    for key, fd in kept.items():
        try: os.close(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY))
        except OSError: continue
        if key[0] != os.stat("/").st_dev:
            found["written"].append(key)
found["kept"] = len(kept)
print(json.dumps({k: sorted(set(v)) if isinstance(v, list) else v for k, v in found.items()}), flush=True)
"""


def sha256_of(*paths: str) -> list[tuple[str, int]]:
    return [
        (hashlib.sha256(Path(path).read_bytes()).hexdigest(), os.stat(path).st_mtime_ns) for path in paths
    ]


def test_s08_a_waiting_attacker_gets_nothing_of_ours_during_exec(
    run: Run, launcher: Launcher, root: Path
) -> None:
    """CVE-2019-5736, CVE-2016-9962, runc's exec from inside a hostile container."""
    code = ("scene/seal.py", "scene/inside.py", "beside/supervisor.py")
    ours = (INTERPRETER, *(str(CODE / name) for name in code))
    before = sha256_of(*ours)
    run([INTERPRETER, "-I", "-S", "-c", ATTACKER], rootfs="/", cap_add=["SYS_PTRACE"])
    assert eventually(lambda: any(launcher.read_log("t")))

    for _ in range(int(os.environ.get("CGWARDEN_EXECS", EXECS))):
        # Its own /bin/true it may hold open for writing, and so keep it from being executed.
        with contextlib.suppress(CannotInvoke):
            launcher.exec("t", ["/bin/true"]).wait()
    launcher.exec("t", ["/bin/touch", "/tmp/enough"]).wait()

    assert launcher.wait("t", 60) == 0
    found = json.loads(list(launcher.read_log("t"))[-1].data)
    assert found["seen"] > 0
    assert found["written"] == []
    assert found["directories"] == []
    # It may trace by our leave. Had it been ours, it would have held no more than the container may.
    most = capability_mask(DEFAULT | {"SYS_PTRACE"})
    assert [held for held in found["caught"] if int(held, 16) & ~most] == []
    assert sha256_of(*ours) == before


@pytest.mark.parametrize("command", ["/proc/self/exe", "/script"])
def test_s08_an_entry_point_that_is_ourselves_is_no_way_in(
    run: Run, launcher: Launcher, root: Path, command: str
) -> None:
    """CVE-2019-5736: what `/proc/self/exe` leads to while we set up is not executed, or not as ours."""
    before = sha256_of(INTERPRETER)
    (root / "script").write_text("#!/proc/self/exe\n")
    (root / "script").chmod(0o755)

    try:
        run([command, "-c", "open('/pwned', 'w')"], rootfs=str(root))
        launcher.wait("t", 20)
    except LauncherError:
        assert launcher.containers() == ()

    assert sha256_of(INTERPRETER) == before


def test_s09_mount_points_that_change_while_we_launch_lead_nowhere(
    run: Run, launcher: Launcher, root: Path, outside: Path
) -> None:
    """CVE-2021-30465, CVE-2024-45310, CVE-2025-24965: a directory and a link trade places all the time."""
    names = ("dev", "proc", "sys", "etc")
    for name in names:
        (root / f"{name}-link").symlink_to(outside)
    stop = threading.Event()
    flipper = threading.Thread(target=flip, args=(root, names, stop))
    flipper.start()
    outcomes = []
    try:
        for _ in range(int(os.environ.get("CGWARDEN_FLIPS", FLIPS))):
            outcomes.append(try_to_launch(run, launcher, root))
            assert sorted(path.name for path in outside.iterdir()) == ["null", "passwd"]
    finally:
        stop.set()
        flipper.join()

    assert "refused" in outcomes or "ran" in outcomes
    assert "escaped" not in outcomes


def flip(root: Path, names: tuple[str, ...], stop: threading.Event) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    directory = os.open(root, os.O_RDONLY)
    while not stop.is_set():
        for name in names:
            words = (name.encode(), directory, f"{name}-link".encode(), RENAME_EXCHANGE)
            libc.renameat2(directory, *words)
    os.close(directory)


def try_to_launch(run: Run, launcher: Launcher, root: Path) -> str:
    try:
        run("cat /dev/null/x /proc/passwd /sys/passwd /dev/passwd; echo $?", rootfs=str(root))
    except LauncherError:
        return "refused"
    launcher.wait("t", 20)
    lines = [line.data.decode() for line in launcher.read_log("t")]
    launcher.remove("t", force=True)
    return "escaped" if any("spy:x" in line for line in lines) else "ran"


# In a mount namespace of its own: what is laid over /proc must swallow no label (S11).
WRITER = """
import ctypes, os, sys
from launcher import syscalls
from launcher.scene import confinement
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, target, kind, flags=0):
    assert libc.mount(source, target, kind, flags, None) == 0, os.strerror(ctypes.get_errno())
syscalls.unshare(syscalls.CLONE_NEWNS)
syscalls.set_propagation(b"/", syscalls.MS_REC | 1 << 18)
own = b"/proc/%d" % os.getpid()
{attack}
try:
    os.close(confinement.open_own_attribute((b"attr/exec",)))
except OSError as e:
    sys.exit(f"refused: {{e.filename}}: {{e.strerror}}")
print("opened")
"""


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        ("", "opened"),
        ('mount(b"none", b"/proc", b"tmpfs")', "/proc: is not"),
        ('mount(own, b"/proc", None, 4096)', "/proc: is not the root of a proc file system"),
        ('mount(b"none", own + b"/attr", b"tmpfs")', "Invalid cross-device link"),
        ('mount(own + b"/sched", own + b"/attr/exec", None, 4096)', "Invalid cross-device link"),
    ],
    ids=["nothing", "tmpfs on proc", "a process on proc", "tmpfs on attr", "another file on exec"],
)
def test_s11_a_label_is_written_to_proc_or_nowhere(attack: str, says: str) -> None:
    """CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2025-52881."""
    command = [sys.executable, "-c", WRITER.format(attack=attack)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=os.getcwd())

    assert says in done.stdout + done.stderr
    assert (done.returncode == 0) == (attack == "")


def test_nothing_is_imported_from_a_containers_root(run: Run, launcher: Launcher, root: Path) -> None:
    """docker CVE-2019-14271: modules and libraries of ours, poisoned at the very paths inside the root."""
    poison = "open('/pwned', 'w').write(__name__)\n"
    for top in (os.path.dirname(os.__file__), str(Path(__file__).parents[2])):
        for name in (
            "encodings/__init__",
            "encodings/idna",
            "encodings/ascii",
            "pwd",
            "grp",
            "launcher/scene/seal",
            "launcher/files/tarring",
            "launcher/files/untar",
            "tarfile",
            "traceback",
            "copy",
        ):
            file = root / top.lstrip("/") / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(poison)
    for library in ("libnss_files.so.2", "libnss_compat.so.2", "libc.so.6", "libgcc_s.so.1"):
        file = root / "lib" / "x86_64-linux-gnu" / library
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\x7fELF poison")
    (root / "etc" / "nsswitch.conf").write_text("passwd: poison\n")

    (root / "copied").mkdir()
    run("sleep 60", rootfs=str(root), user="nobody:nogroup", hostname="xn--a")
    assert launcher.exec("t", ["ls", "/pwned"], user="root").wait() == 1

    # What looks up owners, reads names of every kind, and fails, might import as well.
    copied = io.BytesIO()
    with tarfile.open(fileobj=copied, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("xn--a\u00fc\udcff"))
    for data in (copied.getvalue(), b"x" * 1024):
        copying = launcher.copier.copy_in("t", "/copied", kind="archive", owners=True)
        copying.write(data)
        copying.end_input()
        with contextlib.suppress(CannotCopy):
            assert copying.finish()["entries"] == 1
    data = b"".join(launcher.copier.copy_out("t", "/copied"))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [one.name for one in archive] == ["copied", "copied/xn--a\u00fc\udcff"]
    assert launcher.exec("t", ["ls", "/pwned"], user="root").wait() == 1


def test_no_socket_of_ours_can_be_reached_through_the_hosts_network(
    output: Output, place: Place, launcher: Launcher
) -> None:
    """containerd CVE-2020-15257: no abstract socket, and those with a path are for root alone."""
    script = "sleep 0.2; grep -c -E '@.*(cgw|launcher|super)' /proc/net/unix; cat /proc/net/unix | wc -l"
    lines = output(script, network="host")

    assert lines[0] == "0"
    assert int(lines[1]) > 1
    for found in place.run_dir.rglob("*.sock"):
        assert found.stat().st_mode & 0o777 == 0o600


def test_no_terminal_of_the_starter_can_be_typed_into(output: Output) -> None:
    """bubblewrap CVE-2017-5226: a session of its own, without a terminal that is ours."""
    lines = output("cut -d' ' -f6,7 /proc/self/stat; (: </dev/tty) 2>&1")

    session, terminal = lines[0].split()
    assert (session, terminal) == ("1", "0")
    assert "No such device or address" in lines[1]


@pytest.mark.parametrize(
    "user",
    ["0x0", "+0", " 0", "0\n", "4294967295", "00000000000000000000", "1000:0:0", "²", "", ":", "0:", "-1"],
)
def test_a_user_is_parsed_strictly(run: Run, launcher: Launcher, user: str) -> None:
    """crun CVE-2026-30892: what is not a user is never taken for root."""
    with pytest.raises(LauncherError, match="user: "):
        run("id", user=user)
    run("sleep 60")
    with pytest.raises(LauncherError, match="user: "):
        launcher.exec("t", ["id"], user=user)


def test_the_programs_path_is_our_own_where_the_spec_has_none(output: Output) -> None:
    assert output("echo $PATH") == [PATH]
