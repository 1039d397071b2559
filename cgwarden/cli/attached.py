"""Stands in for a container's program: copies its log here, hands signals on, ends with its exit code."""

from __future__ import annotations

import binascii
import json
import signal
import sys

from cgwarden.cli import failures
from cgwarden.cli.names import container_path
from cgwarden.cli.terminal import print_json
from cgwarden.client import Daemon, NoDaemon, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_attached(daemon: Daemon, spec: Mapping[str, object], *, as_json: bool) -> int:
    """Start a container, copy its output until it has ended; its program's code, 128+n for a signal."""
    answer = daemon.open("POST", "/api/v1/containers", spec, query={"attach": True}, timeout_sec=None)
    lines = answer.lines()
    started = json.loads(next(lines))["container"]
    _forward_signals(daemon, started["name"])
    if as_json:
        print_json(started)
    for line in lines:
        entry = json.loads(line)
        if "exit_code" in entry:
            code: int | None = entry["exit_code"]
            return failures.FAILED if code is None else code
        _write(entry, times=False)
    raise NoDaemon(f"the daemon ended; container {started['name']!r} runs on without it")


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
