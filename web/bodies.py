"""Request bodies: strict JSON objects, and typed fields out of them, without a model class per route.

Strict means: UTF-8, finite numbers, no key twice, no lone surrogates, no key that nobody reads; each refusal
names its place by a JSON pointer. The size is capped where the bytes arrive, in `server`.
"""

import json
import math
from collections import Counter
from typing import Any, Final

from starlette.requests import Request

from web.problems import MEDIA_TYPE, BadRequest, Invalid, Problem, at

_JSON_TYPES: Final = ("application/json", "application/merge-patch+json")


async def read_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object; an absent body is an empty one."""
    body = await request.body()
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _JSON_TYPES:
        raise Problem(f"the body is {kind or 'of no named type'}", kind=MEDIA_TYPE)
    if "content-encoding" in request.headers:
        raise Problem("compressed bodies are not read here", kind=MEDIA_TYPE)
    return parse_object(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object; BadRequest with a pointer for anything else."""
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text, parse_float=_finite, parse_constant=_refuse_constant, object_pairs_hook=_without_doubles
        )
    except RecursionError:
        raise BadRequest("the JSON is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8 (at byte {error.start})") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object", [at("", f"this is {_kind_of(value)}")])
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


class Fields:
    """One JSON object being read: each accessor takes a key, and `finish` refuses keys that nobody took."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        self._known: list[str] = []

    def text(self, key: str, *, most: int = 1000) -> str | None:
        """A string of at most `most` characters."""
        value = self._take(key)
        if value is not None and not isinstance(value, str):
            raise _wrong(key, "a string", value)
        if value is not None and (len(value) > most or "\0" in value):
            raise Invalid(f"{key} is too long or holds a NUL", [at(f"/{key}", f"at most {most} characters")])
        return value

    def flag(self, key: str) -> bool:
        """A boolean; false when absent."""
        value = self._take(key)
        if value is not None and not isinstance(value, bool):
            raise _wrong(key, "true or false", value)
        return bool(value)

    def number(self, key: str, *, least: float, most: float) -> float | None:
        """A number within [least, most]."""
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(key, "a number", value)
        if not least <= value <= most:
            raise Invalid(
                f"{key} must be from {least:g} to {most:g}", [at(f"/{key}", f"{value} is out of range")]
            )
        return float(value)

    def word_or_number(self, key: str) -> str | int | None:
        """A string or a whole number, such as a signal's name or number."""
        value = self._take(key)
        if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
            return value
        raise _wrong(key, "a name or a whole number", value)

    def texts(self, key: str, *, most: int) -> list[str] | None:
        """A list of strings."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > most:
            raise _wrong(key, f"a list of at most {most} strings", value)
        for position, item in enumerate(value):
            if not isinstance(item, str) or "\0" in item:
                raise _wrong(f"{key}/{position}", "a string without NUL", item)
        return value

    def mapping(self, key: str) -> dict[str, str] | None:
        """An object whose values are strings."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _wrong(key, "an object", value)
        for name, item in value.items():
            if not isinstance(item, str):
                raise _wrong(f"{key}/{escape(name)}", "a string", item)
        return value

    def finish(self) -> None:
        """Refuse what is left: a mistyped key must not be taken for the default."""
        if unknown := [key for key in self._body if key not in self._known]:
            known = ", ".join(self._known) or "none"
            raise Invalid(
                f"unknown key {unknown[0]!r} (known here: {known})",
                [at(f"/{escape(key)}", "unknown key") for key in unknown[:20]],
            )

    def _take(self, key: str) -> Any:
        self._known.append(key)
        return self._body.get(key)


def escape(key: str) -> str:
    """A key as it stands in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _wrong(key: str, wanted: str, value: object) -> Invalid:
    return Invalid(f"{key} must be {wanted}", [at(f"/{key}", f"this is {_kind_of(value)}")])


def _kind_of(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        count = Counter(key for key, _ in pairs)
        doubled = count.most_common(1)[0][0]
        raise ValueError(f"the key {doubled[:40]!r} stands twice in one object")
    return found


def _refuse_surrogates(value: dict[str, Any]) -> None:
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and not item.isascii() and any("\ud800" <= c <= "\udfff" for c in item):
            raise BadRequest("the body holds half of a surrogate pair, which is no text")
