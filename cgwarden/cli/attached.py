"""Stands in for a container's program: copies its log here, hands signals on, ends with its exit code."""

from __future__ import annotations

import json
import signal
import sys

from cgwarden.cli import failures
from cgwarden.cli.lifecycle import wait_for_exit
from cgwarden.cli.names import container_path
from cgwarden.client import Daemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def follow(daemon: Daemon, name: str) -> int:
    """Copy output until the container ended; the exit code of its program, 128+n where a signal ended it."""
    # Asked before the log is read: with --rm the container is gone when the log has ended.
    ended = daemon.send("POST", container_path(name, "wait"), {}, timeout_sec=None)
    _forward_signals(daemon, name)
    copy_log(daemon, name, follow=True, tail=None)
    code: int | None = None
    try:
        code = ended.answer().json()["exit_code"]
    except Problem as problem:
        # The daemon bounds its long polls; by now the container has ended, so asking again answers at once.
        if problem.slug != "timeout":
            raise
        code = wait_for_exit(daemon, name, None)
    return failures.FAILED if code is None else code


def copy_log(daemon: Daemon, name: str, *, follow: bool, tail: int | None, times: bool = False) -> None:
    """Write a container's log to stdout and stderr, each line to the stream it came from."""
    query = {"format": "jsonl", "follow": follow or None, "tail": tail}
    response = daemon.open("GET", container_path(name, "logs"), query=query, timeout_sec=None)
    for line in response.lines():
        if line.strip():
            _write(json.loads(line), times)


def _write(entry: dict[str, object], times: bool) -> None:
    stream = sys.stderr if entry["stream"] == "stderr" else sys.stdout
    text = str(entry["data"])
    if not entry["partial"] and not text.endswith("\n"):
        text += "\n"
    if stream.isatty():
        from cgwarden.cli.terminal import harmless

        text = "".join(part if part == "\n" else harmless(part) for part in text.splitlines(keepends=True))
    stream.write(f"{entry['time']} {text}" if times else text)
    stream.flush()


def _forward_signals(daemon: Daemon, name: str) -> None:
    def hand_on(number: int, frame: FrameType | None) -> None:
        try:
            daemon.call("POST", container_path(name, "kill"), {"signal": signal.Signals(number).name})
        except Problem:
            return  # it has ended meanwhile: its exit code is on its way

    for number in FORWARDED:
        signal.signal(number, hand_on)
