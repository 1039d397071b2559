"""Values that come from outside, by the hundred: a client error or a value, and nothing else."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import UNLIMITED, PidsStat
from web.bodies import Fields, parse_object
from web.exposition import Page, label_text
from web.hosts import host_name
from web.problems import Problem
from web.rates import Rate
from web.stream import parse_last_id, parse_topics
from web.wire import encode, rfc3339, to_wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_object_or_a_client_error(body: bytes) -> None:
    try:
        value = parse_object(body)
    except Problem as problem:
        assert problem.kind.status == 400
    else:
        assert isinstance(value, dict)


@given(st.dictionaries(st.sampled_from(["text", "flag", "number", "texts", "mapping", "word"]), JSON))
def test_any_value_of_a_field_has_its_type_or_is_refused_by_pointer(body: dict[str, Any]) -> None:
    fields = Fields(body)
    try:
        text, flag = fields.text("text"), fields.flag("flag")
        number = fields.number("number", least=0, most=10)
        texts, mapping, word = (
            fields.texts("texts", most=3),
            fields.mapping("mapping"),
            fields.word_or_number("word"),
        )
        fields.finish()
    except Problem as problem:
        assert problem.kind.status == 422
        assert problem.errors[0]["pointer"].startswith("/")
    else:
        assert text is None or isinstance(text, str)
        assert isinstance(flag, bool)
        assert number is None or 0 <= number <= 10
        assert texts is None or all(isinstance(item, str) for item in texts)
        assert mapping is None or all(isinstance(item, str) for item in mapping.values())
        assert word is None or isinstance(word, str | int)


@given(st.text())
def test_topics_ids_and_host_names_never_fail_otherwise(text: str) -> None:
    last_id = parse_last_id(text)
    assert last_id is None or 0 <= last_id < 10**18
    assert isinstance(host_name(text), str)
    try:
        assert parse_topics(text)
    except Problem as problem:
        assert problem.kind.status == 422


@given(st.text())
def test_any_label_value_can_be_read_back_by_prometheus_rules(value: str) -> None:
    page = Page()
    page.gauge("x", "About.", 1, label_text(name=value))

    lines = page.encode().decode().split("\n")
    assert len(lines) == 4
    quoted = lines[2].removeprefix('x{name="').removesuffix('"} 1')
    assert '"' not in quoted.replace("\\\\", "").replace('\\"', "")


@given(st.text(alphabet=st.characters()) | st.floats())
def test_whatever_a_container_called_itself_can_be_sent(value: Any) -> None:
    told = json.loads(encode({"value": to_wire(value)}))["value"]

    assert told == (None if isinstance(value, float) and not math.isfinite(value) else value)


def test_absent_unlimited_and_zero_stay_three_values_on_the_wire() -> None:
    assert to_wire({"a": None, "b": UNLIMITED, "c": 0, "d": PidsStat(3), "e": (1, "x")}) == {
        "a": None,
        "b": "max",
        "c": 0,
        "d": {"current": 3},
        "e": [1, "x"],
    }


def test_what_has_no_form_on_the_wire_is_told_at_once() -> None:
    with pytest.raises(TypeError, match="object has no form"):
        to_wire(object())


def test_times_are_utc_with_milliseconds() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"


def test_attempts_come_back_with_time_and_memory_stays_bounded() -> None:
    now = [0.0]
    rate = Rate(2, per_sec=60.0, clock=lambda: now[0])

    assert [rate.allow("a"), rate.allow("a"), rate.allow("a")] == [True, True, False]
    now[0] = 30.0
    assert [rate.allow("a"), rate.allow("a")] == [True, False]
    for number in range(5000):
        rate.allow(str(number))
    assert len(rate._buckets) == 1024
