"""A person at a terminal, for tests: starts a command on a pty of the test's own, types, and looks."""

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cli.real import CLI, ROOT, Running

PATIENCE_SEC = 30.0
COOKED = termios.ICANON | termios.ECHO | termios.ISIG


class Screen:
    """What was shown so far is in `shown`."""

    def __init__(self, master: int, slave: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self._slave = slave
        self.process = process
        self.shown = b""

    def type(self, data: bytes) -> None:
        os.write(self._master, data)

    def expect(self, wanted: bytes) -> bytes:
        """Wait until it is shown; what stood before it since the last time."""
        deadline = time.monotonic() + PATIENCE_SEC
        looked = 0
        while self.shown.find(wanted, looked) < 0:
            looked = max(0, len(self.shown) - len(wanted))
            self._look(deadline, wanted)
        before, _, self.shown = self.shown.partition(wanted)
        return before

    def end(self) -> int:
        """Look until the command has ended; its exit code."""
        deadline = time.monotonic() + PATIENCE_SEC
        while self.process.poll() is None:
            self._look(deadline, b"the end")
        while select.select([self._master], [], [], 0)[0]:
            self._look(deadline, b"the end")
        return self.process.returncode

    def _look(self, deadline: float, wanted: bytes) -> None:
        if time.monotonic() > deadline:
            raise AssertionError(f"{wanted!r} was not shown; this was: …{self.shown[-500:]!r}")
        if select.select([self._master], [], [], 0.05)[0]:
            self.shown += os.read(self._master, 65536)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def is_cooked(self) -> bool:
        """Is the terminal as shells like it?"""
        return bool(termios.tcgetattr(self._slave)[3] & COOKED == COOKED)


@contextmanager
def screen(daemon: Running, *argv: str, rows: int = 30, columns: int = 100) -> Iterator[Screen]:
    """One command of ours on a terminal; killed afterwards, if it still runs."""
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [*CLI, *argv],
        cwd=ROOT,
        env=daemon.env(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    one = Screen(master, slave, process)
    try:
        yield one
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
        os.close(slave)
