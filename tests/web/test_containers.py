"""Containers over the API: list, create, inspect, the verbs, processes."""

import os
import threading
from typing import Any

import pytest

from tests.web.client import wait_until
from tests.web.rig import Rig

CONTAINER = "/api/v1/containers/web"
NEW = {
    "name": "web",
    "rootfs": "/srv/root",
    "command": ["sleep", "1"],
    "limits": {"memory_max_bytes": 67108864},
}


def test_creating_answers_with_the_whole_container_and_where_it_is(rig: Rig) -> None:
    answer = rig.ask("POST", "/api/v1/containers", NEW | {"class": "besteffort", "labels": {"a": "b"}})

    assert answer.status == 201
    assert answer.headers["location"] == CONTAINER
    told = answer.json
    assert told == rig.get(CONTAINER).json
    assert (told["name"], told["state"], told["class"]) == ("web", "running", "besteffort")
    assert told["limits"]["memory_max_bytes"] == 67108864
    assert told["limits"]["pids_max"] == "max"
    assert told["limits"]["blkio_weight"] is None
    assert told["spec_limits"] == {"memory_max_bytes": 67108864}
    assert told["cgroups"] == {"memory": "/sys/fs/cgroup/memory/cgwarden/web"}


def test_a_dry_run_tells_the_plan_and_makes_nothing(rig: Rig) -> None:
    answer = rig.ask("POST", "/api/v1/containers?dry_run=true", NEW)

    assert answer.json == {"plan": ["make the cgroup of web", "run sleep"]}
    assert rig.get("/api/v1/containers").json == {"containers": []}


def test_a_mistyped_query_never_becomes_a_real_change(rig: Rig) -> None:
    answer = rig.ask("POST", "/api/v1/containers?dryrun=true", NEW)

    assert answer.status == 400
    assert "dry_run" in answer.json["detail"]
    assert rig.launcher.known == {}


@pytest.mark.parametrize(
    ("change", "status", "slug", "pointer"),
    [
        ({"name": "../x"}, 422, "bad-request", "/name"),
        ({"name": "x" * 300}, 422, "bad-request", "/name"),
        ({"name": "a\0b"}, 422, "bad-request", "/name"),
        ({"command": "sleep 1"}, 422, "bad-request", "/command"),
        ({"colour": "red"}, 422, "bad-request", "/colour"),
        ({"rootfs": None}, 422, "bad-request", "/rootfs"),
        ({"command": ["absent"]}, 422, "command-not-found", None),
    ],
)
def test_a_container_that_cannot_be_is_refused_by_field(
    rig: Rig, change: dict[str, Any], status: int, slug: str, pointer: str | None
) -> None:
    answer = rig.ask("POST", "/api/v1/containers", NEW | change)

    assert (answer.status, answer.slug) == (status, slug), answer
    assert [error["pointer"] for error in answer.json["errors"]] == ([pointer] if pointer else [])
    assert rig.launcher.known == {}


def test_a_program_that_is_not_there_carries_the_shells_exit_code(rig: Rig) -> None:
    assert rig.ask("POST", "/api/v1/containers", NEW | {"command": ["absent"]}).json["exit_code"] == 127


def test_a_name_is_taken_once(rig: Rig) -> None:
    rig.launcher.add("web")

    answer = rig.ask("POST", "/api/v1/containers", NEW)

    assert (answer.status, answer.slug) == (409, "name-taken")


def test_the_list_has_usage_and_limits_as_of_the_last_sweep(rig: Rig) -> None:
    rig.launcher.add("web", limits={"pids_max": 50})
    rig.launcher.add("apple")
    rig.monitor.sweep()
    rig.launcher.add("new")

    rows = rig.get("/api/v1/containers").json["containers"]

    assert [row["name"] for row in rows] == ["apple", "new", "web"]
    assert rows[2]["usage"]["cpu_cores"] == 0.5
    assert rows[2]["usage"]["net_rx_bytes_per_sec"] is None
    assert rows[2]["limits"]["pids_max"] == 50
    assert rows[1]["usage"] is None


def test_what_was_changed_since_the_last_sweep_is_read_from_the_kernel(rig: Rig) -> None:
    rig.launcher.add("web", limits={"pids_max": 50})
    rig.monitor.sweep()
    rig.launcher.cgroups["web"].fields["pids_max"] = 60
    rig.launcher.cgroups["web"].frozen = True
    before = rig.get("/api/v1/containers").json["containers"][0]

    rig.monitor.changed.add("web")

    after = rig.get("/api/v1/containers").json["containers"][0]
    assert (before["limits"]["pids_max"], before["state"]) == (50, "running")
    assert (after["limits"]["pids_max"], after["state"]) == (60, "frozen")


