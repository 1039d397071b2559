"""The Python environment ``.venv/``: made by the machine's interpreter, filled from the locked list."""

import importlib.util
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from tools.prepare import debian
from tools.prepare.commands import call
from tools.prepare.steps import ROOT

VENV: Final = ROOT / ".venv"
VENV_PYTHON: Final = VENV / "bin" / "python"
INTERPRETER: Final = f"{sys.version} {sys.base_prefix}"
PACKAGES: Final = ("cgwarden", "web", "enforcer", "monitor", "launcher", "cgroupfs")
DEV_TOOLS: Final = ("pytest", "ruff", "mypy", "lint-imports", "yamllint", "kubernetes-validate")
FUZZER_IS_BUILT: Final = platform.machine() == "x86_64" and sys.version_info < (3, 15)
PIP: Final = (VENV_PYTHON, "-m", "pip", "--no-input", "--disable-pip-version-check")


def can_make_venv() -> bool:
    """Debian splits ensurepip off into python3-venv."""
    return importlib.util.find_spec("ensurepip") is not None and importlib.util.find_spec("venv") is not None


def install_venv_module(log: Path) -> None:
    """python3-venv, where this python3 cannot make environments."""
    debian.install([] if can_make_venv() else ["python3-venv"], log)
    importlib.invalidate_caches()


def make_venv(log: Path) -> None:
    """A fresh environment unless the one that is there runs on this very interpreter."""
    keep = [] if _fits() else ["--clear"]
    call([sys.executable, "-m", "venv", *keep, VENV], log)
    # Python 3.11 adds it, and its start-up hook slows every command down by an import.
    call([*PIP, "uninstall", "--yes", "--quiet", "setuptools"], log)


def install_packages(log: Path) -> None:
    """Everything of requirements/dev.txt, each file checked against its hash."""
    call([*PIP, "install", "--require-hashes", "--only-binary=:all:", "-r", "requirements/dev.txt"], log)


def install_fuzzer(log: Path) -> None:
    """requirements/fuzz.txt, where it is built for this machine; elsewhere fuzzing goes on blindly."""
    if FUZZER_IS_BUILT:
        call([*PIP, "install", "--require-hashes", "--only-binary=:all:", "-r", "requirements/fuzz.txt"], log)


def has_fuzzer() -> bool:
    """The fuzzer is there, or cannot be."""
    return not FUZZER_IS_BUILT or (site_packages() / "atheris").is_dir()


def install_cgwarden(log: Path) -> None:
    """This checkout itself, editable: the environment runs what lies here."""
    call([*PIP, "install", "--no-deps", "--no-build-isolation", "--editable", "."], log)
    # Byte code beforehand, so that the first command is as fast as every other.
    call([VENV_PYTHON, "-m", "compileall", "-q", *PACKAGES], log)


def has_packages() -> bool:
    """The development tools are there (pip puts a package's programs in last)."""
    return all((VENV / "bin" / tool).exists() for tool in DEV_TOOLS)


def has_cgwarden() -> bool:
    """The command is there."""
    return (VENV / "bin" / "cgwarden").exists()


def _fits() -> bool:
    if not VENV_PYTHON.exists():
        return False
    question = "import sys; print(sys.version, sys.base_prefix)"
    answer = subprocess.run([VENV_PYTHON, "-c", question], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == INTERPRETER


def site_packages() -> Path:
    """Where the environment keeps what pip installed."""
    return Path(sysconfig.get_path("purelib", "venv", vars={"base": str(VENV)}))
