"""What is shipped: the wheel carries the program, its policies and the built dashboard, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "--no-input", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "--wheel-dir", target, ROOT], check=True)
    (wheel,) = target.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_carries_every_module(shipped: set[str]) -> None:
    parts = ("cgwarden", "web", "enforcer", "monitor", "launcher", "cgroupfs")
    modules = {str(path.relative_to(ROOT)) for part in parts for path in (ROOT / part).rglob("*.py")}

    assert {name for name in modules if "node_modules" not in name} <= shipped


def test_the_wheel_carries_the_command(shipped: set[str]) -> None:
    assert [name for name in shipped if name.endswith(".data/scripts/cgwarden")]


def test_the_wheel_carries_the_built_dashboard_and_not_its_sources(shipped: set[str]) -> None:
    dashboard = {name for name in shipped if name.startswith("web/ui/")}

    assert "web/ui/dist/index.html" in dashboard
    assert {name for name in dashboard if not name.startswith("web/ui/dist/")} == set()


def test_the_wheel_carries_the_policies(shipped: set[str]) -> None:
    policies = {str(path.relative_to(ROOT)) for path in ROOT.glob("*/policies/*.yaml")}

    assert policies
    assert policies <= shipped


def test_the_wheel_carries_no_tests_and_no_tools(shipped: set[str]) -> None:
    tops = {name.partition("/")[0] for name in shipped}

    assert not tops & {"tests", "tools", "bench", "docs", "charts"}
