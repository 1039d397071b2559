"""Captured trees of named kernels, each one readable text archive, and how to unpack one."""

from __future__ import annotations

from pathlib import Path

HEADER = "--- "
NO_NEWLINE = " (no newline at the end)"
HERE = Path(__file__).parent


def pack(files: dict[str, str]) -> str:
    """Files by path as an archive: a header line each, then the text as it is."""
    parts = []
    for path, text in sorted(files.items()):
        whole = not text or text.endswith("\n")
        parts.append(f"{HEADER}{path}\n{text}" if whole else f"{HEADER}{path}{NO_NEWLINE}\n{text}\n")
    return "".join(parts)


def parse(archive: str) -> dict[str, str]:
    """An archive as files by path; lines before the first header are remarks."""
    files: dict[str, str] = {}
    path, cut = "", False
    for line in archive.splitlines(keepends=True):
        if line.startswith(HEADER):
            path, cut = line.removeprefix(HEADER).rstrip("\n"), False
            if path.endswith(NO_NEWLINE):
                path, cut = path.removesuffix(NO_NEWLINE), True
            files[path] = ""
        elif path:
            files[path] += line.rstrip("\n") if cut else line
    return files


def unpack(name: str, root: Path) -> None:
    """Make the captured tree `name` below `root`."""
    for path, text in parse((HERE / f"{name}.txt").read_text()).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
