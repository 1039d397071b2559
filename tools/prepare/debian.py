"""Debian packages: installed only where they are missing, without recommendations, nothing started.

Where one program of a package that has a service is wanted (promtool), the package is unpacked into the
checkout instead of being installed; and what comes along with the others (dbus with a browser, say) is not
started, since systemctl is told to leave the running system alone.
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tools.prepare.commands import call
from tools.prepare.steps import STAMPS, SetupFailed

_QUIET: Final = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "SYSTEMD_OFFLINE": "1"}
_LISTS: Final = STAMPS / "apt-lists"


def install(packages: Sequence[str], log: Path) -> None:
    """Install packages; the one line says what to type where this user may not."""
    if not packages:
        return
    _require_root(packages)
    update_lists(log)
    call(["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], log, env=_QUIET)


def extract(packages: Sequence[str], member: str, target: Path, log: Path) -> None:
    """Put a file at `target` out of the first of `packages` that this release has, without installing it."""
    update_lists(log)
    package = next((name for name in packages if _is_offered(name)), packages[-1])
    with unpacked(package, log) as root:
        # A release with merged /usr may have it in either place.
        found = next((path for path in (root / member, root / "usr" / member) if path.is_file()), None)
        if found is None:
            raise SetupFailed(f"Debian's {package} holds no {member} here: put it on PATH by hand")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(found, target)


@contextlib.contextmanager
def unpacked(package: str, log: Path) -> Iterator[Path]:
    """A directory with what `package` would install."""
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
        yield Path(scratch, "root")


def real_package(name: str, pattern: re.Pattern[str], log: Path) -> str:
    """The package that the empty package `name` stands for in this release."""
    update_lists(log)
    said = subprocess.run(["apt-cache", "depends", name], capture_output=True, text=True, check=False).stdout
    depends: list[str] = re.findall(r"Depends: (\S+)", said)
    found = next((package for package in depends if pattern.fullmatch(package)), None)
    if found is None:
        raise SetupFailed(f"this release has no {name}: the guest needs Debian 12 or 13 on amd64")
    return found


def update_lists(log: Path) -> None:
    """``apt-get update``, once in the life of one set-up."""
    if _LISTS.exists() and _LISTS.read_text() == str(os.getpid()):
        return
    if os.geteuid() == 0:
        call(["apt-get", "update", "-q"], log, env=_QUIET)
    _LISTS.write_text(str(os.getpid()))


def _is_offered(package: str) -> bool:
    found = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return found.returncode == 0


def _require_root(packages: Sequence[str]) -> None:
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise SetupFailed(f"{names} missing and there is no apt-get: install the like of it by hand")
    if os.geteuid() != 0:
        raise SetupFailed(f"{names} must be installed, which needs root: sudo apt-get install {names}")
