"""Every limit has a flag: what each becomes, and what is said where no kernel can keep it."""

import json
from typing import Any

import pytest

from cgroupfs import LIMIT_FIELDS
from cgwarden.cli import limit
from cgwarden.cli.limit_flags import read_limits
from tests.cli.conftest import Cli
from tests.cli.stub import Stub

MIB = 1 << 20
FLAGS: list[tuple[list[str], dict[str, Any]]] = [
    (["--memory", "64M"], {"memory_max_bytes": 64 * MIB}),
    (
        ["--memory", "64M", "--memory-swap", "96M"],
        {"memory_max_bytes": 64 * MIB, "memory_swap_max_bytes": 32 * MIB},
    ),
    (["--memory-high", "32M"], {"memory_high_bytes": 32 * MIB}),
    (["--memory-reservation", "32M"], {"memory_soft_limit_bytes": 32 * MIB}),
    (["--memory-low", "32M"], {"memory_low_bytes": 32 * MIB}),
    (["--memory-min", "max"], {"memory_min_bytes": "max"}),
    (["--memory-oom-group"], {"memory_oom_group": True}),
    (["--memory-oom-group=false"], {"memory_oom_group": False}),
    (["--memory-swappiness", "0"], {"memory_swappiness": 0}),
    (["--cpus", "1.5"], {"cpu_max_cores": 1.5}),
    (["--cpu-quota", "50000", "--cpu-period", "25000"], {"cpu_max_cores": 2.0, "cpu_period_usec": 25000}),
    (["--cpu-burst", "1000"], {"cpu_burst_usec": 1000}),
    (["-c", "512"], {"cpu_shares": 512}),
    (["--cpu-weight", "50"], {"cpu_weight": 50}),
    (["--cpu-idle"], {"cpu_idle": True}),
    (["--cpuset-cpus", "0-1"], {"cpuset_cpus": "0-1"}),
    (["--cpuset-mems", "0"], {"cpuset_mems": "0"}),
    (["--cpuset-partition", "isolated"], {"cpuset_partition": "isolated"}),
    (["--cpuset-migrate"], {"cpuset_memory_migrate": True}),
    (["--pids-limit", "max"], {"pids_max": "max"}),
    (["--blkio-weight", "500"], {"blkio_weight": 500}),
    (["--io-weight", "500"], {"io_weight": 500}),
    (["--device-read-bps", "8:0:1mb"], {"io_max": {"8:0": {"read_bytes_per_sec": 1 << 20}}}),
    (["--device-latency", "8:0:75000"], {"io_latency_usec": {"8:0": 75000}}),
    (
        ["--hugetlb", "2MB:64M", "--hugetlb", "1GB:max"],
        {"hugetlb_max_bytes": {"2MB": 64 * MIB, "1GB": "max"}},
    ),
    (["--misc", "sev:5"], {"misc_max": {"sev": 5}}),
    (
        ["--rdma", "mlx:hca_handle=2,hca_object=max"],
        {"rdma_max": {"mlx": {"hca_handle": 2, "hca_object": "max"}}},
    ),
    (["--net-classid", "1048577"], {"net_classid": 1048577}),
    (["--net-prio", "eth0:5"], {"net_prio": {"eth0": 5}}),
]


@pytest.mark.parametrize(
    ("flags", "fields"), FLAGS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_flag_becomes_its_field(flags: list[str], fields: dict[str, Any]) -> None:
    args = limit.VERBS["limit"].parse([*flags, "web"])

    assert read_limits(args) == fields
    assert args.words == ["web"]


# docker's own words for "no limit" and "as the kernel has it".
DOCKERS: list[tuple[list[str], dict[str, Any]]] = [
    (["--pids-limit", "-1"], {"pids_max": "max"}),
    (["--pids-limit=0"], {"pids_max": "max"}),
    (["--cpu-quota", "-1"], {"cpu_max_cores": "max"}),
    (["--cpu-quota", "-1", "--cpu-period", "50000"], {"cpu_max_cores": "max", "cpu_period_usec": 50000}),
    (["--cpu-quota", "50000", "--cpu-period", "0"], {"cpu_max_cores": 0.5}),
    (["--cpus", "1.5", "--cpu-quota", "0"], {"cpu_max_cores": 1.5}),
    (["--cpu-shares", "0"], {}),
    (["--memory-swappiness", "-1"], {}),
    (["--blkio-weight", "0"], {}),
]


@pytest.mark.parametrize(
    ("flags", "fields"), DOCKERS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_dockers_values_mean_what_docker_means(flags: list[str], fields: dict[str, Any]) -> None:
    assert read_limits(limit.VERBS["limit"].parse([*flags, "web"])) == fields


def test_every_limit_has_a_flag() -> None:
    assert {field for _, fields in FLAGS for field in fields} == set(LIMIT_FIELDS)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--kernel-memory", "5M"], "--kernel-memory: kernels since 5.16 have no such limit"),
        (["--oom-kill-disable"], "--oom-kill-disable: a container at its limit would hang"),
        (["--cpu-rt-runtime", "5"], "--cpu-rt-runtime: real-time groups"),
        (["--blkio-weight-device", "/dev/sda:5"], "--blkio-weight-device: weights are for all disks"),
        (["--device-cgroup-rule", "c 10:200 rwm"], "--device-cgroup-rule: rules follow the devices"),
        (["--pids-limit", "-2"], "--pids-limit: '-2' is negative"),
        (["--cpu-quota", "999"], "--cpu-quota: "),
        (["--hugetlb", "64M"], "--hugetlb: '64M' is not PAGE:SIZE"),
        (["--rdma", "mlx:handles=5"], "--rdma: 'mlx:handles=5' is not DEVICE:hca_handle=N"),
        (["--memory-swappiness", "201"], "--memory-swappiness: "),
        (["--cpuset-partition", "all"], "--cpuset-partition: 'all' is not one of member, root, isolated"),
    ],
)
@pytest.mark.parametrize("verb", [("limit", "web"), ("run", "--rootfs", "/", "--", "true")])
def test_what_cannot_be_is_said_in_one_line(
    cli: Cli, verb: tuple[str, ...], flags: list[str], said: str
) -> None:
    told = cli(verb[0], *flags, *verb[1:])

    assert told.code == 2
    assert told.err.startswith(f"cgwarden: {said}")


def test_a_field_that_this_kernel_lacks_is_told_by_its_flag(cli: Cli, stub: Stub) -> None:
    stub.problem(
        "PATCH /api/v1/containers/web/limits", "not-offered", 501, detail="memory_low_bytes: not here"
    )

    assert "--memory-low: not here" in cli("limit", "web", "--memory-low", "5M").err
    assert stub.asked[-1].body == json.loads('{"memory_low_bytes": 5242880}')
