"""What one input must do, whoever made it: atheris, hypothesis, or the plain mutator.

A value or a `ParseError`, and the same one whatever the parser saw before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cgroupfs.errors import ParseError
from tests.fuzz.targets import Parse, Target

CORPUS: Final = Path(__file__).parent / "corpus"
SEPARATOR: Final = b"\n---\n"  # stands between inputs that one parser sees in turn
MOST_SHOWN: Final = 2000  # an error is one line for people


def check(target: Target, data: bytes) -> int:
    """Parse each part of `data` with one parser and with a new one; how many parts had a value."""
    parse, good = target.make(), 0
    for part in data.split(SEPARATOR):
        value = parse_once(parse, part)
        alone = parse_once(target.make(), part)
        if repr(value) != repr(alone):  # repr also fails on a number that no kernel prints
            raise AssertionError(f"{value!r} after other inputs, {alone!r} alone")
        good += not isinstance(value, ParseError)
    return good


def parse_once(parse: Parse, raw: bytes) -> object:
    """The value, or the ParseError as a value."""
    try:
        return parse(raw)
    except ParseError as e:
        if "\n" in str(e) or len(str(e)) > MOST_SHOWN:
            raise AssertionError("an error is one line that a person can read") from e
        return e


def read_seeds(target: Target) -> list[bytes]:
    """The target's files in the corpus, in the order of their names."""
    return [path.read_bytes() for path in sorted((CORPUS / target.name).iterdir())]
