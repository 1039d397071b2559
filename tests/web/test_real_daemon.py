"""The same API in front of the real parts and the real kernel."""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.real import Running, running
from tests.web.client import PATIENCE_SEC, Client, wait_until
from tests.web.test_metrics import CADVISOR, promtool, samples

pytestmark = pytest.mark.kernel
MIB = 1 << 20
WEB = "/api/v1/containers/web"


@pytest.fixture
def daemon() -> Iterator[Running]:
    with running() as daemon:
        yield daemon


@pytest.fixture
def api(daemon: Running, busybox_root: Path) -> Iterator[Client]:
    """A client, and one container under limits."""
    client = Client(str(daemon.directory / "run" / "cgwarden.sock"))
    script = "echo begun; while :; do :; done"
    wish = {
        "name": "web",
        "rootfs": str(busybox_root),
        "command": ["sh", "-c", script],
        "limits": {"memory_max_bytes": 64 * MIB, "cpu_max_cores": 0.2, "pids_max": 50},
    }
    created = client.ask("POST", "/api/v1/containers", wish)
    assert created.status == 201, created
    yield client
    client.ask("DELETE", f"{WEB}?force=true")


def test_our_changes_stand_in_the_list_at_once(api: Client) -> None:
    seen = []
    for pids_max in range(60, 70):
        api.ask("PATCH", f"{WEB}/limits", {"pids_max": pids_max})
        seen.append(api.get("/api/v1/containers").json["containers"][0]["limits"]["pids_max"])
    api.ask("POST", f"{WEB}/freeze")
    frozen = api.get("/api/v1/containers").json["containers"][0]["state"]
    api.ask("POST", f"{WEB}/thaw")

    assert seen == list(range(60, 70))
    assert frozen == "frozen"
    assert api.get("/api/v1/containers").json["containers"][0]["state"] == "running"


def test_a_limit_changed_over_the_api_stands_in_the_kernel(api: Client) -> None:
    before = api.get(f"{WEB}/limits")
    planned = api.ask("PATCH", f"{WEB}/limits?dry_run=true", {"memory_max_bytes": 96 * MIB}).json
    unchanged = api.get(WEB).json["limits"]["memory_max_bytes"]

    told = api.ask(
        "PATCH",
        f"{WEB}/limits",
        {"memory_max_bytes": 128 * MIB},
        headers={"If-Match": before.headers["etag"]},
    )

    assert (planned["status"], planned["changed"], unchanged) == ("planned", False, 64 * MIB)
    assert told.json["status"] == "applied", told
    assert [write["read_back"] for write in told.json["writes"]] == [
        write["value"] for write in told.json["writes"]
    ]
    folder = Path(api.get(WEB).json["cgroups"]["memory"])
    kernel = [folder / name for name in ("memory.limit_in_bytes", "memory.max") if (folder / name).exists()]
    assert int(kernel[0].read_text()) == 128 * MIB
    stale = api.ask("PATCH", f"{WEB}/limits", {"pids_max": 9}, headers={"If-Match": before.headers["etag"]})
    assert stale.status == 412


def test_a_freeze_is_seen_by_inspect_list_and_events(api: Client) -> None:
    frozen = api.ask("POST", f"{WEB}/freeze", {"reason": "backup"}).json
    again = api.ask("POST", f"{WEB}/freeze").json

    assert (frozen["changed"], frozen["state"], again["changed"]) == (True, "frozen", False)
    inspected = api.get(WEB).json
    assert (inspected["state"], inspected["holders"]) == ("frozen", ["operator"])
    assert api.ask("POST", f"{WEB}/exec", {"command": ["true"]}).slug == "frozen"
    events = api.get("/api/v1/events?container=web").json["events"]
    assert "backup" in [event["reason"] for event in events]
    assert api.ask("POST", f"{WEB}/thaw").json["state"] == "running"


def test_the_metrics_of_real_containers_pass_promtool(api: Client) -> None:
    pattern = r"container_cpu_cfs_throttled_periods_total"
    wait_until(lambda: bool(samples(api.get("/metrics").body.decode(), pattern)))
    page = api.get("/metrics").body

    done = subprocess.run([promtool(), "check", "metrics"], input=page, capture_output=True, check=False)

    lint = done.stderr.decode().splitlines() + done.stdout.decode().splitlines()
    assert done.returncode in (0, 3), lint
    assert [line for line in lint if not line.startswith(CADVISOR)] == []
    text = page.decode()
    assert re.search(
        r'^container_spec_memory_limit_bytes\{id="/\S+/web",image="/\S+",name="web"\} 67108864$', text, re.M
    )
    assert re.search(r'^container_cpu_usage_seconds_total\{.*name="web",cpu="total"\} [0-9.e-]+$', text, re.M)


