"""Set-up runs a step when what it is made from has changed, and at no other time."""

import os
from pathlib import Path

import pytest

from tools.prepare import steps
from tools.prepare.steps import SetupFailed, Step, run_pending


class Checkout:
    """A checkout with one source and one step that makes `result` from it."""

    def __init__(self, root: Path) -> None:
        self.source = root / "source"
        self.result = root / "result"
        self.runs = 0
        self.source.write_text("one")

    def step(self, version: str = "") -> Step:
        return Step("Some packages", ("source",), self._make, self.result.exists, version)

    def _make(self, log: Path) -> None:
        self.runs += 1
        self.result.write_text(self.source.read_text())


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    monkeypatch.setattr(steps, "STAMPS", tmp_path / "stamps")
    return Checkout(tmp_path)


def test_a_second_run_does_nothing_and_says_so(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    run_pending([checkout.step()])
    capsys.readouterr()

    run_pending([checkout.step()])

    assert checkout.runs == 1
    assert capsys.readouterr().out == "set-up: up to date\n"


def test_changed_content_runs_the_step_again(checkout: Checkout) -> None:
    run_pending([checkout.step()])
    checkout.source.write_text("two")

    run_pending([checkout.step()])

    assert checkout.result.read_text() == "two"


def test_a_new_time_stamp_alone_does_not(checkout: Checkout) -> None:
    run_pending([checkout.step()])
    os.utime(checkout.source, (1, 1))

    run_pending([checkout.step()])

    assert checkout.runs == 1


def test_another_interpreter_runs_the_step_again(checkout: Checkout) -> None:
    run_pending([checkout.step(version="3.11")])

    run_pending([checkout.step(version="3.13")])

    assert checkout.runs == 2


def test_a_lost_result_is_made_again(checkout: Checkout) -> None:
    run_pending([checkout.step()])
    checkout.result.unlink()

    run_pending([checkout.step()])

    assert checkout.result.exists()


def test_a_step_that_failed_is_not_taken_for_done(checkout: Checkout) -> None:
    def fail(log: Path) -> None:
        raise SetupFailed("no network")

    with pytest.raises(SetupFailed, match="no network"):
        run_pending([Step("Some packages", ("source",), fail, checkout.result.exists)])
    run_pending([checkout.step()])

    assert checkout.runs == 1


def test_a_step_without_its_result_is_a_failure(checkout: Checkout) -> None:
    with pytest.raises(SetupFailed, match="its result is not there"):
        run_pending([Step("Some packages", ("source",), lambda log: None, checkout.result.exists)])


def test_the_progress_names_number_step_and_seconds(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    run_pending([checkout.step()])

    assert capsys.readouterr().out == "[1/1] Some packages … 0 s\n"
