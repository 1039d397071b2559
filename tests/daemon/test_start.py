"""The start of the daemon: each refusal is one line, has its exit status, and changes nothing."""

import os
import pathlib
import subprocess
import sys

import pytest

from cgwarden.daemon import StartRefused, main, take_lock

# The first call makes all imports: nobody may not be allowed to look where the interpreter lives.
AS_NOBODY = """
import contextlib, os, sys
from cgwarden.daemon import main
with contextlib.suppress(SystemExit):
    main(["--help"])
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
sys.exit(main(sys.argv[1:]))
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def assert_one_line(text: str) -> None:
    assert text.count("\n") == 1, text
    assert "Traceback" not in text


def test_a_lock_is_held_until_it_is_closed(tmp_path: pathlib.Path) -> None:
    held = take_lock(str(tmp_path / "run"), 0o750)

    with pytest.raises(StartRefused, match=f"running daemon .pid {os.getpid()}.") as refused:
        take_lock(str(tmp_path / "run"), 0o750)
    os.close(held)

    assert refused.value.status == 4
    os.close(take_lock(str(tmp_path / "run"), 0o750))


def test_a_stale_lock_file_means_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "lock").write_text("4194304\n")

    os.close(take_lock(str(tmp_path), 0o700))


def test_a_lock_is_not_taken_through_a_symlink(tmp_path: pathlib.Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "victim")

    with pytest.raises(StartRefused, match="cannot be used"):
        take_lock(str(tmp_path), 0o700)

    assert (tmp_path / "victim").read_text() == "precious"


def test_a_broken_configuration_ends_with_78_and_its_line(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[daemon]\nstate_dri = 1\n")

    status = main(["--config", str(file)])

    told = capsys.readouterr().err
    assert status == 78
    assert f"{file}:2: daemon.state_dri: unknown key" in told
    assert_one_line(told)


@pytest.mark.kernel
def test_without_root_it_ends_with_5(tmp_path: pathlib.Path) -> None:
    done = run(sys.executable, "-c", AS_NOBODY, "--run-dir", str(tmp_path / "run"))

    assert done.returncode == 5
    assert "needs root" in done.stderr
    assert_one_line(done.stderr)
    assert not (tmp_path / "run").exists()


@pytest.mark.kernel
def test_a_host_without_cgroups_is_told_in_one_line(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "cgwarden", "serve", "--run-dir", str(tmp_path / "run")]
    script = "umount -R /sys/fs/cgroup && exec " + " ".join(command)

    done = run("unshare", "-m", "sh", "-c", script)

    assert done.returncode == 78, done.stderr
    assert_one_line(done.stderr)
    assert not (tmp_path / "run").exists()
