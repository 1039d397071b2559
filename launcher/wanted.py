"""Whether anybody still waits for what this thread does: long work asks now and then, and ends early."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Final

from launcher.errors import LauncherError

_LOOK_SEC: Final = 0.2
# Not passed down as an argument: between those who know and the process that works lie eight functions that
# have nothing to do with it.
_ASK: Final[ContextVar[Callable[[], bool]]] = ContextVar("is_wanted", default=lambda: True)


class NotWanted(LauncherError):
    def __init__(self) -> None:
        super().__init__("whoever asked for it has gone; nothing of it was kept")


@contextlib.contextmanager
def wanted_while(ask: Callable[[], bool]) -> Iterator[None]:
    """What this thread does in the block ends early once `ask` says no."""
    before = _ASK.set(ask)
    try:
        yield
    finally:
        _ASK.reset(before)


def is_wanted() -> bool:
    """True where nobody has said otherwise."""
    return _ASK.get()()


def run_while_wanted(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """As `subprocess.run` with its output captured; NotWanted, and its end, once nobody waits for it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, **options) as process:
        try:
            while is_wanted():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    said, complained = process.communicate(timeout=_LOOK_SEC)
                    return subprocess.CompletedProcess(command, process.returncode, said, complained)
            raise NotWanted
        finally:
            process.kill()  # of one that has ended, nothing
