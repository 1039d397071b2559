"""The demo on a terminal, redrawn in place; elsewhere plain lines: each action, and a table now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from cgwarden.cli.stats import usage_table
from cgwarden.cli.terminal import bold, paint
from cgwarden.demo.report import Result, action_line

_PLAIN_TABLE_SEC = 10.0
_MOST_ACTIONS = 12
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Screen:
    """Shows a Result as it grows."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = 0
        self._table_due = 0.0

    def say(self, text: str) -> None:
        """A line of its own, before or after the live part."""
        print(text, flush=True)

    def start(self, link: str) -> None:
        """Announce the dashboard."""
        if self._live:
            print(f"{_HIDE_CURSOR}\x1b[2J", end="")
        else:
            print(
                f"dashboard: {link}  (this link opens once, within a minute; later: `cgwarden dashboard`)",
                flush=True,
            )

    def draw(self, result: Result, link: str) -> None:
        """Show the present state."""
        if self._live:
            self._redraw(result, link)
        else:
            self._append(result)

    def end(self) -> None:
        """Give the terminal back."""
        if self._live:
            print(_SHOW_CURSOR, flush=True)

    def _redraw(self, result: Result, link: str) -> None:
        size = os.get_terminal_size()
        lines = [
            f"{bold('cgwarden demo')}  {result.seconds:.0f} s  {paint('Ctrl-C ends and cleans up', 'dim')}"
        ]
        lines += [
            f"dashboard  {paint(link, 'cyan')}",
            paint("           opens once, within a minute; then a new one stands here", "dim"),
            "",
        ]
        lines += [*usage_table(result.containers), "", bold("policies at work")]
        lines += [action_line(action) for action in result.actions[-_MOST_ACTIONS:]] or [
            "waiting for a reason to act"
        ]
        shown = [_cut(line, size.columns) for line in lines[: size.lines - 1]]
        print("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in shown) + "\x1b[J", end="", flush=True)

    def _append(self, result: Result) -> None:
        for action in result.actions[self._shown :]:
            print(action_line(action), flush=True)
        self._shown = len(result.actions)
        if time.monotonic() >= self._table_due and _measured(result.containers):
            self._table_due = time.monotonic() + _PLAIN_TABLE_SEC
            print("\n".join(["", *usage_table(result.containers), ""]), flush=True)


def _measured(containers: Sequence[dict[str, object]]) -> bool:
    return any(one.get("usage") for one in containers)


def _cut(line: str, columns: int) -> str:
    """The line shortened to the terminal's width, not counting colour codes."""
    seen, kept, rest = 0, [], line
    while rest and seen < columns:
        if rest.startswith("\x1b["):
            code, mark, rest = rest.partition("m")
            kept.append(code + mark)
            continue
        kept.append(rest[0])
        seen, rest = seen + 1, rest[1:]
    return "".join(kept) + ("\x1b[0m" if "\x1b" in line else "")
