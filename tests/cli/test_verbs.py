"""Each verb against a stub: what it asks of the daemon, what it prints, how it ends."""

import json

import pytest

from tests.cli.conftest import Cli
from tests.cli.stub import Stub, container

WEB = "/api/v1/containers/web"


def frozen(changed: bool) -> dict[str, object]:
    return {"name": "web", "changed": changed, "state": "frozen", "holders": ["operator"], "decision": "d-1"}


def test_ps_prints_an_aligned_table_without_colour_when_it_is_no_terminal(stub: Stub, cli: Cli) -> None:
    ended = container("job", state="exited", pid=None, exit_code=3, limits=None)
    stub.on("GET /api/v1/containers", {"containers": [container("web"), ended]})

    said = cli("ps")

    header, web, job = said.out.splitlines()
    assert "\x1b" not in said.out
    assert header.index("STATE") == web.index("running") == job.index("exited (3)")
    assert "64.0M" in web
    assert "0.5" in web


def test_ps_json_is_the_list_as_the_daemon_has_it(stub: Stub, cli: Cli) -> None:
    stub.on("GET /api/v1/containers", {"containers": [container("web")]})

    assert json.loads(cli("ps", "--json").out) == [container("web")]


def test_ps_filters_by_label_and_state(stub: Stub, cli: Cli) -> None:
    rows = [container("a", labels={"tier": "core"}), container("b", state="frozen"), container("c")]
    stub.on("GET /api/v1/containers", {"containers": rows})

    assert cli("ps", "-q", "-l", "tier=core").out == "a\n"
    assert cli("ps", "-q", "--filter", "state=frozen").out == "b\n"


def test_a_name_with_control_characters_cannot_reach_the_terminal(stub: Stub, cli: Cli) -> None:
    stub.on("GET /api/v1/containers", {"containers": [container("web", command=["\x1b]0;owned\x07"])]})

    assert "\x1b" not in cli("ps").out


def test_freezing_twice_succeeds_twice_and_says_so(stub: Stub, cli: Cli) -> None:
    stub.on(f"POST {WEB}/freeze", frozen(False))

    assert cli("freeze", "web").out == "web\n"
    said = cli("freeze", "web", "--json", "--for", "30s", "--reason", "backup")

    assert said.code == 0
    assert json.loads(said.out) == frozen(False)
    assert stub.asked[-1].body == {"reason": "backup", "timeout_sec": 10.0, "lease_sec": 30.0}


def test_thaw_names_who_still_holds(stub: Stub, cli: Cli) -> None:
    stub.on(f"POST {WEB}/thaw", frozen(True) | {"holders": ["policy:guard"]})

    assert cli("thaw", "web").out == "web  held by policy:guard\n"
    assert stub.asked[-1].body == {"force": False}


def test_several_names_give_a_list_and_one_failure_is_exit_code_1(stub: Stub, cli: Cli) -> None:
    stub.on(f"POST {WEB}/freeze", frozen(True))
    stub.problem("POST /api/v1/containers/none/freeze", "unknown-container", 404)

    said = cli("pause", "none", "web", "--json")

    assert said.code == 1
    assert json.loads(said.out) == [frozen(True)]
    assert said.err == "cgwarden: unknown-container it is\n"


def test_freeze_all_takes_what_runs(stub: Stub, cli: Cli) -> None:
    stub.on("GET /api/v1/containers", {"containers": [container("web"), container("old", state="exited")]})
    stub.on(f"POST {WEB}/freeze", frozen(True))

    assert cli("freeze", "--all").out == "web\n"


def test_limit_sends_the_api_s_fields_and_prints_what_was_written(stub: Stub, cli: Cli) -> None:
    write = {"controller": "memory", "file": "limit", "before": "1", "value": "2", "read_back": "2"}
    outcome = {
        "name": "web",
        "changed": True,
        "status": "applied",
        "decision": "d-2",
        "writes": [write],
        "limits": {},
    }
    stub.on(f"PATCH {WEB}/limits", outcome)

    said = cli(
        "limit", "web", "-m", "128M", "--cpus", "500m", "--pids-limit", "max", "--for", "30m", "--force"
    )

    assert said.out == "web\n  limit 1 -> 2\n"
    assert stub.asked[-1].body == {"memory_max_bytes": 128 << 20, "cpu_max_cores": 0.5, "pids_max": "max"}
    assert (
        stub.asked[-1].query == "force=true&lease_sec=1800.0&reason=asked%20for%20on%20the%20command%20line"
    )


