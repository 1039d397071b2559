"""A session with a program elsewhere: its output here, what is typed there, the terminal put back afterwards.

One thread copies the program's output; a second one reads what is typed and sends it in requests of their
own. Whatever ends the session, signals included, the terminal gets back what it was.
"""

from __future__ import annotations

import _thread
import binascii
import json
import os
import signal
import sys

from cgwarden.cli import failures
from cgwarden.cli.detaching import Keys
from cgwarden.cli.options import UsageError
from cgwarden.client import Daemon, NoDaemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType
    from typing import Any

    from cgwarden.client import Response

PIECE_BYTES = 256 << 10
MOVE_TRIES, MOVE_SEC = 400, 0.05
ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Detached(Exception):
    """The keys for it were pressed."""


class Ended(Exception):
    """A signal asks us to end; the program goes on."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def terminal_size() -> dict[str, int]:
    """`rows` and `columns` of our terminal; empty where there is none."""
    for fd in (1, 0, 2):
        try:
            size = os.get_terminal_size(fd)
        except OSError:
            continue
        return {"rows": size.lines, "columns": size.columns} if size.lines and size.columns else {}
    return {}


class RawTerminal:
    """Our terminal gives every key as it comes, and is put back at the end."""

    def __init__(self, wanted: bool) -> None:
        self._before: list[Any] | None = None
        self._wanted = wanted

    def __enter__(self) -> None:
        if not self._wanted:
            return
        import termios

        self._before = termios.tcgetattr(0)
        raw = termios.tcgetattr(0)
        raw[0] &= ~(
            termios.BRKINT
            | termios.ICRNL
            | termios.INPCK
            | termios.ISTRIP
            | termios.IXON
            | termios.IGNBRK
            | termios.PARMRK
            | termios.INLCR
            | termios.IGNCR
        )
        raw[1] &= ~termios.OPOST
        raw[2] = raw[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(0, termios.TCSADRAIN, raw)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            import termios

            # FLUSH takes along what answers to queries of the program are still under way.
            termios.tcsetattr(0, termios.TCSAFLUSH, self._before)


class Input:
    """What is typed here goes to whichever attachment is the present one."""

    def __init__(self, daemon: Daemon, *, stdin: bool, tty: bool, keys: bytes) -> None:
        self.stdin = stdin
        self.tty = tty
        self.detached = False
        self._daemon = daemon
        self._keys = Keys(keys if tty else b"")
        self._path = ""
        self._response: Response | None = None

    def begin(self, key: str, response: Response) -> None:
        """From now on it is that one. The thread that reads ends with us."""
        started = self._response is not None
        self._path, self._response = f"/api/v1/attachments/{key}", response
        if self.tty:
            signal.signal(signal.SIGWINCH, self._resize)
            self._resize()
        if self.stdin and not started:
            _thread.start_new_thread(self._copy, ())

    def _resize(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        if size := terminal_size():
            self._send(size)

    def _copy(self) -> None:
        """Until there is no more; what nobody takes is lost."""
        while data := _read_input():
            passed, self.detached = self._keys.pass_on(data)
            self._send_all(passed)
            if self.detached and self._response is not None:
                self._send({"detach": True})
                self._response.hang_up()
                return
        while (answer := self._send({"eof": True})) is not None and not answer["ended"]:
            continue

    def _send_all(self, data: bytes) -> None:
        while data:
            path = self._path
            answer = self._send({"data_b64": binascii.b2a_base64(data, newline=False).decode()})
            if answer is not None:
                data = data[answer["taken_bytes"] :]
            elif not self._has_moved(path):
                return

    def _has_moved(self, path: str) -> bool:
        """Cut off, we are attached anew within a moment; if not, all has ended."""
        import time

        for _ in range(MOVE_TRIES):
            if self._path != path:
                return True
            time.sleep(MOVE_SEC)
        return False

    def _send(self, body: Mapping[str, object]) -> Any:
        """None where it has ended, or the daemon has: the one who reads the output says so."""
        try:
            return self._daemon.call("POST", self._path, body)
        except (Problem, NoDaemon, OSError):
            return None


def _read_input() -> bytes:
    """What is there, in large pieces where there is much."""
    try:
        data = os.read(0, PIECE_BYTES)
        if not data or len(data) < 4096 or os.isatty(0):
            return data
        import select

        while len(data) < PIECE_BYTES and select.select([0], [], [], 0)[0]:
            more = os.read(0, PIECE_BYTES - len(data))
            if not more:
                break
            data += more
    except OSError:
        return b""
    return data


class Session:
    """One answer that flows: `{"attachment"}` first, then output, then how it ended.

    Use it as a context manager: inside, our terminal is the program's.
    """

    def __init__(self, response: Response, source: Input) -> None:
        self._response = response
        self._input = source
        self._begun = False
        self._streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}
        self._terminal = RawTerminal(source.tty and source.stdin and os.isatty(0))

    def __enter__(self) -> Session:
        self._terminal.__enter__()
        if self._input.tty and self._input.stdin:
            for number in ENDS:
                signal.signal(number, _end)
            self._heed_signals()
        return self

    def _heed_signals(self) -> None:
        """Python runs our handlers between two instructions: a signal that comes right before we begin to
        wait for output would be heeded at the next output only. So a second thread ends the waiting.
        """
        read, self._wake_fd = os.pipe()
        os.set_blocking(self._wake_fd, False)
        signal.set_wakeup_fd(self._wake_fd, warn_on_full_buffer=False)
        _thread.start_new_thread(_end_waiting, (read, self._response))

    def __exit__(self, *_: object) -> None:
        if self._input.tty and self._input.stdin:
            for number in (*ENDS, signal.SIGWINCH):
                signal.signal(number, signal.SIG_IGN)
            signal.set_wakeup_fd(-1)
            os.close(self._wake_fd)
        self._terminal.__exit__()

    def entries(self) -> Iterator[dict[str, Any]]:
        """What the answer says, one by one."""
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """What the answer says, until it ends or is cut off. Raises Detached, or Ended."""
        try:
            for batch in self._response.batches():
                yield self._parsed(batch)
        except (NoDaemon, ConnectionResetError):
            # Hung up: by ourselves where the keys were pressed, else by a daemon that has ended.
            pass
        if self._input.detached:
            raise Detached

    def _parsed(self, batch: list[bytes]) -> list[dict[str, Any]]:
        # One document is read three times as fast as its many lines.
        entries: list[dict[str, Any]] = json.loads((b"[" + b",".join(batch) + b"]").decode())
        if not self._begun:
            self._begun = True
            if "attachment" in entries[0]:
                self._input.begin(entries[0]["attachment"], self._response)
        return entries

    def aside(self, text: str) -> str:
        """A text that begins a line of its own, wherever the program left the cursor."""
        if self._input.tty:
            sys.stderr.write("\n")
        return text

    def write(self, entry: dict[str, Any]) -> None:
        """Output as it came."""
        stream = self._streams[entry["stream"]]
        stream.write(binascii.a2b_base64(entry["data_b64"]))
        stream.flush()


def _end(number: int, _frame: FrameType | None) -> None:
    raise Ended(number)


def _end_waiting(wake_fd: int, response: Response) -> None:
    """The numbers of signals come as bytes; at the end of the session the pipe ends."""
    while numbers := os.read(wake_fd, 64):
        if not {*ENDS, signal.SIGINT}.isdisjoint(numbers):
            response.hang_up()
    os.close(wake_fd)


def copy_live(session: Session, gone: str, runs_on: str) -> int | None:
    """Copy until the end; the exit code, 128+n where a signal ended us, 0 where we detached.

    None where we were cut off and may attach again. `gone` is said where the daemon ended, `runs_on` where
    the program goes on without us.
    """
    try:
        with session:
            for entry in session.entries():
                if "data_b64" in entry:
                    session.write(entry)
                elif "cut" in entry:
                    cut = str(entry["cut"])
                    break
                elif "exit_code" in entry:
                    code = entry["exit_code"]
                    return failures.FAILED if code is None else int(code)
            else:
                raise NoDaemon(session.aside(gone))
    except Detached:
        say(session.aside(f"detached: {runs_on}"))
        return failures.DONE
    except Ended as ended:
        say(session.aside(f"ended by signal {ended.number}: {runs_on}"))
        return 128 + ended.number
    say(session.aside(cut))
    return None


def say(text: str) -> None:
    """One line to whoever looks at the terminal."""
    print(f"cgwarden: {text}", file=sys.stderr)


def check_input(*, stdin: bool, tty: bool) -> None:
    """Keys come from a terminal: what is piped in would be read as if it had been typed."""
    if stdin and tty and not os.isatty(0):
        raise UsageError(
            "-t with -i needs a terminal as standard input; leave -t out to pipe into the program"
        )
