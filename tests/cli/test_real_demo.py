"""The demo as a person runs it: it acts, proves it, ends and leaves nothing; a killed one is cleaned up."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.real import CLI, ROOT, wait_for

pytestmark = pytest.mark.kernel
DIRECTORIES = (Path("/run/cgwarden-demo"), Path("/var/lib/cgwarden-demo"))


def start(*flags: str) -> subprocess.Popen[str]:
    argv = [*CLI, "demo", *flags]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return seen
    raise AssertionError(f"the demo ended without saying {words!r}:\n{seen}")


def test_the_demo_changes_limits_proves_it_and_leaves_nothing(tmp_path: Path) -> None:
    process = start("--for", "30s", "--report", str(tmp_path / "report.json"))

    said, _ = process.communicate(timeout=110)

    assert process.returncode == 0, said
    report = json.loads((tmp_path / "report.json").read_text())
    assert {one["name"] for one in report["containers"]} == {"web", "hog", "leaker", "writer"}
    assert all(one["state"] in ("running", "frozen") for one in report["containers"])
    assert {action["policy"] for action in report["actions"]} >= {"memory-headroom", "batch-cpu-suppress"}
    assert all(action["reason"] for action in report["actions"])
    assert report["sweeps"] >= 20
    assert not any(directory.exists() for directory in DIRECTORIES)


def test_ctrl_c_ends_the_demo_and_a_second_one_is_refused_meanwhile() -> None:
    process = start()
    read_until(process, "dashboard")

    second = subprocess.run(
        [*CLI, "demo", "--for", "5s"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)

    assert second.returncode == 4
    assert str(process.pid) in second.stderr
    assert process.returncode == 0, said
    assert not any(directory.exists() for directory in DIRECTORIES)


def test_what_a_killed_demo_left_is_removed_by_the_next() -> None:
    killed = start()
    read_until(killed, "dashboard")
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()

    process = start()
    said = read_until(process, "four containers run")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert "ended the daemon of a killed demo" in said
    assert said.count("left by a killed demo") == 4
    wait_for(lambda: not any(directory.exists() for directory in DIRECTORIES))