def test_a_dry_run_lists_the_writes(stub: Stub, cli: Cli) -> None:
    write = {"controller": "memory", "file": "limit", "before": "1", "value": "2", "read_back": None}
    outcome = {
        "name": "web",
        "changed": False,
        "status": "planned",
        "decision": None,
        "writes": [write],
        "limits": {},
    }
    stub.on(f"PATCH {WEB}/limits", outcome)

    said = cli("limit", "web", "--memory", "96M", "--dry-run")

    assert said.out == "web  would write\n  limit 1 -> 2\n"
    assert stub.asked[-1].query.startswith("dry_run=true&")


def test_limit_reset_gives_back_what_was_changed(stub: Stub, cli: Cli) -> None:
    write = {"controller": "memory", "file": "limit", "before": "2", "value": "1", "read_back": "1"}
    stub.on(f"DELETE {WEB}/limits", {"name": "web", "changed": True, "writes": [write]})

    assert cli("limit", "web", "--reset").out == "web\n  limit 2 -> 1\n"
    assert "force" not in stub.asked[-1].query
    cli("limit", "web", "--reset", "--force")
    assert stub.asked[-1].query.startswith("force=true&")
    assert cli("limit", "web", "--reset", "--memory", "1G").code == 2
    assert len(stub.asked) == 2


def test_limit_without_flags_shows_owner_baseline_and_lease(stub: Stub, cli: Cli) -> None:
    memory = {
        "value": 128 << 20,
        "owner": "operator",
        "baseline": 64 << 20,
        "expires_at": "2026-01-31T09:00:00Z",
    }
    absent = {"value": None, "owner": None, "baseline": None, "expires_at": None}
    stub.on(
        f"GET {WEB}/limits", {"fields": {"memory_max_bytes": memory, "cpu_idle": absent}, "revision": "1"}
    )

    lines = cli("limit", "web").out.splitlines()

    assert lines[1].split() == ["memory_max_bytes", "128M", "operator", "64.0M", "2026-01-31T09:00:00Z"]
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        (
            ["-m", "1g", "--memory-swap", "3g"],
            {"memory_max_bytes": 1 << 30, "memory_swap_max_bytes": 2 << 30},
        ),
        (["--memory-swap", "-1"], {"memory_swap_max_bytes": "max"}),
        (["--cpu-quota", "50000"], {"cpu_max_cores": 0.5}),
        (["--cpu-quota", "50000", "--cpu-period", "50000"], {"cpu_max_cores": 1.0, "cpu_period_usec": 50000}),
        (["-c", "512", "--cpuset-cpus", "0-1,3"], {"cpu_shares": 512, "cpuset_cpus": "0-1,3"}),
        (["--memory-reservation", "32M"], {"memory_soft_limit_bytes": 32 << 20}),
        (["--device-read-bps", "8:0:1mb"], {"io_max": {"8:0": {"read_bytes_per_sec": 1 << 20}}}),
        (
            ["--device-write-iops", "8:0:100", "--device-write-bps", "8:0:max"],
            {"io_max": {"8:0": {"writes_per_sec": 100, "write_bytes_per_sec": "max"}}},
        ),
    ],
)
def test_docker_s_limit_flags_become_fields(
    flags: list[str], fields: dict[str, object], stub: Stub, cli: Cli
) -> None:
    outcome = {
        "name": "web",
        "changed": False,
        "status": "unchanged",
        "decision": None,
        "writes": [],
        "limits": {},
    }
    stub.on(f"PATCH {WEB}/limits", outcome)

    assert cli("update", "web", *flags).out == "web  unchanged\n"
    assert stub.asked[-1].body == fields


