"""The dashboard's files, built by hatch_build.py (which finds a Node), and what its tests need."""

from pathlib import Path
from typing import Final

from tools.prepare.commands import call
from tools.prepare.python import VENV_PYTHON
from tools.prepare.steps import ROOT

UI: Final = ROOT / "web" / "ui"


def build(log: Path) -> None:
    """web/ui/dist, unless its own stamp says that it is fresh."""
    call([VENV_PYTHON, "hatch_build.py"], log)


def is_built() -> bool:
    """There is a page to serve."""
    return (UI / "dist" / "index.html").is_file()


def install_packages(log: Path) -> None:
    """What the dashboard's own tests and type check need, as locked."""
    if not has_packages():
        call([VENV_PYTHON, "-m", "tools.npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], log)


def has_packages() -> bool:
    """node_modules as npm leaves it when it has finished."""
    return (UI / "node_modules" / ".package-lock.json").is_file()
