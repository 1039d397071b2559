"""The daemon's filters: a program for each profile and set of capabilities, kept in memory and on disk.

libseccomp needs some 15 ms for a profile of 400 rules, and a launch has less than that in all; so a program
is compiled once, and read back afterwards. The name of a cached file tells everything that went into it, its
first bytes prove that it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from launcher.seccomp import library
from launcher.seccomp.compiling import INSTRUCTION_BYTES, compile_profile
from launcher.seccomp.profile import parse_profile, read_default

_FORMAT: Final = 2
"""Counts up when the same inputs begin to compile to another program."""
_MOST_FILES: Final = 256
_DIGEST_BYTES: Final = 32


class Filters:
    """`program` answers with what to load; safe to call from any thread."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._lock = threading.Lock()
        self._programs: dict[str, tuple[bytes, int]] = {}
        self._defaults: dict[frozenset[str], tuple[bytes, int]] = {}

    def program(self, wish: str | Mapping[str, Any], held: frozenset[str]) -> tuple[bytes, int]:
        """The filter for a spec's `seccomp` field, and the flags to load it with; empty for `unconfined`.

        Raises:
            BadSpec: the profile is wrong; the message names the place.
            NoLibrary: this host has no libseccomp.
        """
        if wish == "unconfined":
            return b"", 0
        with self._lock:
            if isinstance(wish, str):
                if held not in self._defaults:
                    self._defaults[held] = self._find(read_default(), held)
                return self._defaults[held]
            return self._find(wish, held)

    def _find(self, document: Mapping[str, Any], held: frozenset[str]) -> tuple[bytes, int]:
        key = _key(document, held)
        if key not in self._programs:
            if len(self._programs) >= _MOST_FILES:
                self._programs.clear()
            self._programs[key] = self._compile(document, held, key)
        return self._programs[key]

    def _compile(self, document: Mapping[str, Any], held: frozenset[str], key: str) -> tuple[bytes, int]:
        # Checked even when the program is at hand: what is said does not depend on the cache.
        profile = parse_profile(document)
        path = self._directory / f"{key}.bpf"
        program = read_program(path)
        if program is None:
            program = compile_profile(profile, held, _kernel())
            with contextlib.suppress(OSError):  # a full disk costs time, and nothing else
                write_program(path, program)
                _forget_oldest(self._directory)
        return program, profile.flags


def _key(document: Mapping[str, Any], held: frozenset[str]) -> str:
    inputs = [_FORMAT, document, sorted(held), os.uname().machine, _kernel(), library.read_version()]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _kernel() -> tuple[int, int]:
    """Only for a profile's own `minKernel`."""
    major, minor, *_ = os.uname().release.split(".")
    return int(major), int("".join(filter(str.isdigit, minor)) or 0)


def read_program(path: Path) -> bytes | None:
    """A cached program; None where there is none or it is not what was written."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        content = file.read()
    digest, program = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    whole = (
        bool(program) and len(program) % INSTRUCTION_BYTES == 0 and hashlib.sha256(program).digest() == digest
    )
    return program if whole else None


def write_program(path: Path, program: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.unlink(missing_ok=True)
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(hashlib.sha256(program).digest() + program)
    os.replace(scratch, path)


def _forget_oldest(directory: Path) -> None:
    """Profiles are the callers' own, so there may be any number of them."""
    files = sorted(directory.iterdir(), key=lambda file: file.stat().st_mtime)
    for file in files[:-_MOST_FILES]:
        file.unlink(missing_ok=True)
