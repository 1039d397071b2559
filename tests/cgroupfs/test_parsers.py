"""Every parser, on anything at all: a value or a `ParseError`, nothing else, whatever it saw before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import trees
from tests.fuzz.harness import SEPARATOR, check, read_seeds
from tests.fuzz.plain import PIECES
from tests.fuzz.targets import TARGETS, Target

REAL_TEXTS = sorted(
    {text.encode() for text in trees.parse((trees.HERE / "hybrid-6.18.txt").read_text()).values()}
)
WORDS = (
    *(
        "full",
        "avg10=0.00",
        "avg60=1.5",
        "avg300=nan",
        "total=3",
        "total=x",
        "Read",
        "Write",
        "Total",
        "anon=1",
    ),
    *(
        "Nx=1",
        "hierarchical_anon=0",
        "file",
        "a",
        "rwm",
        "eth0:",
        "cgroup",
        "cgroup2",
        "rw,cpu",
        "/",
        "\\040",
    ),
    *("usage_usec", "rbytes=1", "rbytes=", "FROZEN", "populated", "target=1", "hca_handle=max", "0::/"),
)
JUNK = (
    st.binary()
    | st.text().map(str.encode)
    | st.lists(st.sampled_from([*PIECES, *map(str.encode, WORDS), b"\n", b" "])).map(b"".join)
    | st.lists(st.sampled_from([*PIECES, *map(str.encode, WORDS), b"\n"])).map(b" ".join)
)


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good text, or any real one, with a piece replaced."""
    text = draw(st.sampled_from(seeds) | st.sampled_from(REAL_TEXTS))
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(JUNK) + text[at + draw(st.integers(0, 20)) :]


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
@settings(max_examples=50)  # the mutator of tests/fuzz adds 2,000 inputs
@given(data=st.data())
def test_a_parser_gives_a_value_or_a_parse_error(target: Target, data: st.DataObject) -> None:
    seeds = read_seeds(target)
    text = JUNK | damaged(seeds) | st.sampled_from(seeds)

    check(target, SEPARATOR.join(data.draw(st.lists(text, min_size=1, max_size=3))))
