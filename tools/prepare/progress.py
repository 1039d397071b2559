"""The progress line of one step: it counts the seconds on a terminal and stays quiet in a log file."""

import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_WIDTH: Final = 100
_TICK_SEC: Final = 1.0


class Progress:
    """``[2/5] Python packages … 14 s``; on a terminal with the last line of output while it runs."""

    def __init__(self, title: str, log: Path) -> None:
        self._title = title
        self._log = log
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._on_terminal = sys.stdout.isatty()

    def __enter__(self) -> Self:
        print(f"{self._title} … ", end="", flush=True)
        if self._on_terminal:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.finish("failed" if isinstance(error, Exception) else "stopped")

    def finish(self, outcome: str) -> None:
        """End the line."""
        self._ended.set()
        if self._on_terminal:
            self._ticker.join()
            print(f"\r\033[K{self._title} … ", end="")
        print(outcome, flush=True)

    def _tick(self) -> None:
        while not self._ended.wait(_TICK_SEC):
            line = f"{self._title} … {time.monotonic() - self._started:.0f} s  {_last_line(self._log)}"
            print(f"\r\033[K{line[:_WIDTH]}", end="", flush=True)


def _last_line(log: Path) -> str:
    """The last thing a program said, without control characters."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 1000))
        lines = file.read().decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return "".join(c for c in said[-1] if c.isprintable()) if said else ""
