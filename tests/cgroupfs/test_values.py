"""Numbers, limits and lists as kernel files show them."""

from __future__ import annotations

import pytest

from cgroupfs import UNLIMITED, ParseError
from cgroupfs.values import (
    count_listed,
    format_list,
    is_within,
    parse_flag,
    parse_flat,
    parse_int,
    parse_limit,
    parse_list,
    parse_pids,
    parse_signed,
    parse_v1_limit,
)


@pytest.mark.parametrize("text", ["", "x", "1_0", "-1", "+1", "1e6", "64M", "٣", "9" * 21, "1 2"])
def test_what_is_no_plain_decimal_is_not_a_number(text: str) -> None:
    with pytest.raises(ParseError):
        parse_int(text, "pids.current")


def test_zero_unlimited_and_a_number_are_three_values() -> None:
    assert [parse_limit(text, "pids.max") for text in ("0\n", "max\n", "7\n")] == [0, UNLIMITED, 7]


@pytest.mark.parametrize("text", ["-1\n", "9223372036854771712\n", "9223372036854710272\n"])
def test_v1_shows_no_limit_in_several_ways(text: str) -> None:
    assert parse_v1_limit(text, "memory.limit_in_bytes") is UNLIMITED


def test_a_quota_may_be_negative() -> None:
    assert parse_signed("-1\n", "cpu.cfs_quota_us") == -1


def test_a_flag_is_0_or_1() -> None:
    assert [parse_flag(text, "cpu.idle") for text in ("0\n", "1\n")] == [False, True]
    with pytest.raises(ParseError):
        parse_flag("2\n", "cpu.idle")


def test_a_flat_file_needs_a_key_and_a_number_on_every_line() -> None:
    assert parse_flat("max 3\nother 0\n", "pids.events") == {"max": 3, "other": 0}
    for text in ("max\n", " 3\n", "max x\n", "\n"):
        with pytest.raises(ParseError):
            parse_flat(text, "pids.events")


def test_processes_of_another_pid_namespace_are_left_out() -> None:
    assert parse_pids("7\n0\n12\n", "cgroup.procs") == [7, 12]
    assert parse_pids("", "cgroup.procs") == []
    for text in ("7 12\n", "7\n\n", "-1\n", "7x\n"):
        with pytest.raises(ParseError):
            parse_pids(text, "cgroup.procs")


def test_a_list_is_sorted_and_merged() -> None:
    assert format_list(parse_list("8,0-3,4,2\n", "cpuset.cpus")) == "0-4,8"


def test_an_empty_list_is_empty() -> None:
    assert parse_list("\n", "cpuset.cpus") == ()


@pytest.mark.parametrize("text", ["3-1", "0-99999999999", "a", "1-", "-1", "0-1-2"])
def test_a_malformed_or_boundless_list_is_refused_without_being_built(text: str) -> None:
    with pytest.raises(ParseError):
        parse_list(text, "cpuset.cpus")


def test_a_list_within_another_is_found_without_expanding_either() -> None:
    offered = parse_list("0-3,8-11", "online")

    assert is_within(parse_list("1-2,9", "x"), offered)
    assert not is_within(parse_list("3-4", "x"), offered)
    assert count_listed(offered) == 8
