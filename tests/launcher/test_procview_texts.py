"""What /proc says inside a container, from numbers alone: every line of the host's form, none of its size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgroupfs import UNLIMITED, CpuStat, Limits, MemoryStat
from launcher.procview import texts
from launcher.procview.numbers import Bounds, least, parse_cpu_list, visible_cpus
from launcher.procview.tree import number_of

MIB = 1 << 20
NO_BOUNDS = Bounds(None, None, None, None)
MEMINFO = """MemTotal:       24684084 kB
MemFree:        23724672 kB
MemAvailable:   24095532 kB
Cached:           493208 kB
SwapTotal:       2097148 kB
SwapFree:        2097148 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
SomethingNew:       1234 kB
"""
CPUINFO = "".join(f"processor\t: {index}\nmodel name\t: {name}\n\n" for index, name in enumerate("ABC"))
STAT = "cpu  9 9 9 9\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 5\nctxt 7\nbtime 1\n"


def memory(**numbers: int) -> MemoryStat:
    zero = dict.fromkeys(MemoryStat._fields, 0)
    return MemoryStat(**zero | numbers)


def lines(text: str) -> dict[str, int]:
    return {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()}


def test_memory_is_the_limit_and_what_it_leaves() -> None:
    used = memory(
        usage_bytes=24 * MIB, file_bytes=8 * MIB, inactive_file_bytes=6 * MIB, active_file_bytes=2 * MIB
    )

    shown = lines(texts.meminfo(Bounds(64 * MIB, 32 * MIB, None, None), used, MEMINFO))

    assert list(shown) == list(lines(MEMINFO)), "every line of the host's, in its order"
    assert shown["MemTotal"] == 64 * 1024
    assert shown["MemFree"] == 40 * 1024
    assert shown["MemAvailable"] == 48 * 1024
    assert shown["Cached"] == 8 * 1024
    assert shown["SwapTotal"] == shown["SwapFree"] == 32 * 1024
    assert shown["SomethingNew"] == 0, "what the cgroup does not tell is not the host's"
    assert shown["Hugepagesize"] == 2048


def test_without_a_limit_the_host_is_the_limit() -> None:
    shown = lines(texts.meminfo(NO_BOUNDS, memory(usage_bytes=MIB), MEMINFO))

    assert shown["MemTotal"] == 24684084
    assert shown["MemAvailable"] <= 24095532, "no more than the host itself has"


@given(
    limit=st.none() | st.integers(4096, 1 << 50),
    used=st.integers(0, 1 << 50),
    file=st.integers(0, 1 << 50),
    swap=st.none() | st.integers(0, 1 << 50),
)
def test_no_number_is_negative_or_above_the_total(
    limit: int | None, used: int, file: int, swap: int | None
) -> None:
    stat = memory(usage_bytes=used, inactive_file_bytes=file, swap_bytes=used)

    shown = lines(texts.meminfo(Bounds(limit, swap, None, None), stat, MEMINFO))

    assert 0 <= shown["MemFree"] <= shown["MemTotal"]
    assert 0 <= shown["SwapFree"] <= shown["SwapTotal"]


@pytest.mark.parametrize(
    ("cores", "cpus", "seen"),
    [(None, None, [0, 1, 2]), (0.5, None, [0]), (2.0, None, [0, 1]), (2.1, "1-2", [1, 2]), (8.0, "2", [2])],
)
def test_as_many_cpus_as_the_quota_fills_of_those_allowed(
    cores: float | None, cpus: str | None, seen: list[int]
) -> None:
    assert visible_cpus(Bounds(None, None, cores, cpus), [0, 1, 2]) == seen


def test_cpus_are_numbered_from_zero_and_keep_their_models() -> None:
    shown = texts.cpuinfo(Bounds(None, None, None, "1-2"), CPUINFO)

    assert shown == "processor\t: 0\nmodel name\t: B\n\nprocessor\t: 1\nmodel name\t: C\n\n"
    assert texts.cpu_online(Bounds(None, None, 1.0, None), [0, 1]) == "0\n"
    assert texts.cpu_online(NO_BOUNDS, [0, 1]) == "0-1\n"


@given(user=st.integers(0, 10**12), system=st.integers(0, 10**12), cores=st.sampled_from([None, 1.0]))
def test_the_parts_of_cpu_time_add_up(user: int, system: int, cores: float | None) -> None:
    cpu = CpuStat(usage_usec=user + system, user_usec=user, system_usec=system)

    shown = texts.stat(Bounds(None, None, cores, None), cpu, 3, STAT, 1000.0, 1010.0).splitlines()

    whole = [int(word) for word in shown[0].split()[1:]]
    parts = [[int(word) for word in line.split()[1:]] for line in shown[1:] if line.startswith("cpu")]
    assert len(parts) == (1 if cores else 2)
    assert whole == [sum(column) for column in zip(*parts, strict=True)]
    assert "btime 1000" in shown


def test_swap_areas_are_one_of_the_size_allowed() -> None:
    assert (
        texts.swaps(NO_BOUNDS, None, "Filename Type\n", "SwapTotal: 0 kB\nMemTotal: 1 kB\n")
        == "Filename Type\n"
    )
    shown = texts.swaps(Bounds(None, MIB, None, None), None, "Filename Type\n", MEMINFO).splitlines()
    assert shown[1].split() == ["none", "virtual", "1024", "0", "0"]


def test_limits_of_groups_above_count_too() -> None:
    own = Limits(memory_max_bytes=UNLIMITED, cpu_max_cores=2.0, cpuset_cpus="", cpuset_cpus_effective="0")
    group = Limits(memory_max_bytes=MIB, cpu_max_cores=UNLIMITED)

    assert least([own, group]) == Bounds(MIB, None, 2.0, "0")


def test_lists_of_cpus() -> None:
    assert parse_cpu_list("0-2,7\n") == {0, 1, 2, 7}
    assert parse_cpu_list("\n") == set()


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_node_belongs_to_one_name(one: str, other: str) -> None:
    assert (number_of(one) == number_of(other)) == (one == other)
    assert number_of(one) & 0xF == 0
