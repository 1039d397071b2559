"""Strict reading of mappings: every key is known, supported and of the right type, or the error helps."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from enforcer.document import Node
from enforcer.fields import Unit
from enforcer.quantities import BadQuantity, parse_quantity


class Keys:
    """A mapping node with a fixed set of keys; `later` are keys of the full grammar that do not work yet."""

    def __init__(self, node: Node, known: Iterable[str], *, later: Iterable[str] = ()) -> None:
        self.node = node
        self._values = _mapping(node)
        known = tuple(known)
        for key, place in node.key_places.items():
            path = f"{node.path}.{key}" if node.path else key
            if key in later:
                raise place.error(f"{path}: not supported yet")
            if key not in known:
                raise place.error(f"{path}: unknown key{did_you_mean(key, known)}")

    def has(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> Node | None:
        """The key's node; None where the key is not given."""
        return self._values.get(key)

    def need(self, key: str) -> Node:
        """The key's node; an error at the mapping where it is missing."""
        node = self._values.get(key)
        if node is None:
            raise self.node.error(f'the key "{key}" is missing')
        return node

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and not self.has(key):
            return default
        return read_text(self.need(key))

    def choice(self, key: str, options: Sequence[str], default: str | None = None) -> str:
        if default is not None and not self.has(key):
            return default
        return read_choice(self.need(key), options)

    def flag(self, key: str, default: bool) -> bool:
        node = self.get(key)
        if node is None:
            return default
        if not isinstance(node.value, bool):
            raise node.error(f"must be true or false, not {node.kind()}")
        return node.value

    def integer(self, key: str, low: int, high: int, default: int) -> int:
        node = self.get(key)
        if node is None:
            return default
        if not isinstance(node.value, int) or isinstance(node.value, bool):
            raise node.error(f"must be a whole number, not {node.kind()}")
        if not low <= node.value <= high:
            raise node.error(f"{node.value} is not between {low} and {high}")
        return node.value

    def quantity(self, key: str, unit: Unit, default: float | None = None) -> float:
        if default is not None and not self.has(key):
            return default
        return read_quantity(self.need(key), unit)

    def optional(self, key: str, unit: Unit) -> float | None:
        node = self.get(key)
        return None if node is None else read_quantity(node, unit)

    def duration(self, key: str, default: float, *, low: float = 0.0, high: float = 86400.0) -> float:
        """Seconds between `low` and `high`."""
        value = self.quantity(key, Unit.SECONDS, default)
        if not low <= value <= high:
            node = self.get(key) or self.node
            raise node.error(f"{value:g}s is not between {low:g}s and {high:g}s")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        node = self.get(key)
        return () if node is None else tuple(read_text(item) for item in items_of(node))

    def fields(self) -> list[tuple[str, Node]]:
        """Every key that was given, with its node."""
        return list(self._values.items())

    def items(self, key: str) -> list[Node]:
        node = self.get(key)
        return [] if node is None else items_of(node)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)` where something known is close, else ` (known: ...)`."""
    known = tuple(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if not close:
        lower = {name.lower(): name for name in known}
        close = [lower[word.lower()]] if word.lower() in lower else []
    if close:
        return f' (did you mean "{close[0]}"?)'
    return f" (known: {', '.join(known)})" if 0 < len(known) <= 12 else ""


def read_text(node: Node) -> str:
    """A text that is not empty."""
    if not isinstance(node.value, str) or not node.value:
        raise node.error(f"must be a text, not {node.kind()}")
    return node.value


def read_choice(node: Node, options: Sequence[str]) -> str:
    """One of `options`."""
    text = read_text(node)
    if text not in options:
        raise node.error(f'"{text}" is not one of {", ".join(options)}{_closest(text, options)}')
    return text


def _closest(text: str, options: Sequence[str]) -> str:
    close = difflib.get_close_matches(text, options, n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""


def read_quantity(node: Node, unit: Unit) -> float:
    """A quantity in `unit`; plain integers are taken for counts alone, as everything else has a unit."""
    if isinstance(node.value, bool) or not isinstance(node.value, (str, int)):
        raise node.error(f"must be a quantity, not {node.kind()}")
    try:
        return parse_quantity(str(node.value), unit)
    except BadQuantity as e:
        raise node.error(str(e)) from e


def items_of(node: Node) -> list[Node]:
    """The items of a list."""
    if not isinstance(node.value, list):
        raise node.error(f"must be a list, not {node.kind()}")
    return node.value


def mapping_of(node: Node) -> dict[str, Node]:
    """A mapping with free keys, such as labels."""
    return _mapping(node)


def _mapping(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        raise node.error(f"must be a mapping, not {node.kind()}")
    return node.value
