"""The demo's result: as text for a person, as JSON for a script, and as an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgwarden.cli.limit import show_value
from cgwarden.cli.stats import usage_table
from cgwarden.cli.terminal import bold, paint
from cgwarden.demo.actions import Action
from cgwarden.units import format_bytes

POLICIES = ("memory-headroom", "batch-cpu-suppress", "freeze-before-oom")
_MOST_LINES = 40
_PEAKS = (
    "cpu_cores",
    "memory_usage_bytes",
    "io_write_bytes_per_sec",
    "net_rx_bytes_per_sec",
    "cpu_pressure_fraction",
)


@dataclass(slots=True)
class Result:
    """Everything the demo saw."""

    containers: list[dict[str, Any]] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    peaks: dict[str, dict[str, float]] = field(default_factory=dict)
    sweeps: int = 0
    seconds: float = 0.0

    def see(self, containers: Sequence[dict[str, Any]]) -> None:
        """Take in one look at the containers."""
        self.containers = list(containers)
        for container in containers:
            usage = container.get("usage") or {}
            peaks = self.peaks.setdefault(container["name"], {})
            for metric in _PEAKS:
                if usage.get(metric) is not None:
                    peaks[metric] = max(peaks.get(metric, 0.0), usage[metric])

    @property
    def proven(self) -> bool:
        """Whether a policy changed a limit, and our own look into the kernel found the new value there."""
        return any(action.confirmed for action in self.actions)

    def to_wire(self) -> dict[str, Any]:
        """The report's JSON form."""
        containers = [one | {"peaks": self.peaks.get(one["name"], {})} for one in self.containers]
        return {
            "containers": containers,
            "actions": [action.to_wire() for action in self.actions],
            "sweeps": self.sweeps,
            "seconds": round(self.seconds, 3),
        }

    def write(self, path: str) -> None:
        """Write the JSON form to a file."""
        Path(path).write_text(
            json.dumps(self.to_wire(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    def lines(self) -> Iterator[str]:
        """The text form: what was measured, what was done, and whether that is proven."""
        yield bold(f"Measured in {self.sweeps} sweeps over {self.seconds:.0f} s")
        yield from usage_table(self.containers)
        for name, peaks in sorted(self.peaks.items()):
            yield f"  most seen  {name:8} {_peak_text(peaks)}"
        yield ""
        yield bold("Done by policies")
        if len(self.actions) > _MOST_LINES:
            yield f"the last {_MOST_LINES} of {len(self.actions)}:"
        for action in self.actions[-_MOST_LINES:]:
            yield action_line(action)
        for policy in POLICIES:
            if not any(action.policy == policy for action in self.actions):
                yield f"{policy} had no reason to act"
        confirmed = sum(action.confirmed for action in self.actions)
        yield ""
        yield f"{len(self.actions)} actions, {confirmed} found in the kernel's files by the demo itself"


def action_line(action: Action) -> str:
    """One action in a line: when, who, whom, before -> after, whether the kernel agrees, why."""
    before, after = (show_value(action.field, value) for value in (action.before, action.after))
    kernel = (
        paint("kernel agrees", "green")
        if action.confirmed
        else f"kernel says {show_value(action.field, action.kernel)} by now"
    )
    clock = paint(action.time[11:19], "dim")
    what = f"{action.field} {before} -> {after}"
    return f"{clock}  {action.policy:18}  {action.container:7}  {what}  {kernel}  {action.reason}"


def _peak_text(peaks: Mapping[str, float]) -> str:
    told = []
    if "cpu_cores" in peaks:
        told.append(f"{peaks['cpu_cores']:.2f} CPUs")
    if "memory_usage_bytes" in peaks:
        told.append(f"{format_bytes(peaks['memory_usage_bytes'])} memory")
    if peaks.get("io_write_bytes_per_sec"):
        told.append(f"{format_bytes(peaks['io_write_bytes_per_sec'])}/s written")
    if peaks.get("net_rx_bytes_per_sec"):
        told.append(f"{format_bytes(peaks['net_rx_bytes_per_sec'])}/s received")
    if "cpu_pressure_fraction" in peaks:
        told.append(f"{peaks['cpu_pressure_fraction']:.0%} waiting for CPU")
    return ", ".join(told)
