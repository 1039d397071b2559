"""JSON by the interpreter's own scanner and encoder: the package `json` imports regular expressions and
enumerations, which would be a third of a hot verb's time.

Both are what `json` itself calls in CPython, the interpreter that cgwarden is for.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLANK = " \t\n\r"


class _AsJson:
    """How the package has its scanner read: plain Python values."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float  # NaN, Infinity and -Infinity


def _refuse(value: object) -> object:
    raise TypeError(f"a {type(value).__name__} is not JSON")


_scan = make_scanner(_AsJson)  # type: ignore[arg-type]
_encode = make_encoder(None, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True)


def loads(text: bytes | str) -> Any:
    """The value of a document. ValueError: it is none."""
    document = (text.decode() if isinstance(text, bytes) else text).strip(_BLANK)
    try:
        value, end = _scan(document, 0)
    except StopIteration as stop:
        raise ValueError(f"no JSON at character {stop.value}") from None
    if end != len(document):
        raise ValueError(f"more than one JSON document, from character {end} on")
    return value


def dumps(value: object) -> str:
    """As the package's, in ASCII."""
    return "".join(_encode(value, 0))
