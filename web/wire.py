"""Domain values as JSON: absent stays null, unlimited is "max", tuples with names become objects."""

import datetime
import enum
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

_JSON: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_PLAIN: Final = (str, int, bool, type(None))
_PLAIN_TYPES: Final = frozenset(_PLAIN)


def to_wire(value: object) -> Any:
    """Any domain value as plain JSON types."""
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return value
    if kind is float:
        return value if math.isfinite(value) else None  # type: ignore[arg-type]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    return _compound_to_wire(value)


def _compound_to_wire(value: object) -> Any:
    if hasattr(value, "to_wire"):
        return value.to_wire()
    if field_names(type(value)) is not None:
        return fields_to_wire(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [to_wire(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def fields_to_wire(value: Any) -> dict[str, Any]:
    """A named tuple or a dataclass, field by field. Quick: the list has two of them per container."""
    fields = {name: getattr(value, name) for name in field_names(type(value)) or ()}
    return {
        name: item if type(item) in _PLAIN_TYPES else to_wire(item)  # spares most of the calls
        for name, item in fields.items()
    }


def field_names(kind: type) -> tuple[str, ...] | None:
    """The names of a named tuple's or a dataclass's fields; None for other types."""
    names: tuple[str, ...] | None = getattr(kind, "_fields", None)
    # Not dataclasses.fields(), which takes as long as all else that is done with a container's limits.
    fields: dict[str, Any] | None = getattr(kind, "__dataclass_fields__", None)
    return names if fields is None else tuple(fields)


def encode(value: object) -> bytes:
    """Compact JSON in ASCII, so that bytes a container chose can never break it."""
    return _JSON.encode(value).encode("ascii")


def reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer from plain JSON types."""
    return Response(encode(value), status, headers, "application/json")


def rfc3339(unix_sec: float) -> str:
    """A wall clock time as it stands in every document: UTC, milliseconds."""
    moment = datetime.datetime.fromtimestamp(unix_sec, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