def test_stats_show_a_dash_where_nothing_is_known(stub: Stub, cli: Cli) -> None:
    usage = {
        "cpu_cores": 1.234,
        "memory_usage_bytes": 32 << 20,
        "memory_limit_fraction": 0.5,
        "pids_current": 3,
    }
    stub.on("GET /api/v1/containers", {"containers": [container("web", usage=usage), container("new")]})

    _, web, new = cli("stats").out.splitlines()

    assert web.split()[:7] == ["web", "running", "1.23", "-", "32.0M", "64.0M", "50%"]
    assert new.split()[2:5] == ["-", "-", "-"]


def test_inspect_prints_one_object_or_a_list(stub: Stub, cli: Cli) -> None:
    stub.on(f"GET {WEB}", container("web"))

    assert json.loads(cli("inspect", "web").out) == container("web")
    assert json.loads(cli("inspect", "web", "web").out) == [container("web")] * 2


def event(number: int, kind: str, **more: object) -> dict[str, object]:
    return {
        "id": number,
        "time": "2026-01-31T08:00:00.000Z",
        "type": kind,
        "container": {"name": "web"},
        "actor": {"kind": "operator", "name": "operator"},
        "reason": "",
        "before": None,
        "after": None,
    } | more


def test_events_say_who_did_what_and_why(stub: Stub, cli: Cli) -> None:
    change = event(2, "limit.change", before={"pids_max": 5}, after={"pids_max": 9}, reason="more load")
    stub.on("GET /api/v1/events", {"events": [event(1, "container.start"), change], "last_id": 2})

    start, changed = cli("events").out.splitlines()

    assert "container.start" in start
    assert "pids_max=5 -> pids_max=9" in changed
    assert "more load" in changed
    assert cli("events", "--type", "limit").out.count("\n") == 1
    assert json.loads(cli("events", "--json", "--type", "container.start").out)[0]["id"] == 1


def test_losses_of_our_own_processes_are_told_with_what_came_of_them(stub: Stub, cli: Cli) -> None:
    reason = "the process that starts containers had ended and was replaced"
    restart = event(1, "spawner.restart", container=None, after={"pid": 7}, reason=reason)
    lost = event(2, "supervisor.lost", after={"keeper_pid": 8}, reason="the container runs on")
    for one in (restart, lost):
        one["actor"] = {"kind": "daemon", "name": "launcher"}
    stub.on("GET /api/v1/events", {"events": [restart, lost], "last_id": 2})

    first, second = cli("events").out.splitlines()

    assert first == f"2026-01-31 08:00:00  spawner.restart     -  pid=7  {reason}"
    assert second == "2026-01-31 08:00:00  supervisor.lost     web  keeper_pid=8  the container runs on"
    assert cli("events", "--type", "supervisor").out.count("\n") == 1


def test_events_follow_the_stream_until_the_daemon_ends_it(stub: Stub, cli: Cli) -> None:
    # One answer serves both: the page first, then what looks like a stream.
    page = {"events": [], "last_id": 4}
    stub.on("GET /api/v1/events", [json.dumps(page).encode()])
    told = json.dumps(event(5, "container.oom"))
    stub.on("GET /api/v1/events", [f"id: 5\nevent: event\ndata: {told}\n\n: beat\n\n".encode()])

    from cgwarden.cli.events import stream
    from cgwarden.client import Daemon, NoDaemon

    events = stream(Daemon(), 4)
    assert next(events)["id"] == 5
    with pytest.raises(NoDaemon):
        next(events)


def test_why_explains_a_decision_with_inputs_writes_and_rails(stub: Stub, cli: Cli) -> None:
    record = {
        "id": "d-000418",
        "seq": 418,
        "at": "2026-03-02T10:14:07.312Z",
        "outcome": "applied",
        "reason": "node CPU 71 % > 65 % for 5 s",
        "policy": {"name": "batch-cpu-suppress", "mode": "enforce"},
        "inputs": [
            {"signal": "cpu.usedRatio", "of": "node", "value": 0.71, "unit": "ratio", "threshold": 0.65}
        ],
        "candidates": [{"name": "job-9", "rejected": "minAge 12s < 30s"}],
        "rails": [
            {"rail": "step", "result": "pass"},
            {"rail": "floor", "result": "clip", "detail": "to 50m"},
        ],
        "writes": [{"file": "quota", "before": "-1", "value": "340000", "read_back": "340000"}],
        "lease_until": "2026-03-02T10:14:37Z",
    }
    field = {
        "value": 3.4,
        "owner": "policy:batch-cpu-suppress",
        "baseline": "max",
        "expires_at": "2026-03-02T10:14:37Z",
    }
    stub.on(f"GET {WEB}/limits", {"fields": {"cpu_max_cores": field}, "revision": "1"})
    stub.on("GET /api/v1/decisions", {"decisions": [record]})
    stub.on("GET /api/v1/decisions/d-000418", record)

    said = cli("why", "web").out

    assert "cpu_max_cores 3.4  owner policy:batch-cpu-suppress" in said
    assert "10:14:07 applied    node CPU 71 % > 65 % for 5 s" in said
    assert "cpu.usedRatio of node: 71.0 %  against 65.0 %" in said
    assert "quota: -1 -> 340000, read back the same" in said
    assert "step passed; floor clip: to 50m" in said
    assert "job-9: minAge 12s < 30s" in said
    assert cli("why", "d-000418").out in said


