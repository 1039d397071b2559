"""How processes of ours begin that are no forks: a fresh interpreter, with nothing of the user's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from launcher import defaults

_PACKAGES: Final = str(Path(__file__).resolve().parents[1])


def command(module: str, *arguments: str, site: bool = False) -> list[str]:
    """The arguments that run `main` of a module of this package; `site`: with what is installed beside it."""
    program = f"import sys; sys.path.insert(0, {_PACKAGES!r}); from {module} import main; main()"
    apart = [] if site else ["-S"]
    return [sys.executable, "-I", *apart, "-X", "utf8", "-c", program, *arguments]


def environment() -> dict[str, str]:
    """A search path, and what is said to cgwarden itself."""
    return {"PATH": defaults.PATH} | {k: v for k, v in os.environ.items() if k.startswith("CGWARDEN_")}
