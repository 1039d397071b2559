"""Plain stand-ins for programs in containers: they say what they were asked for, and keep what is typed."""

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from launcher import Container, LogLine
from launcher.errors import CannotCopy


class FakeExec:
    """A program that says what it was asked to run, and ends with 7; `hangs` ends when it is killed."""

    def __init__(self, command: Sequence[str]) -> None:
        self.exit_code: int | None = None
        self.killed = threading.Event()
        self.typed = b""
        self._command = command

    def __iter__(self) -> Generator[tuple[str, bytes], None, None]:
        yield "stdout", " ".join(self._command).encode() + b"\xff"
        if self._command[0] == "hangs":
            self.killed.wait(30)
        self.exit_code = 7

    def hang_up(self) -> None:
        self.killed.set()

    def write(self, data: bytes) -> int:
        self.typed += data[:3]
        return min(3, len(data))

    def end_input(self) -> bool:
        self.typed += b"<end>"
        return True

    def resize(self, rows: int, columns: int) -> None:
        self.typed += b"<%d x %d>" % (rows, columns)

    def detach(self) -> None:
        self.typed += b"<detached>"


@dataclass
class FakeRun:
    """A container whose output is followed from its start."""

    container: Container
    launcher: Any
    exit_code: int | None = None

    live: "FakeLive | None" = None
    cut: str | None = None

    def output(self, stopped: Callable[[], bool] = lambda: False) -> Generator[LogLine, None, None]:
        yield from self.launcher.read_log(self.container.name, follow=True, stopped=stopped)
        self.exit_code = 5

    def why_cut(self) -> str | None:
        return self.cut

    def hang_up(self, *, end_input: bool) -> None:
        if self.live is not None:
            self.live.hang_up()


class FakeLive(FakeExec):
    """A container's terminal."""

    tty = True
    takes_input = True


class FakeCopier:
    """Archives that say where they come from."""

    def copy_out(self, name: str, path: str, *, follow: bool = False) -> Generator[bytes, None, None]:
        if path == "/nothing":
            raise CannotCopy(name, "there is nothing")
        return (piece for piece in (b"archive of ", path.encode()))

    def copy_in(self, name: str, path: str, *, kind: str, owners: bool = False) -> "FakeCopyIn":
        return FakeCopyIn([kind])


class FakeCopyIn(FakeExec):
    """Takes whatever it is given."""

    def finish(self) -> dict[str, int]:
        return {"entries": 2, "skipped": 0}
