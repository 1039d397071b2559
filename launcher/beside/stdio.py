"""Standard input, output and error of a container's first process, where it has no terminal: pipes."""

from __future__ import annotations

import os
from typing import Final

from launcher.spec import ContainerSpec

OUTPUT: Final = ("stdout", "stderr")


def open_pipes(spec: ContainerSpec, run_fd: int) -> tuple[dict[str, int], list[int]]:
    """Our ends by name, and the container's: none for a terminal; no input unless it was asked for.

    Output goes through named pipes, which the container holds for reading too: it gets no SIGPIPE should the
    supervisor be killed, and another process can take them over. Input is a plain pipe: it must be able to
    end.
    """
    ours: dict[str, int] = {}
    if spec.tty:
        return ours, []
    theirs = []
    if spec.stdin:
        read, ours["stdin"] = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours["stdin"], False)
        theirs.append(read)
    for name in OUTPUT:
        os.mkfifo(name, 0o600, dir_fd=run_fd)
        ours[name] = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=run_fd)
        theirs.append(os.open(name, os.O_RDWR | os.O_CLOEXEC, dir_fd=run_fd))
    return ours, theirs


def reopen_pipes(run_dir: str) -> dict[str, int]:
    """Our ends of the output, after the supervisor that held them was killed."""
    found = {}
    for name in OUTPUT:
        try:
            found[name] = os.open(f"{run_dir}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:  # it had a terminal, or the run directory was emptied
            continue
    return found
