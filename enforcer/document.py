"""YAML text to a tree of nodes that know their line and column, refusing what a policy never needs.

Built from the parser's events rather than from its loader: no alias, anchor or tag is ever followed (so a
bomb costs nothing), nothing is constructed, nesting is bounded, a doubled key is an error, and every node
keeps its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from enforcer.errors import PolicyError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_NODES = 20_000
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(
    r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)", re.IGNORECASE
)
_OLD_BOOLEANS = frozenset({"on", "off", "yes", "no", "y", "n"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file a node stands; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def error(self, what: str) -> PolicyError:
        """The error that names this place."""
        return PolicyError(self.file, self.line, self.column, what)


@dataclass(slots=True)
class Node:
    """A scalar, list or mapping, the path of keys that leads to it, and where it stands.

    A scalar's value is str, int or bool; a list's is list[Node]; a mapping's is dict[str, Node].
    """

    place: Place
    path: str
    value: str | int | bool | list[Node] | dict[str, Node] | None
    key_places: dict[str, Place] = field(default_factory=dict)

    def error(self, what: str) -> PolicyError:
        """The error that names this node: `batch.yaml:14:7: spec.when.for: what`."""
        return self.place.error(f"{self.path}: {what}" if self.path else what)

    def child(self, key: str) -> Node | None:
        """The value under `key` of a mapping; None where there is none."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def kind(self) -> str:
        """What this node is, in a word that a person writing YAML knows."""
        match self.value:
            case bool():
                return "true/false"
            case int():
                return "a number"
            case str():
                return "a text"
            case list():
                return "a list"
            case dict():
                return "a mapping"
            case _:
                return "nothing"


def read_documents(path: str) -> list[Node]:
    """Every document of a file; PolicyError for a file that cannot be read."""
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise PolicyError(name, 0, 0, f"cannot be read: {e.strerror}") from e
    if len(data) > MAX_BYTES:
        raise PolicyError(name, 0, 0, f"is larger than {MAX_BYTES // 1024} KiB, more than any policy needs")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise PolicyError(name, 0, 0, f"is not UTF-8 (byte {e.start})") from e
    return parse_documents(text, name)


def parse_documents(text: str, name: str) -> list[Node]:
    """Every document of a YAML text as a tree; PolicyError, and nothing else, for what it refuses."""
    return list(_documents(_events(text, name), name))


def _events(text: str, name: str) -> Iterator[Any]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        raise PolicyError(
            name, line, column, f"not YAML: {e.problem or e.context or 'cannot be parsed'}"
        ) from e
    except (YAMLError, ValueError) as e:
        raise PolicyError(name, 0, 0, f"not YAML: {str(e).splitlines()[0]}") from e


def _documents(events: Iterator[Any], name: str) -> Iterator[Node]:
    builder = _Builder(name)
    for event in events:
        if isinstance(event, DocumentStartEvent):
            builder = _Builder(name)
        elif isinstance(event, DocumentEndEvent):
            if builder.root is not None and builder.root.value is not None:
                yield builder.root
        else:
            builder.take(event)


class _Builder:
    """Grows one document's tree event by event, with a stack instead of recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Node | None = None
        self._open: list[Node] = []
        self._key: list[str | None] = []
        self._nodes = 0

    def take(self, event: Any) -> None:
        place = Place(self.name, event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise place.error("anchors and aliases are not accepted: write the value out")
        match event:
            case ScalarEvent():
                self._scalar(event, place)
            case MappingStartEvent():
                self._start(event, Node(place, "", {}))
            case SequenceStartEvent():
                self._start(event, Node(place, "", []))
            case MappingEndEvent() | SequenceEndEvent():
                self._open.pop()
                self._key.pop()

    def _start(self, event: Any, node: Node) -> None:
        _refuse_tag(event, node.place)
        self._attach(node)
        if len(self._open) >= MAX_DEPTH:
            raise node.place.error(f"nested more than {MAX_DEPTH} deep")
        self._open.append(node)
        self._key.append(None)

    def _scalar(self, event: Any, place: Place) -> None:
        if self._open and isinstance(self._open[-1].value, dict) and self._key[-1] is None:
            self._take_key(event, place)
            return
        _refuse_tag(event, place)
        value = str(event.value) if event.style else _plain(str(event.value), place)
        self._attach(Node(place, "", value))

    def _take_key(self, event: Any, place: Place) -> None:
        key, parent = str(event.value), self._open[-1]
        if not event.style and key.lower() in _OLD_BOOLEANS:
            raise place.error(f'"{key}" is true/false to older YAML readers: put it in quotes')
        if key in parent.key_places:
            first = parent.key_places[key].line
            raise place.error(
                f'{_joined(parent.path, key)}: the key "{key}" is already there in line {first}'
            )
        parent.key_places[key] = place
        self._key[-1] = key

    def _attach(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise node.place.error("too long: a file may hold 20,000 values")
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent.value, list):
            node.path = f"{parent.path}[{len(parent.value)}]"
            parent.value.append(node)
        elif isinstance(parent.value, dict):
            key = self._key[-1]
            if key is None:
                raise node.place.error("a key must be a plain word")
            node.path = _joined(parent.path, key)
            parent.value[key] = node
            self._key[-1] = None


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _refuse_tag(event: Any, place: Place) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None and str(tag) not in ("", "None", "!"):
        raise place.error(f"the tag {tag} is not accepted: policies are plain data")


def _plain(text: str, place: Place) -> str | int | bool | None:
    """The value of an unquoted scalar, refusing what different YAML readers take differently."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if text.lower() in _OLD_BOOLEANS:
        raise place.error(f'"{text}" is true/false to older YAML readers: put it in quotes or use true/false')
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= 20 else text
    if _FLOAT.fullmatch(text):
        raise place.error(f'"{text}" is a floating-point number: write a quantity with a unit, such as "25%"')
    return text
