"""Stands in for a container's program: copies its log here, hands signals on, ends with its exit code."""

from __future__ import annotations

import binascii
import json
import signal
import sys

from cgwarden.cli import failures, session
from cgwarden.cli.names import container_path
from cgwarden.cli.terminal import print_json
from cgwarden.client import Daemon, NoDaemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

LET_GO_SEC = 1
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_attached(daemon: Daemon, spec: Mapping[str, object], *, keys: bytes, as_json: bool) -> int:
    """Start a container, copy its output until it has ended; its program's code, 128+n for a signal."""
    stdin, tty = bool(spec.get("stdin")), bool(spec.get("tty"))
    session.check_input(stdin=stdin, tty=tty)
    query = {"attach": True, **(session.terminal_size() if tty else {})}
    answer = daemon.open("POST", "/api/v1/containers", spec, query=query, timeout_sec=None)
    source = session.Input(daemon, stdin=stdin, tty=tty, keys=keys)
    one = session.Session(answer, source)
    name = str(spec["name"])
    try:
        if tty:
            return _copy_live(daemon, name, one, source, proxy=not stdin)
        return _copy_streams(daemon, name, one, as_json=as_json)
    except BrokenPipeError:
        _let_go(daemon, spec)
        raise


def _copy_streams(daemon: Daemon, name: str, one: session.Session, *, as_json: bool) -> int:
    output = _Output(times=False)
    with one:
        for batch in one.batches():
            for entry in batch:
                if "data" in entry:
                    output.add(entry)
                elif "container" in entry:
                    forward_signals(daemon, name)
                    if as_json:
                        print_json(entry["container"])
                else:
                    output.flush()
                    return failures.FAILED if entry["exit_code"] is None else int(entry["exit_code"])
            output.flush()
    raise NoDaemon(_gone(name))


def _copy_live(daemon: Daemon, name: str, one: session.Session, source: session.Input, *, proxy: bool) -> int:
    """`proxy`: no keys are typed here, so signals are what we have for the program."""
    if proxy:
        forward_signals(daemon, name)
    runs_on = f"container {name!r} runs on (`cgwarden attach {name}`)"
    while True:
        code = session.copy_live(one, _gone(name), runs_on)
        if code is not None:
            return code
        one = _attach(daemon, name, source)


def attach(daemon: Daemon, name: str, *, stdin: bool, keys: bytes, proxy: bool) -> int:
    """Copy what a container writes from now on; its exit code, or 0 where we detached."""
    told = daemon.get(container_path(name))
    source = session.Input(daemon, stdin=stdin and told["stdin"], tty=told["tty"], keys=keys)
    session.check_input(stdin=source.stdin, tty=source.tty)
    one = _attach(daemon, name, source)
    return _copy_live(daemon, name, one, source, proxy=proxy and not (source.tty and source.stdin))


def _attach(daemon: Daemon, name: str, source: session.Input) -> session.Session:
    wish = session.terminal_size() if source.tty else {}
    answer = daemon.open("POST", container_path(name, "attach"), wish, timeout_sec=None)
    return session.Session(answer, source)


def _gone(name: str) -> str:
    return (
        f"the daemon ended; container {name!r} runs on without it (`cgwarden attach {name}` comes back to it)"
    )


def _let_go(daemon: Daemon, spec: Mapping[str, object]) -> None:
    """Nobody reads our output any more. With --rm the container was for this reader alone, and ends."""
    name = str(spec["name"])
    if not spec.get("auto_remove"):
        session.say(f"nobody reads the output any more; container {name!r} runs on")
        return
    try:
        daemon.call("POST", container_path(name, "stop"), {"timeout_sec": LET_GO_SEC})
    except Problem:
        return  # it has ended meanwhile


def copy_log(daemon: Daemon, name: str, *, follow: bool, tail: int | None, times: bool = False) -> None:
    """Write a container's log to stdout and stderr, each line to the stream it came from."""
    query = {"format": "jsonl", "follow": follow or None, "tail": tail}
    response = daemon.open("GET", container_path(name, "logs"), query=query, timeout_sec=None)
    output = _Output(times)
    for batch in response.batches():
        for entry in _parse(batch):
            output.add(entry)
        output.flush()


def _parse(lines: list[bytes]) -> list[dict[str, Any]]:
    """One document is read three times as fast as its many lines."""
    entries: list[dict[str, Any]] = json.loads((b"[" + b",".join(lines) + b"]").decode())
    return entries


class _Output:
    """Our two streams; what goes to one of them in a row goes there in one piece."""

    def __init__(self, times: bool) -> None:
        self._times = times
        self._streams = {"stdout": sys.stdout, "stderr": sys.stderr}
        self._terminals = {name for name, stream in self._streams.items() if stream.isatty()}
        self._stream = "stdout"
        self._pieces: list[bytes] = []

    def add(self, entry: Mapping[str, Any]) -> None:
        if entry["stream"] != self._stream:
            self.flush()
            self._stream = entry["stream"]
        if self._times:
            self._pieces.append(f"{entry['time']} ".encode())
        self._pieces.append(self._data(entry))

    def flush(self) -> None:
        stream = self._streams[self._stream]
        stream.buffer.write(b"".join(self._pieces))
        self._pieces.clear()
        stream.flush()

    def _data(self, entry: Mapping[str, Any]) -> bytes:
        text: str = entry["data"]
        end = "" if entry["partial"] or text.endswith("\n") else "\n"
        if self._stream in self._terminals:
            from cgwarden.cli.terminal import harmless

            return (harmless(text.removesuffix("\n")) + end).encode()
        if "data_b64" in entry:
            return binascii.a2b_base64(entry["data_b64"]) + end.encode()
        return (text + end).encode()


def forward_signals(daemon: Daemon, name: str) -> None:
    """What we are sent goes to the container's first process."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        try:
            daemon.call("POST", container_path(name, "kill"), {"signal": signal.Signals(number).name})
        except Problem:
            return  # it has ended meanwhile: its exit code is on its way

    for number in FORWARDED:
        signal.signal(number, hand_on)
