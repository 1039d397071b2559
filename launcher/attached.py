"""A container whose starter stays: its whole output and its exit code, removed at its end or not."""

from __future__ import annotations

from collections.abc import Callable, Generator

from launcher.container import Container
from launcher.logfile import LogLine
from launcher.logreader import LogReader
from launcher.registry import Entry


class AttachedRun:
    """Made before anybody waits for the container's end, so nothing of its output can be missed."""

    def __init__(self, entry: Entry, log: LogReader) -> None:
        self.container: Container = entry.container
        self._entry = entry
        self._log = log

    def output(self, stopped: Callable[[], bool] = lambda: False) -> Generator[LogLine, None, None]:
        """Every line as it comes, until the container has ended or `stopped()`; once."""
        return self._log.read(None, None, lambda seconds: self._entry.ended.wait(seconds) or stopped())

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and for good where its supervisor was lost."""
        return self._entry.container.exit_code
