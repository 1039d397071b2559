"""What a caller may ask for, and what is refused with the field's name before anything is made."""

import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher import BadSpec, ContainerSpec, parse_signal
from launcher.spec import parse_name

GOOD: dict[str, Any] = {"name": "web", "rootfs": "/srv/root", "command": ["sleep", "1"]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../x"),
        ("name", ".."),
        ("name", ""),
        ("name", "a/b"),
        ("name", "a\0b"),
        ("name", "a\n"),
        ("name", "n" * 300),
        ("name", "-rf"),
        ("name", ".hidden"),
        ("name", "naïve"),
        ("name", 7),
        ("name", "tasks"),
        ("name", "cgroup.procs"),
        ("name", "memory.some_file_to_come"),
        ("rootfs", "relative/root"),
        ("rootfs", ""),
        ("rootfs", "/a\0b"),
        ("rootfs", "/" + "a" * 5000),
        ("rootfs", "/\udfff"),
        ("command", []),
        ("command", [""]),
        ("command", "sleep 1"),
        ("command", ["sleep", 1]),
        ("command", ["sleep", "1\0"]),
        ("command", ["echo", "x" * (1 << 21)]),
        ("env", {"A=B": "c"}),
        ("env", {"": "c"}),
        ("env", {"A": "b\0"}),
        ("env", ["A=b"]),
        ("workdir", "tmp"),
        ("user", ""),
        ("user", "0x0"),
        ("user", "0 "),
        ("user", "12abc"),
        ("user", "4294967295"),
        ("user", "1:2:3"),
        ("user", "root:"),
        ("hostname", "a_b"),
        ("hostname", "h" * 65),
        ("hostname", "x\n"),
        ("network", "bridges"),
        ("network", 0),
        ("limits", [1]),
        ("limits", {1: 2}),
        ("labels", {"a": 1}),
        ("class", "gold"),
        ("cap_add", ["NET_EVERYTHING"]),
        ("cap_drop", "ALL"),
        ("read_only", "yes"),
        ("stop_signal", "SIGNONE"),
        ("stop_signal", 0),
        ("stop_signal", 4711),
        ("stop_timeout_sec", -1),
        ("stop_timeout_sec", float("nan")),
        ("stop_timeout_sec", True),
        ("memory", "64M"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused_with_its_field(field: str, value: object) -> None:
    with pytest.raises(BadSpec) as refused:
        ContainerSpec.from_wire(GOOD | {field: value})

    assert refused.value.field == field
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", ["memory", "cpu-1", "tasks2", "my.memory.max", "memoryhog.1"])
def test_names_that_resemble_kernel_files_are_taken(name: str) -> None:
    assert parse_name(name) == name


def test_zero_is_no_limit_for_memory() -> None:
    with pytest.raises(BadSpec, match="memory_max_bytes: 0 is no limit for memory: leave it out, or say max"):
        ContainerSpec.from_wire(GOOD | {"limits": {"memory_max_bytes": 0}})


@pytest.mark.parametrize("field", ["rootfs", "command"])
def test_what_a_container_cannot_be_without_is_asked_for(field: str) -> None:
    wire = {key: value for key, value in GOOD.items() if key != field}

    with pytest.raises(BadSpec, match=f"{field}: is required"):
        ContainerSpec.from_wire(wire)


def test_a_spec_survives_the_way_over_the_wire() -> None:
    spec = ContainerSpec.from_wire(
        GOOD
        | {"env": {"A": "b"}, "class": "besteffort", "limits": {"pids_max": 5}, "cap_add": ["cap_net_raw"]}
    )

    assert ContainerSpec.from_wire(spec.to_wire()) == spec
    assert spec.klass == "besteffort"
    assert spec.cap_add == ("NET_RAW",)


def test_a_container_without_a_name_gets_one_of_its_own() -> None:
    wire = {key: value for key, value in GOOD.items() if key != "name"}

    first, second = ContainerSpec.from_wire(wire), ContainerSpec.from_wire(wire)

    assert first.name != second.name
    assert parse_name(first.name) == first.name


def test_image_and_hostname_default_to_the_root_and_the_name() -> None:
    spec = ContainerSpec.from_wire(GOOD | {"name": "web_1."})

    assert spec.image == "/srv/root"
    assert spec.hostname == "web-1"


@pytest.mark.parametrize("text", ["TERM", "sigterm", "SIGTERM", "15", 15])
def test_a_signal_has_many_spellings(text: object) -> None:
    assert parse_signal(text) == signal.SIGTERM


def test_a_real_time_signal_goes_by_its_number() -> None:
    assert ContainerSpec.from_wire(GOOD | {"stop_signal": "37"}).stop_signal == "37"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*ContainerSpec.from_wire(GOOD).to_wire(), "bogus"]), json_values))
def test_any_json_is_a_spec_or_a_refusal_and_nothing_else(wire: dict[str, Any]) -> None:
    try:
        spec = ContainerSpec.from_wire(GOOD | wire)
    except BadSpec:
        return

    assert "/" not in spec.name
    assert spec.rootfs.startswith("/")


@given(st.text())
def test_a_name_that_passes_is_safe_as_a_file_name(text: str) -> None:
    try:
        name = parse_name(text)
    except BadSpec:
        return

    assert name.isascii()
    assert 1 <= len(name) <= 63
    assert not set(name) & set("/\0\n ")
    assert name not in (".", "..")
