"""Conditions of policies as frozen trees: a leaf compares one signal, `all`/`any`/`not` combine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from enforcer.quantities import format_quantity
from enforcer.signals import Signal

NODE = "node"
TARGET = "target"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One signal against one threshold, with the hold time and the separate leaving threshold.

    `index` numbers the leaves of a policy, so that state can be kept per leaf.
    """

    index: int
    signal: Signal
    of: str
    stat: str
    window_sec: float
    above: bool
    threshold: float
    clear: float
    for_sec: float
    max_age_sec: float
    min_samples: int

    def beyond(self, value: float) -> bool:
        """Is the value past the entering threshold?"""
        return value > self.threshold if self.above else value < self.threshold

    def cleared(self, value: float) -> bool:
        """Is the value past the leaving threshold, on the calm side?"""
        return value < self.clear if self.above else value > self.clear

    def text(self) -> str:
        """For people and records: `memory.usedRatio mean 5s > 90 %`."""
        stat = "" if self.stat == "last" else f" {self.stat} {self.window_sec:g}s"
        sign = ">" if self.above else "<"
        return f"{self.signal.name}{stat} {sign} {format_quantity(self.threshold, self.signal.unit)}"


@dataclass(frozen=True, slots=True)
class Every:
    """True if all parts are."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """True if any part is."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True if the part is known to be false; what is unknown stays unknown."""

    part: Condition


Condition: TypeAlias = Leaf | Every | Either | Not


def leaves(condition: Condition) -> Iterator[Leaf]:
    """The leaves of a tree from left to right."""
    match condition:
        case Leaf():
            yield condition
        case Not(part):
            yield from leaves(part)
        case Every(parts) | Either(parts):
            for part in parts:
                yield from leaves(part)
