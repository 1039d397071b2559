"""CPU time and its limits, as kernels print them."""

from __future__ import annotations

from typing import Final

from cgroupfs import CpuStat
from cgroupfs.values import UNLIMITED
from tests.cgroupfs.formats.form import Format, lines

CPU: Final = (
    Format(
        "3.10",
        "cpu.make_v1_bandwidth_parser",
        "no bursts",
        lines("nr_periods 22", "nr_throttled 18", "throttled_time 532804278"),
        (22, 18, 532804, None, None),
    ),
    Format(
        "5.10",
        "cpu.make_v1_bandwidth_parser",
        "the time waited for, where schedstats are on",
        lines("nr_periods 22", "nr_throttled 18", "throttled_time 532804278", "wait_sum 77"),
        (22, 18, 532804, None, None),
    ),
    Format(
        "6.18",
        "cpu.make_v1_bandwidth_parser",
        "bursts, behind what schedstats add",
        lines(
            *("nr_periods 22", "nr_throttled 18", "throttled_time 532804278", "wait_sum 77", "nr_bursts 2"),
            "burst_time 4000",
        ),
        (22, 18, 532804, 2, 4),
    ),
    Format(
        "4.15",
        "cpu.make_cpu_stat_parser",
        "the first cpu.stat of the unified tree",
        lines(
            *("usage_usec 7730", "user_usec 4387", "system_usec 3343", "nr_periods 4", "nr_throttled 1"),
            "throttled_usec 900",
        ),
        CpuStat(7730, 4387, 3343, 4, 1, 900),
    ),
    Format(
        "6.1",
        "cpu.make_cpu_stat_parser",
        "the time a core had to idle for core scheduling stands among the others",
        lines(
            *("usage_usec 7730", "user_usec 4387", "system_usec 3343", "core_sched.force_idle_usec 5"),
            *("nr_periods 4", "nr_throttled 1", "throttled_usec 900", "nr_bursts 1", "burst_usec 20"),
        ),
        CpuStat(7730, 4387, 3343, 4, 1, 900, 1, 20),
    ),
    Format(
        "6.18",
        "cpu.make_cpu_stat_parser",
        "niced time (since 6.13); no bandwidth while the cpu controller is elsewhere",
        lines("usage_usec 1027369", "user_usec 207764", "system_usec 819604", "nice_usec 0"),
        CpuStat(1027369, 207764, 819604),
    ),
    Format("4.15", "cpu.parse_cpu_max", "no limit", "max 100000\n", (UNLIMITED, 100000)),
    Format(
        "3.10",
        "cpu.parse_percpu",
        "a blank before the end of the line",
        "142079370 885359160 \n",
        (142079, 885359),
    ),
)
