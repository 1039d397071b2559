"""In CI a test that skips has hidden a failure: shown by runs of pytest inside a test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SKIPS = {
    "in a test": "import pytest\ndef test_one():\n    pytest.skip('no chromium')\n",
    "by a mark": "import pytest\n@pytest.mark.skip('no chromium')\ndef test_one():\n    pass\n",
    "in a fixture": (
        "import pytest\n@pytest.fixture\ndef browser():\n    pytest.skip('no chromium')\n"
        "def test_one(browser):\n    pass\n"
    ),
    "of a whole module": "import pytest\npytest.skip('no chromium', allow_module_level=True)\n",
}


@pytest.fixture
def run(tmp_path: Path) -> "Run":
    return Run(tmp_path)


class Run:
    """pytest with the shared conftest, on one file, with or without CI=true."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, source: str, *, ci: str) -> subprocess.CompletedProcess[str]:
        file = self._directory / "test_inner.py"
        file.write_text(source)
        (self._directory / "pytest.ini").write_text("[pytest]\n")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.conftest",
            "-p",
            "no:cacheprovider",
            "-ra",
            str(file),
        ]
        environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run(
            command, cwd=self._directory, env=environment, capture_output=True, text=True, check=False
        )


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS)
def test_a_skip_fails_in_ci_and_says_what_was_missing(run: Run, source: str) -> None:
    done = run(source, ci="true")

    assert done.returncode != 0, done.stdout
    assert "no chromium" in done.stdout


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS)
def test_the_same_skip_is_allowed_elsewhere(run: Run, source: str) -> None:
    done = run(source, ci="")

    assert "1 skipped" in done.stdout
    assert "failed" not in done.stdout


def test_an_expected_failure_is_no_skip(run: Run) -> None:
    done = run("import pytest\n@pytest.mark.xfail\ndef test_one():\n    assert False\n", ci="true")

    assert done.returncode == 0, done.stdout
