"""Limits and the freezer over the API: guarded, idempotent, and told write by write."""

from typing import Any

import pytest

from tests.web.client import Answer
from tests.web.rig import Rig

LIMITS = "/api/v1/containers/web/limits"


@pytest.fixture(autouse=True)
def web(rig: Rig) -> None:
    rig.launcher.add("web", limits={"memory_max_bytes": 67108864})


def patch(rig: Rig, body: Any, query: str = "", **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return rig.ask("PATCH", f"{LIMITS}{query}", body, headers=sent)


def memory(rig: Rig) -> object:
    return rig.launcher.cgroups["web"].fields["memory_max_bytes"]


def test_limits_are_told_with_owner_and_revision(rig: Rig) -> None:
    rig.enforcer.held["pids_max"] = "policy:x"

    answer = rig.get(LIMITS)

    assert answer.headers["etag"] == f'"{answer.json["revision"]}"'
    assert answer.json["fields"]["memory_max_bytes"]["value"] == 67108864
    assert answer.json["fields"]["pids_max"] == {
        "value": "max",
        "owner": "policy:x",
        "baseline": None,
        "expires_at": None,
        "waiting": None,
    }


def test_a_change_is_told_write_by_write_and_a_repetition_changes_nothing(rig: Rig) -> None:
    first, second = patch(rig, {"memory_max_bytes": 134217728}), patch(rig, {"memory_max_bytes": 134217728})

    assert first.json["changed"] is True
    assert first.json["status"] == "applied"
    assert first.json["decision"] == "d-1"
    assert first.json["writes"][0]["before"] == "67108864"
    assert first.json["limits"]["memory_max_bytes"] == 134217728
    assert second.json["changed"] is False


@pytest.mark.parametrize(
    ("query", "fields", "force"),
    [
        ("", ["memory_max_bytes", "pids_max"], False),
        ("?field=pids_max", ["pids_max"], False),
        ("?force=true", ["memory_max_bytes", "pids_max"], True),
    ],
)
def test_changes_are_given_back_all_or_by_field(rig: Rig, query: str, fields: list[str], force: bool) -> None:
    answer = rig.ask("DELETE", f"{LIMITS}{query}")

    assert (answer.status, answer.json["changed"]) == (200, True)
    asked = {"owner": "operator", "reason": "given back over the API", "force": force}
    given_back = {"released": fields, **asked}
    assert rig.enforcer.calls == [("web", given_back)]


def test_what_is_no_limit_cannot_be_given_back(rig: Rig) -> None:
    answer = rig.ask("DELETE", f"{LIMITS}?field=memory")

    assert (answer.status, answer.slug) == (422, "bad-request")
    assert rig.enforcer.calls == []


def test_a_dry_run_lists_the_writes_and_changes_nothing(rig: Rig) -> None:
    told = patch(rig, {"memory_max_bytes": 100663296}, "?dry_run=true").json

    assert (told["changed"], told["status"], told["writes"][0]["read_back"]) == (False, "planned", None)
    assert memory(rig) == 67108864


@pytest.mark.parametrize("lifted", [None, "max"])
def test_null_and_max_lift_a_limit(rig: Rig, lifted: str | None) -> None:
    answer = patch(rig, {"memory_max_bytes": lifted}, Content_Type="application/merge-patch+json")

    assert answer.json["limits"]["memory_max_bytes"] == "max"


def test_options_reach_the_enforcer_with_the_owner(rig: Rig) -> None:
    patch(rig, {"pids_max": 5}, "?lease_sec=30&force=true&reason=load%20test")

    name, options = rig.enforcer.calls[0]
    assert name == "web"
    assert options == {
        "wanted": {"pids_max": 5},
        "owner": "operator",
        "reason": "load test",
        "lease_sec": 30.0,
        "force": True,
        "dry_run": False,
    }


def test_a_stale_revision_changes_nothing(rig: Rig) -> None:
    seen = rig.get(LIMITS).headers["etag"]
    after = patch(rig, {"memory_max_bytes": 134217728}, If_Match=seen).headers["etag"]

    stale = patch(rig, {"memory_max_bytes": 268435456}, If_Match=seen)

    assert (stale.status, stale.slug) == (412, "revision-changed")
    assert memory(rig) == 134217728
    assert patch(rig, {"memory_max_bytes": 268435456}, If_Match=f'"other", {after}').status == 200
    assert patch(rig, {"memory_max_bytes": 134217728}, If_Match="*").status == 200
    assert patch(rig, {"memory_max_bytes": 1}, If_Match="W/" + after).status == 412


def test_drift_in_the_kernel_makes_another_revision(rig: Rig) -> None:
    seen = rig.get(LIMITS).json["revision"]

    rig.launcher.cgroups["web"].fields["pids_max"] = 7

    assert rig.get(LIMITS).json["revision"] != seen


@pytest.mark.parametrize(
    ("body", "status", "slug", "pointer"),
    [
        ({"memory_max_bytes": 1}, 409, "below-usage", "/memory_max_bytes"),
        ({"pids_max": 3}, 409, "owner-conflict", "/pids_max"),
        ({"memory": 1}, 422, "bad-request", "/memory"),
        ({"memory_max_bytes": "64M"}, 422, "bad-request", "/memory_max_bytes"),
        ({"memory_max_bytes": True}, 422, "bad-request", "/memory_max_bytes"),
    ],
)
def test_a_refusal_names_the_field_and_changes_nothing(
    rig: Rig, body: Any, status: int, slug: str, pointer: str
) -> None:
    rig.enforcer.held["pids_max"] = "policy:x"

    answer = patch(rig, body)

    assert (answer.status, answer.slug) == (status, slug)
    assert answer.json["errors"][0]["pointer"] == pointer
    assert memory(rig) == 67108864


@pytest.mark.parametrize(
    "query", ["?lease_sec=nan", "?lease_sec=inf", "?lease_sec=0", "?lease_sec=-1", "?force=2"]
)
def test_options_out_of_bounds_are_refused(rig: Rig, query: str) -> None:
    answer = patch(rig, {"pids_max": 5}, query)

    told = "must be true or false" if "force" in query else "must be a number above 0 up to 2592000"
    assert (answer.status, answer.json["detail"]) == (422, f"{query.partition('=')[0]}: {told}")
    assert rig.enforcer.calls == []


# --- freezer


def test_freezing_twice_succeeds_and_changes_nothing_the_second_time(rig: Rig) -> None:
    first = rig.ask("POST", "/api/v1/containers/web/freeze", {"reason": "backup", "lease_sec": 5})
    second = rig.ask("POST", "/api/v1/containers/web/freeze")

    assert first.json == {
        "name": "web",
        "changed": True,
        "state": "frozen",
        "holders": ["operator"],
        "decision": "d-2",
    }
    assert (second.status, second.json["changed"]) == (200, False)
    assert rig.enforcer.calls[0][1] == {
        "owner": "operator",
        "reason": "backup",
        "lease_sec": 5.0,
        "timeout_sec": 10.0,
    }
    told = rig.get("/api/v1/containers/web").json
    assert (told["state"], told["holders"]) == ("frozen", ["operator"])


def test_thawing_twice_succeeds_too(rig: Rig) -> None:
    rig.ask("POST", "/api/v1/containers/web/freeze")

    first = rig.ask("POST", "/api/v1/containers/web/thaw", {"force": True})
    second = rig.ask("POST", "/api/v1/containers/web/thaw")

    assert (first.json["changed"], first.json["state"], first.json["holders"]) == (True, "running", [])
    assert second.json["changed"] is False
