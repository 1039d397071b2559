"""The `when` part of a policy: `all`, `any`, `not` and leaves, at most three levels deep."""

from __future__ import annotations

import math
from collections.abc import Iterator

from enforcer.conditions import TARGET, Condition, Either, Every, Leaf, Not
from enforcer.document import Node
from enforcer.keys import Keys, did_you_mean, items_of, read_quantity, read_text
from enforcer.signals import SIGNALS, STATS, Signal

MAX_DEPTH = 3
_LEAF = (
    "signal",
    "of",
    "stat",
    "window",
    "above",
    "below",
    "clear",
    "for",
    "maxAge",
    "minSamples",
)
_LATER_SIGNALS = (
    "probe.",
    "slo.",
    "swap.",
    "memory.events.",
    "memory.scanRate",
    "memory.refaultRate",
    "io.cost",
)
_LATER_OF = ("parent", "protected")


def read_when(node: Node, *, max_age_sec: float) -> Condition:
    """The condition tree; its leaves are numbered from left to right."""
    return _read(node, 1, iter(range(10_000)), max_age_sec)


def _read(node: Node, depth: int, numbers: Iterator[int], max_age_sec: float) -> Condition:
    if depth > MAX_DEPTH:
        raise node.error(f"conditions may be nested {MAX_DEPTH} deep")
    value = node.value
    if not isinstance(value, dict) or not {"all", "any", "not"} & value.keys():
        return _read_leaf(node, next(numbers), max_age_sec)
    if len(value) != 1:
        raise node.error('one of "all", "any" and "not" stands alone in its mapping')
    ((word, below),) = value.items()
    if word == "not":
        return Not(_read(below, depth + 1, numbers, max_age_sec))
    parts = tuple(_read(part, depth + 1, numbers, max_age_sec) for part in items_of(below))
    if not parts:
        raise below.error("must hold at least one condition")
    return Every(parts) if word == "all" else Either(parts)


def _read_leaf(node: Node, index: int, max_age_sec: float) -> Leaf:
    keys = Keys(node, _LEAF, later=("trigger",))
    signal = _read_signal(keys.need("signal"))
    above, threshold = _read_threshold(keys, signal)
    stat = keys.choice("stat", STATS, "last")
    window_sec = _read_window(keys, signal, stat)
    return Leaf(
        index=index,
        signal=signal,
        of=_read_of(keys, signal),
        stat=stat,
        window_sec=window_sec,
        above=above,
        threshold=threshold,
        clear=_read_clear(keys, signal, above, threshold),
        for_sec=keys.duration("for", 0.0, high=3600.0),
        max_age_sec=keys.duration("maxAge", max_age_sec, low=0.1, high=60.0),
        min_samples=keys.integer("minSamples", 1, 3600, max(1, math.ceil(window_sec / 3))),
    )


def _read_signal(node: Node) -> Signal:
    name = read_text(node)
    signal = SIGNALS.get(name)
    if signal is None:
        if name.startswith(_LATER_SIGNALS):
            raise node.error(f'the signal "{name}" is not supported yet')
        raise node.error(f'unknown signal "{name}"{did_you_mean(name, SIGNALS)}')
    return signal


def _read_threshold(keys: Keys, signal: Signal) -> tuple[bool, float]:
    if keys.has("above") == keys.has("below"):
        raise keys.node.error('exactly one of "above" and "below" must be given')
    word = "above" if keys.has("above") else "below"
    return word == "above", keys.quantity(word, signal.unit)


def _read_clear(keys: Keys, signal: Signal, above: bool, threshold: float) -> float:
    node = keys.get("clear")
    if node is None:
        return threshold * (0.9 if above else 1.1)
    clear = read_quantity(node, signal.unit)
    if clear > threshold if above else clear < threshold:
        side = "above" if above else "below"
        raise node.error(f'the leaving threshold must not lie {side} the entering one ("{side}")')
    return clear


def _read_of(keys: Keys, signal: Signal) -> str:
    default = TARGET if TARGET in signal.of else "node"
    node = keys.get("of")
    if node is None:
        return default
    whom = read_text(node)
    if whom in _LATER_OF:
        raise node.error(f'"{whom}" is not supported yet')
    if whom not in signal.of:
        raise node.error(f'{signal.name} is known of {" or ".join(sorted(signal.of))}, not of "{whom}"')
    return whom


def _read_window(keys: Keys, signal: Signal, stat: str) -> float:
    """Seconds; 0 where only the last value counts. For slopes it is the span of the regression."""
    if stat == "last" and not signal.span:
        if keys.has("window"):
            raise keys.need("window").error('has no meaning where "stat" is last')
        return 0.0
    if signal.span:
        if stat != "last":
            raise keys.need("stat").error(f"{signal.name} is taken over a window already: leave it out")
        return keys.duration("window", 0.0, low=4.0, high=60.0) if keys.has("window") else 0.0
    if not keys.has("window"):
        raise keys.node.error(f'the key "window" is missing: {stat} over which time?')
    return keys.duration("window", 0.0, low=1.0, high=600.0)
