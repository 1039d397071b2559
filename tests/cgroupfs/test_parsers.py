"""Every parser, on anything at all: a value or a `ParseError`, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import ParseError
from cgroupfs.blkio import parse_cost_wait, parse_io_stat, parse_operations, parse_wait
from cgroupfs.cpu import (
    make_cpu_stat_parser,
    make_usage_parser,
    make_v1_bandwidth_parser,
    parse_cpu_max,
    parse_percpu,
)
from cgroupfs.devices import parse_devices_list
from cgroupfs.freezer import parse_events, parse_v1_state
from cgroupfs.io_limits import parse_io_max, parse_throttle
from cgroupfs.io_settings import parse_latency, parse_nested, parse_weights
from cgroupfs.memory import make_v1_stat_parser, make_v2_stat_parser
from cgroupfs.memory_events import parse_memory_events, parse_oom_control
from cgroupfs.misc import parse_limits, parse_rdma
from cgroupfs.mounts import parse_mountinfo, parse_proc_cgroups
from cgroupfs.net import parse_net_dev
from cgroupfs.net_marks import parse_ifpriomap
from cgroupfs.numa import parse_numa_stat
from cgroupfs.pressure import parse_pressure
from cgroupfs.statistic import parse_number
from cgroupfs.values import (
    parse_flag,
    parse_flat,
    parse_int,
    parse_limit,
    parse_list,
    parse_signed,
    parse_v1_limit,
)
from tests import trees

TEXT_PARSERS: dict[str, Callable[[str], object]] = {
    "int": lambda text: parse_int(text, "x"),
    "signed": lambda text: parse_signed(text, "x"),
    "limit": lambda text: parse_limit(text, "x"),
    "v1 limit": lambda text: parse_v1_limit(text, "x"),
    "flag": lambda text: parse_flag(text, "x"),
    "flat": lambda text: parse_flat(text, "x"),
    "list": lambda text: parse_list(text, "x"),
    "cpu.max": parse_cpu_max,
    "throttle": lambda text: parse_throttle(text, "x"),
    "weight": lambda text: parse_weights(text, "x"),
    "io.max": parse_io_max,
    "io.latency": parse_latency,
    "io.cost.qos": lambda text: parse_nested(text, "io.cost.qos"),
    "io_wait_time": parse_wait,
    "cost.wait": parse_cost_wait,
    "misc.max": lambda text: parse_limits(text, "misc.max"),
    "rdma.max": lambda text: parse_rdma(text, "rdma.max"),
    "memory.events": lambda text: parse_memory_events(text, None),
    "usage_percpu": parse_percpu,
    "devices.list": parse_devices_list,
    "cgroup.events": parse_events,
    "freezer.state": parse_v1_state,
    "memory.oom_control": parse_oom_control,
    "mountinfo": parse_mountinfo,
    "proc cgroups": parse_proc_cgroups,
    "ifpriomap": parse_ifpriomap,
    "numa_stat v1": lambda text: parse_numa_stat(text, "hierarchical_anon", "hierarchical_file", 4096),
    "numa_stat v2": lambda text: parse_numa_stat(text, "anon", "file", 1),
}
BYTES_PARSERS: dict[str, Callable[[], Callable[[bytes], object]]] = {
    "number": lambda: parse_number("x"),
    "v1 cpu.stat": make_v1_bandwidth_parser,
    "cpu.stat usage": make_usage_parser,
    "v2 cpu.stat": make_cpu_stat_parser,
    "v1 memory.stat": make_v1_stat_parser,
    "v2 memory.stat": make_v2_stat_parser,
    "operations": lambda: parse_operations,
    "io.stat": lambda: parse_io_stat,
    "pressure": lambda: parse_pressure,
    "net/dev": lambda: parse_net_dev,
}
REAL_TEXTS = sorted(set(trees.parse((trees.HERE / "hybrid-6.18.txt").read_text()).values()))
PIECES = """0 1 -1 max some full avg10=0.00 avg60=1.5 avg300=nan total=3 total=x 8:0 Read Write Total
anon=1 N0=3 Nx=1 hierarchical_anon=0 file a *:* rwm eth0: - cgroup cgroup2 rw,cpu / \\040 0-3,7 3-1 ,
usage_usec rbytes=1 rbytes= FROZEN populated 1_0 ٣"""
WORDS = st.lists(st.sampled_from([*PIECES.split(), "\n", "\t", "\0"]))
JUNK = st.text() | WORDS.map(" ".join)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A real file with a piece replaced."""
    text = draw(st.sampled_from(REAL_TEXTS))
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(JUNK) + text[at + draw(st.integers(0, 20)) :]


@pytest.mark.parametrize("name", TEXT_PARSERS)
@given(text=JUNK | damaged() | st.sampled_from(REAL_TEXTS))
def test_a_text_parser_gives_a_value_or_a_parse_error(name: str, text: str) -> None:
    try:
        TEXT_PARSERS[name](text)
    except ParseError as e:
        assert "\n" not in str(e)


@pytest.mark.parametrize("name", BYTES_PARSERS)
@given(
    raws=st.lists(st.binary() | (JUNK | damaged() | st.sampled_from(REAL_TEXTS)).map(str.encode), max_size=3)
)
def test_a_bytes_parser_gives_a_value_or_a_parse_error_whatever_it_saw_before(
    name: str, raws: list[bytes]
) -> None:
    parse = BYTES_PARSERS[name]()
    for raw in raws:
        try:
            parse(raw)
        except ParseError as e:
            assert "\n" not in str(e)
