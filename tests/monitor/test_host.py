"""The host's totals: arithmetic on set samples, and the truth of the running kernel."""

import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import PressureStat
from monitor import HOST_METRICS, HostSample, NumaNode
from monitor.host import Host, host_usage, metric_values, parse_node, read_nodes

NO_PRESSURE = PressureStat(None, None, None)
IDLE = HostSample(
    taken_at=100.0,
    cpu_user_sec=50.0,
    cpu_system_sec=20.0,
    memory_total_bytes=1000,
    memory_available_bytes=250,
    swap_total_bytes=0,
    swap_used_bytes=0,
    io_read_bytes=0,
    io_write_bytes=0,
    io_reads=0,
    io_writes=0,
    net_rx_bytes=900,
    net_tx_bytes=0,
    load1=0.5,
    load5=0.25,
    load15=0.125,
    pressure=NO_PRESSURE,
    nodes=(),
)


def test_the_first_sample_of_the_host_has_levels_and_no_rates() -> None:
    usage = host_usage(None, IDLE)

    assert (usage.memory_available_fraction, usage.memory_used_bytes, usage.load1) == (0.25, 750, 0.5)
    assert (usage.cpu_used_cores, usage.cpu_used_fraction, usage.io_reads_per_sec) == (None, None, None)


def test_rates_of_the_host_are_told_between_two_samples() -> None:
    later = IDLE._replace(
        taken_at=110.0, cpu_user_sec=52.0, cpu_system_sec=21.0, io_write_bytes=500, net_rx_bytes=0
    )

    usage = host_usage(IDLE, later)

    assert usage.cpu_used_cores == pytest.approx(0.3)
    assert usage.cpu_used_fraction == pytest.approx(0.3 / (os.cpu_count() or 1))
    assert (usage.io_write_bytes_per_sec, usage.io_read_bytes_per_sec) == (50.0, 0.0)
    assert usage.net_rx_bytes_per_sec is None  # a link went, and its counters with it


def test_more_cores_than_there_are_are_never_in_use() -> None:
    later = IDLE._replace(taken_at=101.0, cpu_user_sec=5000.0)

    assert host_usage(IDLE, later).cpu_used_fraction == 1.0


def test_memory_of_a_node_is_in_bytes() -> None:
    text = (
        "Node 1 MemTotal:        4028440 kB\nNode 1 MemFree:         1000 kB\nNode 1 HugePages_Total:     0\n"
    )

    assert parse_node(1, text) == NumaNode(1, 4028440 * 1024, 1000 * 1024)


@given(st.text())
def test_whatever_a_node_says_its_numbers_are_whole(text: str) -> None:
    node = parse_node(0, text)

    assert node.memory_total_bytes >= 0
    assert node.memory_free_bytes >= 0


def test_nodes_come_in_order_and_a_kernel_without_numa_has_none(tmp_path: Path) -> None:
    for node in (10, 2):
        (tmp_path / f"node{node}").mkdir()
        (tmp_path / f"node{node}/meminfo").write_text(f"Node {node} MemTotal: 1 kB\n")

    assert [node.node for node in read_nodes(tmp_path)] == [2, 10]
    assert read_nodes(tmp_path / "none") == ()


def test_the_running_host_gives_sound_numbers() -> None:
    host = Host()
    host.read(0, 100.0)

    usage = host.read(1, 101.0)

    assert 0 < usage.memory_available_bytes < usage.memory_total_bytes
    assert usage.cpu_used_fraction is not None
    assert 0 <= usage.cpu_used_fraction <= 1
    values = metric_values(usage)
    assert len(values) == len(HOST_METRICS)
    assert all(value is None or (math.isfinite(value) and value >= 0) for value in values)
