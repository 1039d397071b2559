"""Debian packages: installed only where they are missing, without recommendations, nothing started.

None of the packages that we install brings a service. Where one program of a package that has a
service is wanted (promtool), the package is unpacked into the checkout instead of being installed.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.prepare.commands import call
from tools.prepare.steps import STAMPS, SetupFailed

_QUIET: Final = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
_LISTS: Final = STAMPS / "apt-lists"


def install(packages: Sequence[str], log: Path) -> None:
    """Install packages; the one line says what to type where this user may not."""
    if not packages:
        return
    _require_root(packages)
    update_lists(log)
    call(["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], log, env=_QUIET)


def extract(package: str, member: str, target: Path, log: Path) -> None:
    """Put one file of a package at `target` without installing the package."""
    update_lists(log)
    with tempfile.TemporaryDirectory(dir=STAMPS) as scratch:
        # root's downloads are given to the user _apt, who may not enter our directories.
        call(
            ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package],
            log,
            cwd=Path(scratch),
            env=_QUIET,
        )
        archive = next(Path(scratch).glob("*.deb"))
        call(["dpkg-deb", "-x", archive, Path(scratch, "root")], log)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(scratch, "root", member), target)


def update_lists(log: Path) -> None:
    """``apt-get update``, once in the life of one set-up."""
    if _LISTS.exists() and _LISTS.read_text() == str(os.getpid()):
        return
    if os.geteuid() == 0:
        call(["apt-get", "update", "-q"], log, env=_QUIET)
    _LISTS.write_text(str(os.getpid()))


def _require_root(packages: Sequence[str]) -> None:
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise SetupFailed(f"{names} missing and there is no apt-get: install the like of it by hand")
    if os.geteuid() != 0:
        raise SetupFailed(f"{names} must be installed, which needs root: sudo apt-get install {names}")
