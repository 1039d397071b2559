"""JSON by the interpreter's own scanner says what the package says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgwarden import quickjson

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_any_value_is_written_and_read_as_by_the_package(value: object) -> None:
    text = json.dumps(value)

    assert quickjson.dumps(value) == text
    assert quickjson.loads(f" {text}\r\n".encode()) == value
    assert quickjson.loads(json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")) == value


@given(st.text() | st.text(alphabet='[]{},:"\\\\truefalsn0.eE+- '))
def test_what_the_package_refuses_is_refused_and_nothing_else(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            quickjson.loads(text)
    else:
        assert repr(quickjson.loads(text)) == repr(expected)


def test_what_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        quickjson.loads(b'"\xff"')


def test_what_is_no_json_is_not_written() -> None:
    with pytest.raises(TypeError, match="a bytes is not JSON"):
        quickjson.dumps({"a": b""})
