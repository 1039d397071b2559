"""Shared libraries that the daemon loads when a container first needs them; without one, that feature alone
is missing, and `cgwarden doctor` says so.
"""

import ctypes
import os
from pathlib import Path
from typing import Final

from tools.prepare import debian

PACKAGES: Final = {"libnftables.so.1": "libnftables1", "libseccomp.so.2": "libseccomp2"}


def missing() -> list[str]:
    """Debian packages of the libraries that cannot be loaded here."""
    return [package for library, package in PACKAGES.items() if not _loads(library)]


def are_settled() -> bool:
    """Nothing is to be done: all are here, or this user may install none, and does not need them."""
    return os.geteuid() != 0 or not missing()


def install(log: Path) -> None:
    """What is missing."""
    debian.install(missing(), log)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
