"""Text that no kernel prints: each way in which a parser says so."""

from __future__ import annotations

import pytest

from cgroupfs import ParseError
from tests.fuzz.targets import TARGETS

GARBAGE = [
    ("cpu.make_cpu_stat_parser", "usage_usec 1\nuser_usec 1\n"),
    ("cpu.make_cpu_stat_parser", "usage_usec 1\nuser_usec 1\nsystem_usec -1\n"),
    ("cpu.make_cpu_stat_parser", "usage_usec 1\nuser_usec 1\nsystem_usec " + "9" * 70),
    ("cpu.make_cpu_stat_parser", "usage_usec 1 user_usec\n"),
    ("cpu.parse_cpu_max", "max\n"),
    ("cpu.parse_cpu_max", "50000 0\n"),
    ("device_rules.parse_rule", "c 1-3 rwm"),
    ("device_rules.parse_rules", "allow a"),
    ("device_rules.parse_rules", "deny a; admit c 1:3 r"),
    ("freezer.parse_v1_state", "COLD\n"),
    ("io_limits.parse_io_max", "8:0 rbps=1 speed=2\n"),
    ("io_settings.parse_nested", "8:0 enable=\n"),
    ("io_settings.parse_weights", "8:0 100\n"),
    ("io_traffic.parse_io_stat", "sda rbytes=1 wbytes=1 rios=1 wios=1\n"),
    ("io_traffic.parse_io_stat", "8:0 rbytes=1 wbytes=1 rios=1\n"),
    ("io_traffic.parse_io_stat", "8:0 rbytes=1_0 wbytes=1 rios=1 wios=1\n"),
    ("io_traffic.parse_operations", "8:0 Read 1 2\n"),
    ("io_traffic.parse_operations", "8:0 Read 1\nTotal 1\n"),
    ("io_traffic.parse_wait", "8:0\n"),
    ("misc.parse_limits", " max\n"),
    ("misc.parse_rdma", "mlx4_0\n"),
    ("mounts.parse_proc_cgroups", "cpu 1 1\n"),
    ("mounts.parse_mountinfo", "1 2 0:1 / / rw - cgroup\n"),
    ("namespace.parse_proc_cgroup", "0:web\n"),
    ("net.parse_net_dev", "a\nb\nlo: 1 2 3\n"),
    ("numa.parse_numa_stat.v2", "anon N0=1\nfile N1=1\n"),
    ("numa.parse_numa_stat.v2", "anon 0=1\nfile 0=1\n"),
    ("numa_nodes.parse_meminfo", "Node 0 MemTotal: 1 kB\n"),
    ("pressure.parse_pressure", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"),
    ("fields.parse_fields", "usage | - | - | - | - | - | -\n"),
    ("fields.parse_fields", "[cpu]\nusage | -\n"),
]


@pytest.mark.parametrize(("parser", "text"), GARBAGE, ids=lambda value: repr(value)[:60])
def test_text_of_another_form_is_a_parse_error(parser: str, text: str) -> None:
    with pytest.raises(ParseError):
        TARGETS[parser].make()(text.encode())


def test_an_error_shows_the_beginning_of_the_text_as_text() -> None:
    assert str(ParseError("cpu.stat", b"usage\xff")) == r"cpu.stat: cannot make sense of 'usage\\xff'"
    assert len(str(ParseError("cpu.stat", "x" * 1000))) < 120
