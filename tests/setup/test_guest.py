"""The guest's verdict is ours, and whatever goes wrong is one line: shown with a stand-in for it."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from tools.guest import boot, verdict
from tools.guest.boot import GuestFailed

# What stands in for the program that boots: it gets the same arguments and sees the same directory.
STAND_IN = """
import sys, time
from pathlib import Path
results = Path(sys.argv[sys.argv.index("--rwdir") + 1])
print("kernel: hello", flush=True)
exec(Path({scenario!r}).read_text())
"""


class Checkout:
    """A checkout with a guest that does what it is told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.results = root / "guest" / "results"
        self._scenario = root / "scenario"
        package = root / "virtme" / "virtme" / "commands"
        package.mkdir(parents=True)
        (package / "run.py").write_text(STAND_IN.format(scenario=str(self._scenario)))
        (root / "source").write_text("one")

    def boot(self, scenario: str, timeout_sec: float = 60) -> int:
        self._scenario.write_text(scenario)
        return boot.boot(["pytest", "$RESULTS/x", "a b"], timeout_sec=timeout_sec)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path)
    for name, value in {
        "ROOT": tmp_path,
        "GUEST": tmp_path / "guest",
        "RESULTS": made.results,
        "VIRTME": tmp_path / "virtme",
        "SOURCES": ("source",),
        "kernel_image": lambda: tmp_path / "vmlinuz",
    }.items():
        monkeypatch.setattr(boot, name, value)
    monkeypatch.setattr("tools.prepare.commands.ROOT", tmp_path)
    monkeypatch.setattr(verdict, "RESULTS", made.results)
    monkeypatch.setenv("CI", "true")
    return made


def test_the_status_of_the_command_comes_back_and_its_output_is_shown(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    status = checkout.boot(
        "(results / 'log').open('a').write('3 passed\\n'); (results / 'status').write_text('3\\n')"
    )

    assert status == 3
    assert capsys.readouterr().out == "3 passed\n"
    assert "hello" in (checkout.results / "console").read_text()


def test_the_guest_runs_the_command_here_with_what_changes_tests(checkout: Checkout) -> None:
    checkout.boot("(results / 'status').write_text('0')")

    script = (checkout.results / "command").read_text()
    assert script.splitlines()[0] == "export CI=true"
    assert script.splitlines()[-2:] == [f"cd {checkout.root}", "pytest \"$RESULTS/x\" 'a b'"]


def test_a_guest_that_dies_is_told_with_its_last_words(checkout: Checkout) -> None:
    with pytest.raises(GuestFailed, match=r"without a result \(last said: 'kernel: panic', see .*console\)"):
        checkout.boot("print('kernel: panic', flush=True); sys.exit(1)")


def test_a_guest_that_hangs_is_stopped_with_all_that_it_started(checkout: Checkout) -> None:
    scenario = (
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "(results / 'log').write_text(f'started {child.pid}\\n')\n"
        "time.sleep(600)\n"
    )

    with pytest.raises(GuestFailed, match=r"no result within 4 s; it was stopped \(last said: 'started \d+'"):
        checkout.boot(scenario, timeout_sec=4)

    (pid,) = re.findall(r"started (\d+)", (checkout.results / "log").read_text())
    deadline = time.monotonic() + 10
    while _is_running(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _is_running(int(pid))


def test_without_the_set_up_the_line_says_what_to_type(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "kernel_image", lambda: None)

    with pytest.raises(GuestFailed, match=r"python3 -m tools\.prepare guest"):
        checkout.boot("")


CASES = {
    "passed": "<testcase name='a'/>",
    "failed": "<testcase name='b'><failure/></testcase>",
    "error": "<testcase name='c'><error/></testcase>",
    "skipped": "<testcase name='d'><skipped/></testcase>",
}


def record(checkout: Checkout, *kinds: str) -> None:
    checkout.results.mkdir(parents=True)
    cases = "".join(CASES[kind] for kind in kinds)
    (checkout.results / "junit.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")


def test_all_passed_is_told_with_the_count(checkout: Checkout) -> None:
    record(checkout, "passed", "passed")

    assert verdict.read_verdict(0, skips_fail=True) == "2 passed"


@pytest.mark.parametrize(
    ("kinds", "status", "why"),
    [
        (["passed", "failed", "error"], 1, "2 of 3 tests failed: b, c"),
        (["passed", "skipped"], 0, "1 tests were skipped: d"),
        ([], 5, "ended with status 5 after 0 tests"),
        (["passed"], 2, "ended with status 2 after 1 tests"),
    ],
)
def test_whatever_else_is_a_failure_that_says_what(
    checkout: Checkout, kinds: list[str], status: int, why: str
) -> None:
    record(checkout, *kinds)

    with pytest.raises(GuestFailed, match=why):
        verdict.read_verdict(status, skips_fail=True)


def test_a_skip_is_allowed_where_it_is_not_ci(checkout: Checkout) -> None:
    record(checkout, "passed", "skipped")

    assert verdict.read_verdict(0, skips_fail=False) == "1 passed, 1 skipped"


def test_pytest_that_left_no_record_is_a_failure(checkout: Checkout) -> None:
    with pytest.raises(GuestFailed, match="ended with status 4 and no record"):
        verdict.read_verdict(4, skips_fail=True)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")
