"""`--class` as Kubernetes means it: weights, protection, who is killed first, and what was not permitted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher import BadSpec, Container, ContainerSpec, Launcher
from launcher.klass import oom_score_of
from tests.launcher.conftest import Place

Run = Callable[..., Container]
GIB = 1 << 30
GUARANTEE = {"memory_max_bytes": 64 << 20, "cpu_max_cores": 0.5}


def spec(**fields: Any) -> ContainerSpec:
    return ContainerSpec.from_wire({"name": "t", "rootfs": "/", "command": ["true"]} | fields)


@pytest.mark.parametrize(
    ("fields", "score"),
    [
        ({"class": "guaranteed", "limits": GUARANTEE}, -997),
        ({"class": "besteffort"}, 1000),
        ({}, 999),
        ({"limits": {"memory_max_bytes": GIB}}, 938),
        ({"limits": {"memory_max_bytes": 4 * GIB, "memory_soft_limit_bytes": GIB}}, 938),
        ({"limits": {"memory_max_bytes": 16 * GIB}}, 3),
        ({"limits": {"memory_max_bytes": "max"}}, 999),
        ({"class": "besteffort", "oom_score_adj": 7}, 7),
    ],
)
def test_who_is_killed_first_follows_from_class_and_request(fields: dict[str, Any], score: int) -> None:
    assert oom_score_of(spec(**fields), 16 * GIB) == score


def score_of(container: Container) -> int:
    return int(Path(f"/proc/{container.pid}/oom_score_adj").read_text())


@pytest.mark.kernel
def test_besteffort_has_the_least_weight_and_goes_first(launcher: Launcher, run: Run) -> None:
    container = run("sleep 60", **{"class": "besteffort"})

    assert container.cgroup is not None
    limits = container.cgroup.read_limits()
    assert (limits.cpu_shares, limits.cpu_weight) in ((2, None), (None, 1))
    assert (score_of(container), container.oom_score_adj) == (1000, 1000)
    # What exec starts is no better than the program itself.
    assert b"".join(data for _, data in launcher.exec("t", ["cat", "/proc/self/oom_score_adj"])) == b"1000\n"


@pytest.mark.kernel
def test_guaranteed_is_weighed_by_its_cpus_and_what_was_not_permitted_is_told(
    place: Place, launcher: Launcher, run: Run
) -> None:
    container = run("sleep 60", **{"class": "guaranteed", "limits": GUARANTEE, "proc": "plain"})

    assert container.cgroup is not None
    limits = container.cgroup.read_limits()
    assert limits.cpu_shares == 512 or limits.cpu_weight == 59
    recorded = [phase for name, phase, _ in place.recorded if name == "t"]
    assert recorded == ["intent", "applied"]
    actual = score_of(container)
    assert container.oom_score_adj == actual
    assert any("oom_score_adj is" in note for note in container.notes) is (actual != -997)
    protected = limits.memory_min_bytes == 64 << 20
    assert any("not protected" in note for note in container.notes) is not protected
    assert place.launcher().get("t").notes == container.notes


@pytest.mark.kernel
def test_limits_of_ones_own_stand_above_the_class(run: Run) -> None:
    container = run("sleep 60", **{"class": "besteffort", "limits": {"cpu_shares": 300}})

    assert container.cgroup is not None
    limits = container.cgroup.read_limits()
    assert limits.cpu_shares == 300 or limits.cpu_weight == 39


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("limits", "flags"),
    [({}, "--memory and --cpus"), ({"cpu_max_cores": 1}, "--memory"), ({"memory_max_bytes": GIB}, "--cpus")],
)
def test_a_guarantee_needs_to_know_of_how_much(
    launcher: Launcher, run: Run, limits: dict[str, object], flags: str
) -> None:
    with pytest.raises(BadSpec, match=f"class: guaranteed needs limits on memory and CPU: give {flags}$"):
        run("true", **{"class": "guaranteed", "limits": limits})

    assert launcher.containers() == ()
