"""Health commands: states and their changes, time-outs, frozen containers, and no pile of probes."""

from collections.abc import Callable

import pytest

from launcher import Container, Launcher
from launcher.container import HEALTHY, STARTING, UNHEALTHY, Health
from launcher.lives.health import Probe, after_probe
from tests.launcher.conftest import Place, eventually

Run = Callable[..., Container]
GOOD, BAD, LATE = Probe(0), Probe(1, "refused"), Probe(None)


@pytest.mark.parametrize(
    ("probes", "starting", "state", "failures"),
    [
        ([GOOD], False, HEALTHY, 0),
        ([BAD, BAD], False, STARTING, 2),
        ([BAD, BAD, LATE], False, UNHEALTHY, 3),
        ([BAD, BAD, GOOD, BAD], False, HEALTHY, 1),
        ([BAD] * 9, True, STARTING, 0),
        ([GOOD, BAD, BAD, BAD], True, UNHEALTHY, 3),
        ([BAD, BAD, BAD, GOOD], False, HEALTHY, 0),
    ],
)
def test_what_probes_make_of_a_container(
    probes: list[Probe], starting: bool, state: str, failures: int
) -> None:
    health = Health()

    for probe in probes:
        health = after_probe(health, probe, 3, starting=starting)

    assert (health.state, health.failures) == (state, failures)


def state_of(launcher: Launcher) -> str:
    health = launcher.get("t").health
    return "" if health is None else health.state


def wish(script: str, **more: object) -> dict[str, object]:
    command = ["sh", "-c", script]
    return {"command": command, "interval_sec": 0.1, "timeout_sec": 5, "retries": 2} | more


@pytest.mark.kernel
def test_health_follows_the_command(place: Place, launcher: Launcher, run: Run) -> None:
    run("sleep 60", health=wish("echo looking; test -e /root/ok"))
    assert state_of(launcher) == STARTING

    assert eventually(lambda: state_of(launcher) == UNHEALTHY)
    launcher.exec("t", ["touch", "/root/ok"]).wait()
    assert eventually(lambda: state_of(launcher) == HEALTHY)

    told = launcher.get("t").to_wire()["health"]
    assert (told["state"], told["exit_code"], told["output"]) == (HEALTHY, 0, "looking\n")
    events = [event for event in place.events if event.type == "container.health"]
    assert [event.detail["health"] for event in events] == [UNHEALTHY, HEALTHY]
    assert events[0].reason == "its health command ended with 1, 2 times in a row: looking"


@pytest.mark.kernel
def test_a_probe_that_hangs_is_killed_and_none_is_started_beside_it(launcher: Launcher, run: Run) -> None:
    script = "echo x >> /root/begun; sleep 60; echo x >> /root/done"
    container = run("sleep 60", health=wish(script, timeout_sec=0.5, interval_sec=0.05, retries=1))

    assert eventually(lambda: state_of(launcher) == UNHEALTHY)

    assert container.cgroup is not None
    assert eventually(lambda: len(container.cgroup.procs()) <= 3)  # type: ignore[union-attr]
    health = launcher.get("t").health
    assert health is not None
    assert (health.exit_code, "no answer within 0.5 s" in health.output) == (None, True)


@pytest.mark.kernel
def test_a_command_that_is_not_there_is_unhealthy(launcher: Launcher, run: Run) -> None:
    run("sleep 60", health=wish("") | {"command": ["no-such-probe"]})

    assert eventually(lambda: state_of(launcher) == UNHEALTHY)


@pytest.mark.kernel
def test_a_frozen_container_is_not_probed(launcher: Launcher, run: Run) -> None:
    container = run("sleep 60", health=wish("date +%s%N > /root/last", interval_sec=0.05))
    assert eventually(lambda: state_of(launcher) == HEALTHY)
    assert container.cgroup is not None

    container.cgroup.freeze()
    before = len(container.cgroup.procs())
    assert not eventually(lambda: state_of(launcher) != HEALTHY, 1.0)

    assert len(container.cgroup.procs()) <= before
    container.cgroup.thaw()
    assert eventually(lambda: state_of(launcher) == HEALTHY)


@pytest.mark.kernel
def test_the_next_run_and_the_next_daemon_begin_anew(place: Place, launcher: Launcher, run: Run) -> None:
    run("sleep 60", health=wish("true"), proc="plain")
    assert eventually(lambda: state_of(launcher) == HEALTHY)

    launcher.stop("t", 0)
    assert launcher.get("t").to_wire()["health"] is None
    launcher.start("t")

    assert eventually(lambda: state_of(launcher) == HEALTHY)
    second = place.launcher()
    assert state_of(second) == STARTING
    assert eventually(lambda: state_of(second) == HEALTHY)