def test_logs_exec_processes_and_usage_are_the_containers_own(api: Client) -> None:
    wait_until(lambda: api.get(f"{WEB}/logs").body == b"begun\n")
    lines = [json.loads(line) for line in api.get(f"{WEB}/logs?format=jsonl").body.splitlines()]
    output = api.ask("POST", f"{WEB}/exec", {"command": ["sh", "-c", "hostname; exit 3"]}).body.splitlines()
    wait_until(lambda: (api.get(f"{WEB}/usage").json["usage"] or {}).get("cpu_cores") is not None)
    used = api.get(f"{WEB}/usage").json

    assert (lines[0]["stream"], lines[0]["data"]) == ("stdout", "begun")
    assert json.loads(output[-1]) == {"exit_code": 3}
    assert api.get(f"{WEB}/processes").json["processes"][0]["command"].startswith("sh -c echo begun")
    assert 0.05 < used["usage"]["cpu_cores"] < 0.5
    assert used["usage"]["cpu_max_cores"] == 0.2
    assert used["sample"]["memory"]["usage_bytes"] > 0


def test_what_cannot_be_is_refused_by_the_real_parts_and_leaves_nothing(
    api: Client, busybox_root: Path
) -> None:
    wish = {"name": "bad", "rootfs": str(busybox_root), "command": ["true"]}
    refusals = {
        "name-taken": wish | {"name": "web"},
        "missing-root": wish | {"rootfs": "/no/such/root"},
        "command-not-found": wish | {"command": ["no-such-program"]},
        "cannot-invoke": wish | {"command": ["/etc/passwd"]},
        "bad-request": wish | {"limits": {"memory_max_bytes": -1}},
    }

    for slug, body in refusals.items():
        answer = api.ask("POST", "/api/v1/containers", body)
        assert (answer.slug, 400 <= answer.status < 500) == (slug, True), answer

    assert [row["name"] for row in api.get("/api/v1/containers").json["containers"]] == ["web"]
    assert api.ask("PATCH", f"{WEB}/limits", {"memory_max_bytes": 4096}).slug == "below-usage"
    assert api.ask("PATCH", f"{WEB}/limits", {"cpuset_cpus": "9999"}).status in (409, 422)
    assert api.get("/api/v1/decisions/d-nope").slug == "unknown-decision"


def test_a_program_that_ends_at_once_has_been_started_all_the_same(api: Client, busybox_root: Path) -> None:
    for number in range(10):
        wish = {
            "name": f"brief{number}",
            "rootfs": str(busybox_root),
            "command": ["true"],
            "auto_remove": True,
        }
        assert api.ask("POST", "/api/v1/containers", wish).status == 201

    wait_until(lambda: len(api.get("/api/v1/containers").json["containers"]) == 1)


def test_waiting_follows_the_container_to_its_end(api: Client) -> None:
    assert api.ask("POST", f"{WEB}/wait", {"timeout_sec": 0}).slug == "timeout"
    assert api.ask("POST", f"{WEB}/kill", {"signal": "KILL"}).json["changed"] is True
    assert api.ask("POST", f"{WEB}/wait", {"timeout_sec": 10}).json == {"exit_code": 137}
    assert api.get(WEB).json["state"] == "exited"
    assert api.ask("POST", f"{WEB}/freeze").status in (404, 409)


def test_the_end_of_the_daemon_thaws_what_a_commit_has_frozen(daemon: Running, busybox_root: Path) -> None:
    script = "truncate -s 8G /big; exec sleep 300"
    daemon.run("big", "sh", "-c", script, rootfs=str(busybox_root))
    client = Client(str(daemon.directory / "run" / "cgwarden.sock"))
    one = "/api/v1/containers/big"
    wait_until(lambda: "/big" in [each["path"] for each in client.get(f"{one}/diff").json["changes"]])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.ask, "POST", f"{one}/commit", {"reference": "big:1"})
        wait_until(lambda: client.get(one).json["state"] == "frozen")

        daemon.process.terminate()

        assert asked.result(PATIENCE_SEC).status == 503
    assert daemon.process.wait(PATIENCE_SEC) == 0
    assert "Traceback" not in (daemon.directory / "log").read_text()
    daemon.start_again()
    assert client.get(one).json["state"] == "running"
