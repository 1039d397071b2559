"""What a supervisor costs: the memory that is its own, which one container more takes on this host."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Protocol

COUNT = 5
SETTLED_SEC = 0.5
TARGET_KB = 1229  # 1.2 MB


class Side(Protocol):
    def start(self, name: str) -> None: ...
    def remove(self, name: str) -> None: ...


def read_private_kb(pid: int) -> int:
    """Pages that are mapped nowhere else: /proc/PID/smaps_rollup, Private_*."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def measure(side: Side, state_dir: Path) -> list[int]:
    """KB of each of some supervisors beside idle containers, a moment after their start."""
    names = [f"private{number}" for number in range(COUNT)]
    for name in names:
        side.start(name)
    time.sleep(SETTLED_SEC)
    records = [json.loads((state_dir / "containers" / name / "init.json").read_text()) for name in names]
    found = [read_private_kb(record["supervisor_pid"]) for record in records]
    for name in names:
        side.remove(name)
    return found


def report(found: list[int]) -> None:
    kb = statistics.median(found)
    print(f"{'private memory of a supervisor':32} {kb:.0f} KB (at most {max(found)}; target {TARGET_KB})")
