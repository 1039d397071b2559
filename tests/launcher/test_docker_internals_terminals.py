"""Rows that users expect beside the talk's table: terminals, attach, log rotation, procs, cp."""

import io
import tarfile
from collections.abc import Callable

import pytest

from launcher import Container, Launcher, Stdio
from tests.launcher.conftest import Place, eventually

pytestmark = pytest.mark.kernel

Run = Callable[..., Container]
SCRIPT = 'stty size; read word; stty size; echo "[$word]"; exit 6'


def test_interactive_with_a_real_terminal_resize_and_input(run: Run, launcher: Launcher) -> None:
    run("sleep 60")

    session = launcher.exec("t", ["sh", "-c", SCRIPT], stdio=Stdio(stdin=True, size=(24, 80)))
    shown = ""
    for _stream, data in session:
        shown += data.decode()
        if shown.endswith("24 80\r\n"):
            session.resize(30, 90)
            session.write(b"typed\n")

    assert "30 90\r\n[typed]\r\n" in shown
    assert session.exit_code == 6


def test_attach(run: Run, launcher: Launcher) -> None:
    run("read word; echo got $word; read word", tty=True, stdin=True)
    both = [launcher.attach("t").live for _ in range(2)]
    assert both[0] is not None and both[1] is not None

    both[0].write(b"this\n")
    both[1].write(b"\n")

    seen = [b"".join(data for _stream, data in one) for one in both if one is not None]
    assert all(b"got this\r\n" in shown for shown in seen)


def test_log_rotation(run: Run, launcher: Launcher, place: Place) -> None:
    run("seq 20000", log_max_bytes=8192, log_max_files=3)
    launcher.wait("t", 20)

    logs = sorted(path for path in place.state_of("t").iterdir() if path.name.startswith("log"))
    assert [path.name for path in logs] == ["log", "log.1", "log.2"]
    assert all(path.stat().st_size <= 8192 for path in logs)
    lines = [int(line.data) for line in launcher.read_log("t")]
    assert lines == list(range(lines[0], 20001))


def test_procs(run: Run, launcher: Launcher) -> None:
    container = run("sleep 4321 & sleep 60")

    assert container.cgroup is not None
    cgroup = container.cgroup
    assert eventually(lambda: len(cgroup.procs()) == 2)


def test_cp_in_and_out(run: Run, launcher: Launcher) -> None:
    run("mkdir /d; echo before > /d/f; sleep 60")
    assert eventually(lambda: launcher.exec("t", ["cat", "/d/f"]).wait() == 0)
    out = b"".join(launcher.copier.copy_out("t", "/d"))
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        assert archive.getnames() == ["d", "d/f"]

    copying = launcher.copier.copy_in("t", "/e", kind="tree")
    copying.write(out)
    copying.end_input()

    assert copying.finish() == {"entries": 2, "skipped": 0}
    assert list(launcher.exec("t", ["cat", "/e/f"])) == [("stdout", b"before\n")]