def test_the_list_reads_no_kernel_file_of_what_the_last_sweep_saw(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.launcher.cgroups["web"].frozen = True
    rig.monitor.sweep()
    before = rig.launcher.cgroups["web"].reads

    row = rig.get("/api/v1/containers").json["containers"][0]

    assert row["state"] == "frozen"
    assert rig.launcher.cgroups["web"].reads == before


def test_usage_comes_with_its_raw_counters_and_its_age(rig: Rig) -> None:
    rig.launcher.add("web")
    assert rig.get(f"{CONTAINER}/usage").json["usage"] is None
    rig.monitor.sweep()

    told = rig.get(f"{CONTAINER}/usage").json

    assert told["usage"]["memory_usage_bytes"] == 20_000_000
    assert told["sample"]["io"]["devices"][0]["read_bytes"] == 4096
    assert told["sample"]["pressure"]["io"] is None
    assert 0 <= told["age_sec"] < 60
    assert told["taken_at"].endswith("Z")


def test_history_has_a_column_per_metric_and_the_events_of_that_time(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.monitor.sweep()
    rig.monitor.sweep()
    rig.events.append("container.freeze", container={"name": "web"}, actor_kind="operator", actor_name="root")
    rig.events.append(
        "container.freeze", container={"name": "other"}, actor_kind="operator", actor_name="root"
    )

    told = rig.get(f"{CONTAINER}/history?metrics=cpu_cores,memory_max_bytes&since_sec=60").json

    assert len(told["t"]) == 2
    assert told["metrics"]["cpu_cores"]["avg"] == [0.5, 0.5]
    assert told["metrics"]["memory_max_bytes"]["max"] == [None, None]
    assert [event["container"]["name"] for event in told["events"]] == ["web"]
    assert "cpu_used_cores" in rig.get("/api/v1/host/history").json["metrics"]


def test_a_container_called_host_has_its_own_history(rig: Rig) -> None:
    rig.launcher.add("host")
    rig.monitor.sweep()

    assert "pids_current" in rig.get("/api/v1/containers/host/history").json["metrics"]
    assert "load1" in rig.get("/api/v1/host/history").json["metrics"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/stop"),
        ("POST", "/kill"),
        ("POST", "/wait"),
        ("POST", "/freeze"),
        ("POST", "/thaw"),
        ("GET", "/limits"),
        ("PATCH", "/limits"),
        ("GET", "/usage"),
        ("GET", "/history"),
        ("GET", "/logs"),
        ("GET", "/processes"),
    ],
)
def test_an_unknown_container_is_named_by_every_verb(shared: Rig, method: str, path: str) -> None:
    answer = shared.ask(method, f"/api/v1/containers/ghost{path}", None if method == "GET" else {})

    assert (answer.status, answer.slug) == (404, "unknown-container"), answer
    assert "ghost" in answer.json["detail"]


def test_stopping_twice_changes_nothing_the_second_time(rig: Rig) -> None:
    rig.launcher.add("web")

    first = rig.ask("POST", f"{CONTAINER}/stop", {"timeout_sec": 0})
    second = rig.ask("POST", f"{CONTAINER}/stop")

    assert first.json == {"changed": True, "state": "exited", "exit_code": 143}
    assert second.json == {"changed": False, "state": "exited", "exit_code": 143}


@pytest.mark.parametrize(("signal", "number"), [("TERM", 15), ("SIGHUP", 1), (9, 9), ("9", 9), (None, 9)])
def test_a_signal_goes_by_name_or_number(rig: Rig, signal: str | int | None, number: int) -> None:
    rig.launcher.add("web")

    answer = rig.ask("POST", f"{CONTAINER}/kill", {"signal": signal})

    assert answer.json == {"changed": True, "state": "running"}
    assert rig.launcher.signals == [("web", number)]


@pytest.mark.parametrize("signal", ["NOPE", -1, 0, 65, 1e9, True, [], "", "SIG", "9" * 100])
def test_what_is_no_signal_is_refused(rig: Rig, signal: Any) -> None:
    rig.launcher.add("web")

    answer = rig.ask("POST", f"{CONTAINER}/kill", {"signal": signal})

    assert (answer.status, answer.slug) == (422, "bad-request")
    assert rig.launcher.signals == []


def test_a_stopped_container_takes_no_signal_and_goes_away_on_request(rig: Rig) -> None:
    rig.launcher.add("web")
    assert rig.ask("DELETE", CONTAINER).slug == "conflict"
    rig.launcher.end("web")

    assert rig.ask("POST", f"{CONTAINER}/kill").slug == "not-running"
    assert rig.ask("DELETE", CONTAINER).status == 204
    assert rig.ask("DELETE", CONTAINER).status == 404


def test_a_container_that_removes_itself_is_told_as_exited(rig: Rig) -> None:
    rig.launcher.add("web", auto_remove=True)

    answer = rig.ask("POST", f"{CONTAINER}/stop")

    assert answer.json == {"changed": True, "state": "exited", "exit_code": None}
    assert rig.get(CONTAINER).status == 404


def test_waiting_ends_with_the_container_or_the_time(rig: Rig) -> None:
    rig.launcher.add("web")
    late = rig.ask("POST", f"{CONTAINER}/wait", {"timeout_sec": 0.01})
    threading.Timer(0.05, rig.launcher.end, ("web", 3)).start()

    assert (late.status, late.slug) == (504, "timeout")
    assert rig.ask("POST", f"{CONTAINER}/wait", {"timeout_sec": 10}).json == {"exit_code": 3}


def test_many_who_wait_do_not_hold_up_those_who_act(rig: Rig) -> None:
    rig.launcher.add("web")
    waiting = [rig.connect() for _ in range(60)]
    for connection in waiting:
        connection.sendall(f"POST {CONTAINER}/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    wait_until(lambda: len(rig.server.server_state.tasks) == 60)

    assert rig.ask("POST", f"{CONTAINER}/freeze").status == 200

    rig.launcher.end("web", 0)
    for connection in waiting:
        assert connection.recv(9999).startswith(b"HTTP/1.1 200")
        connection.close()


def test_processes_are_told_as_ps_would_and_those_that_ended_are_left_out(rig: Rig) -> None:
    rig.launcher.add("web")
    rig.launcher.cgroups["web"].pids = (os.getpid(), 2**22 + 1)

    rows = rig.get(f"{CONTAINER}/processes").json["processes"]

    assert [row["pid"] for row in rows] == [os.getpid()]
    assert rows[0]["ppid"] == os.getppid()
    assert rows[0]["rss_bytes"] > 0
    assert "pytest" in rows[0]["command"]
