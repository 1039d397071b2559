"""Stands in for a container's program: copies its log here, hands signals on, ends with its exit code."""

from __future__ import annotations

import binascii
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


def follow(daemon: Daemon, name: str, *, remove: bool) -> int:
    """Copy output until the container ended; the exit code of its program, 128+n where a signal ended it."""
    try:
        return _follow(daemon, name)
    finally:
        if remove:
            _remove(daemon, name)


def _remove(daemon: Daemon, name: str) -> None:
    try:
        daemon.call("DELETE", container_path(name), query={"force": True})
    except Problem as problem:
        if problem.slug != "unknown-container":
            raise


def _follow(daemon: Daemon, name: str) -> int:
    # Asked before the log is read: the answer is there even if somebody removes the container at its end.
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


def _write(entry: dict[str, str], times: bool) -> None:
    stream = sys.stderr if entry["stream"] == "stderr" else sys.stdout
    end = "" if entry["partial"] or entry["data"].endswith("\n") else "\n"
    if stream.isatty():
        from cgwarden.cli.terminal import harmless

        data = (harmless(entry["data"].removesuffix("\n")) + end).encode()
    elif "data_b64" in entry:
        data = binascii.a2b_base64(entry["data_b64"]) + end.encode()
    else:
        data = (entry["data"] + end).encode()
    stream.buffer.write((f"{entry['time']} ".encode() if times else b"") + data)
    stream.flush()


def _forward_signals(daemon: Daemon, name: str) -> None:
    def hand_on(number: int, frame: FrameType | None) -> None:
        try:
            daemon.call("POST", container_path(name, "kill"), {"signal": signal.Signals(number).name})
        except Problem:
            return  # it has ended meanwhile: its exit code is on its way

    for number in FORWARDED:
        signal.signal(number, hand_on)
