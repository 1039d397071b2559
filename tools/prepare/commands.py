"""Calling a program during set-up: output to the step's log, and a failure told in one line."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.prepare.steps import ROOT, SetupFailed

_NO_NETWORK: Final = re.compile(
    r"Temporary failure (in name resolution|resolving)|Could not resolve|Name or service not known"
    r"|Failed to establish a new connection|Network is unreachable|EAI_AGAIN|ENOTFOUND"
    r"|Cannot initiate the connection"
)
_SAID: Final = re.compile(r"^(E: |ERROR: |npm error |\w*Error: )|error TS\d+")


def call(
    command: Sequence[str | Path], log: Path, *, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> None:
    """Run `command` to its end; SetupFailed with the program's own words where it fails."""
    with log.open("a") as output:
        try:
            result = subprocess.run(
                [str(part) for part in command],
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except FileNotFoundError as e:
            raise SetupFailed(
                f"{command[0]} is not on this machine: this set-up is for Debian 12 and 13"
            ) from e
    if result.returncode != 0:
        raise SetupFailed(f"{_name(command)} failed: {_why(log)} (see {log.relative_to(ROOT)})")


def _name(command: Sequence[str | Path]) -> str:
    """What people call the program: `pip` and not the interpreter that runs it."""
    words = [str(word) for word in command]
    return words[words.index("-m") + 1] if "-m" in words[:2] else Path(words[0]).name


def _why(log: Path) -> str:
    text = log.read_text(errors="replace")
    if _NO_NETWORK.search(text):
        return "no package source can be reached; connect this machine, or point apt, pip and npm at a mirror"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if _SAID.match(line)]
    return (said or lines or ["no word of why"])[-1][:200]