def test_why_and_limit_say_what_a_lease_waits_for_and_what_was_rejected(stub: Stub, cli: Cli) -> None:
    waits = "lease over, waiting until 39 MiB are freed, so that 64 MiB fit"
    wish = {"seq": 1, "id": "d-000001", "at": "2026-03-02T10:14:07.312Z", "owner": "operator"}
    rejected = wish | {
        "outcome": "rejected",
        "field": "memory_max_bytes",
        "wanted": {"memory_max_bytes": 32 << 20},
        "error": "memory_max_bytes: 33554432 is below the present usage of 67108864",
        "unrecorded": 7,
    }
    leased = wish | {"seq": 2, "outcome": "applied", "lease_until": "2026-03-02T10:14:13.312Z"}
    deferred = wish | {"seq": 3, "outcome": "deferred", "reason": waits}
    field = {
        "value": 200 << 20,
        "owner": "operator",
        "baseline": 64 << 20,
        "expires_at": "2026-03-02T10:14:13.312Z",
        "waiting": waits,
    }
    stub.on(f"GET {WEB}/limits", {"fields": {"memory_max_bytes": field}, "revision": "1"})
    stub.on("GET /api/v1/decisions", {"decisions": [rejected, leased, deferred]})

    said = cli("why", "web").out

    assert f"memory_max_bytes 200M  owner operator  {waits}  (baseline 64.0M)" in said
    assert "wanted     memory_max_bytes 32.0M" in said
    assert "is below the present usage" in said
    assert "7 rejections before it left no record" in said
    assert "was given until 2026-03-02T10:14:13.312Z" in said
    assert "comes back" not in said
    assert f"deferred   {waits}" in said
    assert waits in cli("limit", "web").out


def test_dashboard_prints_the_link_alone(stub: Stub, cli: Cli) -> None:
    stub.on(
        "POST /api/v1/login-codes",
        {"code": "x", "url": "http://127.0.0.1:9380/#code=x", "expires_in_sec": 60},
    )

    assert cli("dashboard") == (0, "http://127.0.0.1:9380/#code=x\n", "")


def test_doctor_fails_where_something_needed_is_missing(stub: Stub, cli: Cli) -> None:
    checks = [{"name": "memory", "state": "missing", "detail": "not mounted", "advice": "mount it"}]
    stub.on("GET /api/v1/doctor", {"ok": False, "checks": checks})

    said = cli("doctor")

    assert said.code == 1
    assert "mount it" in said.out


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        (["ok", "ok"], "everything needed is there"),
        (["ok", "degraded"], "works, with 1 thing degraded"),
        (["degraded", "degraded"], "works, with 2 things degraded"),
    ],
)
def test_doctor_ends_with_a_verdict(stub: Stub, cli: Cli, states: list[str], verdict: str) -> None:
    checks = [{"name": "journal", "state": state, "detail": "", "advice": ""} for state in states]
    stub.on("GET /api/v1/doctor", {"ok": True, "checks": checks})

    said = cli("doctor")

    assert (said.code, said.out.splitlines()[-1]) == (0, verdict)


def test_help_and_version_need_no_daemon(cli: Cli) -> None:
    assert "freeze" in cli("--help").out
    assert cli("version").out.startswith("cgwarden 0.")
    assert cli("help", "pause").out == cli("freeze", "--help").out
