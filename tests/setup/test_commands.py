"""What a program said when set-up failed becomes one line."""

from pathlib import Path

import pytest

from tools.prepare.commands import call
from tools.prepare.steps import SetupFailed


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tools.prepare.commands.ROOT", tmp_path)
    return tmp_path / "step.log"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("E: Unable to locate package chromium", "E: Unable to locate package chromium"),
        ("ERROR: hash mismatch\nnote: see above", "ERROR: hash mismatch"),
        ("E: Temporary failure resolving 'somewhere'", "no package source can be reached"),
        ("npm error code ENOTFOUND", "no package source can be reached"),
        ("something odd\n\n", "something odd"),
        ("", "no word of why"),
    ],
)
def test_the_reason_is_taken_from_what_the_program_said(log: Path, said: str, told: str) -> None:
    with pytest.raises(SetupFailed) as failure:
        call(["sh", "-c", f"printf '%s\\n' \"{said}\"; exit 1"], log, cwd=log.parent)

    text = str(failure.value)
    assert text.startswith(f"sh failed: {told}")
    assert "\n" not in text
    assert "step.log" in text


def test_a_program_that_is_not_there_is_named(log: Path) -> None:
    with pytest.raises(SetupFailed, match="apt-got is not on this machine"):
        call(["apt-got", "install"], log, cwd=log.parent)
