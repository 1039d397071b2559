"""Terminals and attached clients at the supervisor itself: what they are made of, and who waits for whom."""

import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import Container, ContainerSpec, Launcher, Stdio
from launcher.attached import AttachedRun, Attachment
from launcher.beside.audience import MOST
from tests.launcher.conftest import Place, eventually

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]


class Viewer:
    """Reads all that an attachment gives, in a thread."""

    def __init__(self, live: Attachment) -> None:
        self.live = live
        self.shown = bytearray()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for _stream, data in self.live:
            self.shown += data

    def sees(self, wanted: bytes) -> bool:
        return eventually(lambda: wanted in self.shown)

    def type(self, text: bytes) -> None:
        assert self.live.write(text) == len(text)

    def close(self) -> None:
        self.live.close()
        self._thread.join(10)


@pytest.fixture
def view(launcher: Launcher) -> Iterator[Callable[[], Viewer]]:
    """Attach to the container `t`."""
    viewers: list[Viewer] = []

    def attach() -> Viewer:
        live = launcher.attach("t").live
        assert live is not None
        viewers.append(Viewer(live))
        return viewers[-1]

    yield attach
    for viewer in viewers:
        viewer.close()


def read_all(launcher: Launcher, *command: str, stdio: Stdio | None = None) -> str:
    session = launcher.exec("t", command, stdio=stdio or Stdio())
    return b"".join(data for _stream, data in session).decode()


def test_the_first_output_of_a_terminal_is_not_missed_and_has_its_size(
    launcher: Launcher, busybox_root: Path
) -> None:
    wire = {"name": "t", "rootfs": str(busybox_root), "command": ["stty", "size"], "tty": True}

    run: AttachedRun = launcher.run_attached(ContainerSpec.from_wire(wire), (41, 123))

    assert run.live is not None
    assert b"".join(data for _stream, data in run.live) == b"41 123\r\n"
    assert (run.why_cut(), run.exit_code) == (None, 0)
    assert [line.data for line in launcher.read_log("t")] == [b"41 123\r"]


def test_a_terminal_is_of_the_containers_own_and_controls_its_session(run: Run, launcher: Launcher) -> None:
    container = run("sleep 60", tty=True)

    stat = Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()
    (fds,) = {os.readlink(f"/proc/{container.pid}/fd/{fd}") for fd in (0, 1, 2)}
    assert (stat[3], stat[4]) == (stat[2], str(os.makedev(136, 0)))  # leads its session, on pts 0
    assert fds == "/dev/pts/0"
    assert sorted(os.listdir(f"/proc/{container.pid}/root/dev/pts")) == ["0", "ptmx"]
    console = os.stat(f"/proc/{container.pid}/root/dev/console")
    assert console.st_rdev == os.makedev(136, 0)


@pytest.mark.parametrize("user", ["0:0", "65534:65534"])
def test_whoever_the_program_runs_as_owns_its_terminal(run: Run, launcher: Launcher, user: str) -> None:
    run("sleep 60", tty=True, user=user)

    told = read_all(launcher, "sh", "-c", "stat -c %u $(tty); echo ok > /dev/tty", stdio=Stdio(size=(5, 5)))
    assert told.split() == [user.partition(":")[0], "ok"]


def test_links_in_place_of_console_and_terminals_lead_nowhere(
    launcher: Launcher, busybox_root: Path, short_dir: Path
) -> None:
    root = short_dir / "root"
    shutil.copytree(busybox_root, root, symlinks=True)
    victim = short_dir / "victim"
    victim.write_text("outside")
    (root / "dev/pts").symlink_to(short_dir)
    (root / "dev/console").symlink_to(victim)
    (root / "dev/ptmx").symlink_to(victim)
    wire = {"name": "t", "rootfs": str(root), "command": ["sh", "-c", "tty; cat /dev/console"], "tty": True}

    container = launcher.run(ContainerSpec.from_wire(wire))

    assert eventually(lambda: any(line.data == b"/dev/pts/0\r" for line in launcher.read_log("t")))
    assert os.stat(f"/proc/{container.pid}/root/dev/console").st_rdev == os.makedev(136, 0)
    assert victim.read_text() == "outside"


def test_a_client_that_reads_nothing_is_cut_off_while_the_container_goes_on(
    run: Run, launcher: Launcher, view: Callable[[], Viewer]
) -> None:
    run(
        "read go; i=0; while [ $i -lt 300000 ]; do echo $i; i=$((i+1)); done; echo last; sleep 60",
        tty=True,
        stdin=True,
    )
    stuck = launcher.attach("t")
    reader = view()

    reader.type(b"\n")

    assert reader.sees(b"last\r\n")
    assert stuck.live is not None
    got = b"".join(data for _stream, data in stuck.live)
    assert 100_000 < len(got) < 2_000_000
    assert "skipped" in (stuck.why_cut() or "")


def test_one_too_many_takes_the_place_of_the_eldest(run: Run, launcher: Launcher) -> None:
    run("sleep 60", tty=True)
    first = launcher.attach("t")

    others = [launcher.attach("t") for _ in range(MOST)]

    assert first.live is not None
    assert list(first.live) == []
    for other in others:
        assert other.live is not None
        other.live.close()
        list(other.live)


def test_input_that_nobody_reads_waits_and_is_whole_when_somebody_does(run: Run, launcher: Launcher) -> None:
    run("until [ -e /tmp/go ]; do sleep 0.05; done; md5sum", stdin=True)
    live = launcher.attach("t").live
    assert live is not None
    data = bytes(range(256)) * 1024
    sent = 0
    while count := live.write(data[sent:]):
        sent += count
        if sent == len(data):
            break
    assert launcher.exec("t", ["touch", "/tmp/go"]).wait() == 0
    while sent < len(data):
        sent += live.write(data[sent:])
    live.end_input()

    told = b"".join(chunk for _stream, chunk in live).decode()

    assert told.split()[0] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert launcher.wait("t", 10) == 0


def test_a_terminal_is_hung_up_when_its_supervisor_is_killed(
    run: Run, launcher: Launcher, place: Place
) -> None:
    run("trap 'exit 9' HUP; echo trapped; while :; do sleep 0.1; done", tty=True)
    assert eventually(lambda: any(line.data == b"trapped\r" for line in launcher.read_log("t")))
    supervisor = json.loads((place.state_of("t") / "init.json").read_text())["supervisor_pid"]

    os.kill(supervisor, signal.SIGKILL)

    assert eventually(lambda: launcher.get("t").state == "exited")
    assert launcher.get("t").exit_code in (9, None)


def test_a_supervisor_owns_little_memory(run: Run, place: Place) -> None:
    run("sleep 60")
    supervisor = json.loads((place.state_of("t") / "init.json").read_text())["supervisor_pid"]

    lines = Path(f"/proc/{supervisor}/smaps_rollup").read_text().splitlines()
    private_kb = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    assert private_kb <= 1229
