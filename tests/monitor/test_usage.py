"""Usage of two samples: the tables, and what must hold for any two."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import UNLIMITED, DeviceIo, InterfaceCounters, IoStat, Limits, PidsStat
from monitor import Usage, usage_of
from tests.monitor.fakes import make_cpu, make_memory, make_pressure, make_sample


def make_io(read_bytes: int, write_bytes: int, reads: int, writes: int) -> IoStat:
    return IoStat((DeviceIo("8:0", read_bytes, write_bytes, reads, writes, None),))


def make_link(name: str, received: int, sent: int) -> InterfaceCounters:
    return InterfaceCounters(name, received, 0, 0, 0, sent, 0, 0, 0)


def test_cores_are_cpu_time_by_time() -> None:
    before = make_sample(10.0, cpu=make_cpu(1_000_000, user_usec=400_000, system_usec=600_000))
    after = make_sample(12.0, cpu=make_cpu(2_000_000, user_usec=1_200_000, system_usec=800_000))

    usage = usage_of(before, after, Limits(cpu_max_cores=2.0))

    assert usage.cpu_cores == 0.5
    assert usage.cpu_user_cores == 0.4
    assert usage.cpu_system_cores == 0.1
    assert usage.cpu_limit_fraction == 0.25


def test_the_first_sample_tells_levels_and_no_rates() -> None:
    after = make_sample(
        12.0, cpu=make_cpu(7), memory=make_memory(4096), pids=PidsStat(3), io=make_io(1, 2, 3, 4)
    )

    usage = usage_of(None, after, Limits(memory_max_bytes=8192, pids_max=9))

    assert usage == Usage(
        memory_usage_bytes=4096,
        memory_working_set_bytes=4096,
        memory_anon_bytes=0,
        memory_file_bytes=0,
        memory_limit_fraction=0.5,
        pids_current=3,
        memory_max_bytes=8192,
        pids_max=9,
    )


def test_a_namesake_with_another_inode_gives_no_rate() -> None:
    before = make_sample(10.0, inode=1, cpu=make_cpu(100))
    after = make_sample(11.0, inode=2, cpu=make_cpu(200))

    assert usage_of(before, after, None).cpu_cores is None


@pytest.mark.parametrize("later", [10.0, 9.0, 10.0 + 1e-9])
def test_samples_without_time_between_them_give_no_rate(later: float) -> None:
    before, after = make_sample(10.0, cpu=make_cpu(100)), make_sample(later, cpu=make_cpu(200))

    assert usage_of(before, after, None).cpu_cores is None


def test_a_counter_that_fell_gives_no_rate_and_the_others_do() -> None:
    before = make_sample(10.0, cpu=make_cpu(900, user_usec=10), io=make_io(5, 0, 7, 7))
    after = make_sample(11.0, cpu=make_cpu(100, user_usec=500_010), io=make_io(4, 8, 7, 8))

    usage = usage_of(before, after, Limits(cpu_max_cores=1.0))

    assert (usage.cpu_cores, usage.cpu_limit_fraction, usage.cpu_user_cores) == (None, None, 0.5)
    assert (usage.io_read_bytes_per_sec, usage.io_write_bytes_per_sec) == (None, 8.0)
    assert (usage.io_reads_per_sec, usage.io_writes_per_sec) == (0.0, 1.0)


def test_what_the_kernel_does_not_offer_is_none_and_not_zero() -> None:
    assert usage_of(make_sample(10.0), make_sample(11.0), None) == Usage()


def test_no_limit_draws_no_line_and_has_no_fraction() -> None:
    before = make_sample(10.0, cpu=make_cpu(0), memory=make_memory(1))
    after = make_sample(11.0, cpu=make_cpu(9), memory=make_memory(1))

    usage = usage_of(before, after, Limits(UNLIMITED, cpu_max_cores=UNLIMITED, pids_max=UNLIMITED))

    assert (usage.memory_max_bytes, usage.cpu_max_cores, usage.pids_max) == (None, None, None)
    assert (usage.memory_limit_fraction, usage.cpu_limit_fraction) == (None, None)


@pytest.mark.parametrize(
    ("before", "after", "fraction"),
    [
        ((10, 4), (20, 9), 0.5),
        ((10, 4), (10, 4), 0.0),
        ((10, 4), (9, 4), None),
        ((None, None), (None, None), None),
    ],
)
def test_throttling_is_the_fraction_of_periods_that_ran(
    before: Any, after: Any, fraction: float | None
) -> None:
    samples = [
        make_sample(t, cpu=make_cpu(0, periods=periods, throttled_periods=throttled))
        for t, (periods, throttled) in ((1.0, before), (2.0, after))
    ]

    assert usage_of(samples[0], samples[1], None).cpu_throttled_fraction == fraction


def test_pressure_is_stalled_time_by_time_and_never_above_one() -> None:
    before = make_sample(10.0, pressure=make_pressure(0, 0))
    after = make_sample(11.0, pressure=make_pressure(1_000_900, 250_000))

    usage = usage_of(before, after, None)

    assert (usage.cpu_pressure_fraction, usage.memory_pressure_fraction, usage.io_pressure_fraction) == (
        1,
        1,
        1,
    )
    assert (usage.memory_full_pressure_fraction, usage.io_full_pressure_fraction) == (0.25, 0.25)


def test_the_network_counts_all_interfaces_but_loopback() -> None:
    before = make_sample(10.0, net=(make_link("lo", 0, 0), make_link("eth0", 0, 0)), net_taken_at=5.0)
    net = (make_link("lo", 900, 900), make_link("eth0", 100, 50), make_link("eth1", 10, 0))
    after = make_sample(11.0, net=net, net_taken_at=10.0)

    usage = usage_of(before, after, None)

    assert (usage.net_rx_bytes_per_sec, usage.net_tx_bytes_per_sec) == (22.0, 10.0)


def test_network_rates_hold_until_the_network_is_read_again() -> None:
    net = (make_link("eth0", 100, 50),)
    before = make_sample(10.0, net=net, net_taken_at=10.0)
    after = make_sample(11.0, net=net, net_taken_at=10.0)

    usage = usage_of(before, after, None, Usage(net_rx_bytes_per_sec=7.0, net_tx_bytes_per_sec=8.0))

    assert (usage.net_rx_bytes_per_sec, usage.net_tx_bytes_per_sec) == (7.0, 8.0)


def test_a_network_shared_with_the_host_is_nobodys() -> None:
    usage = usage_of(
        make_sample(10.0, net=None), make_sample(11.0, net=None), None, Usage(net_rx_bytes_per_sec=7.0)
    )

    assert (usage.net_rx_bytes_per_sec, usage.net_tx_bytes_per_sec) == (None, None)


counters = st.integers(0, 2**64 - 1)
seconds = st.floats(0, 1e9, allow_nan=False)


@st.composite
def samples(draw: st.DrawFn) -> Any:
    def maybe(value: Any) -> Any:
        return draw(st.none() | st.just(value))

    cpu = make_cpu(*draw(st.tuples(counters)), user_usec=maybe(draw(counters)), periods=draw(counters),
                   throttled_periods=draw(counters))  # fmt: skip
    return make_sample(
        draw(seconds),
        inode=draw(st.integers(1, 2)),
        cpu=maybe(cpu),
        memory=maybe(make_memory(draw(counters), inactive_file_bytes=draw(counters))),
        io=maybe(make_io(*(draw(counters) for _ in range(4)))),
        pids=maybe(PidsStat(draw(counters))),
        pressure=maybe(make_pressure(draw(counters), maybe(draw(counters)))),
        net=maybe((make_link("eth0", draw(counters), draw(counters)),)),
        net_taken_at=draw(seconds),
    )


limits = st.builds(
    Limits,
    memory_max_bytes=st.none() | st.just(UNLIMITED) | counters,
    cpu_max_cores=st.none() | st.just(UNLIMITED) | st.floats(0, 1e4, allow_nan=False, allow_subnormal=False),
)


@given(samples(), samples(), limits)
def test_no_value_is_ever_negative_or_not_a_number(before: Any, after: Any, under: Limits) -> None:
    for value in usage_of(before, after, under):
        assert value is None or (value >= 0 and not math.isnan(value))
