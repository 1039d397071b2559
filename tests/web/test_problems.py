"""Problems: each error of each part has its place in the table, and each answer its shape."""

import inspect
import logging
from types import ModuleType

import pytest

from cgroupfs import errors as reading
from enforcer import errors as enforcing
from launcher import errors as launching
from launcher import network as networking
from launcher.files.layering import ChangesUnreadable
from launcher.rootfs.driver import DriverUnavailable
from launcher.rootfs.entries import TooDeep
from launcher.rootfs.roots import RootNotRemoved
from tests.web.rig import Rig
from web.errors import KINDS, kind_of
from web.problems import INTERNAL, document

NEVER_AT_A_REQUEST = {"NoCgroups", "ParseError", "NewerJournal", "PolicyError", "HalfApplied"}


@pytest.mark.parametrize("module", [reading, launching, enforcing])
def test_every_error_of_every_part_has_an_entry(module: ModuleType) -> None:
    errors = {
        name: kind
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == module.__name__
    }

    assert {name for name, kind in errors.items() if kind not in KINDS} <= NEVER_AT_A_REQUEST


def test_an_error_without_an_entry_is_told_as_its_parent() -> None:
    class Worse(enforcing.JournalFull):
        pass

    assert kind_of(Worse("/j", "full")).status == 507
    assert kind_of(ZeroDivisionError()) is INTERNAL


def test_a_refused_launch_is_one_line_in_the_log(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(spec: object) -> None:
        raise launching.LaunchFailed("record the intent", "/state/\nweb: No space left on device")

    monkeypatch.setattr(rig.launcher, "run", fail)
    with caplog.at_level(logging.ERROR):
        answer = rig.ask("POST", "/api/v1/containers", {"name": "web", "rootfs": "/", "command": ["true"]})

    (record,) = caplog.records
    assert (answer.slug, record.exc_info) == ("launch-failed", None)
    assert record.getMessage() == (
        f"request {answer.json['request_id']}: launch failed while trying to record the intent: "
        "/state/ web: No space left on device"
    )


SLUGS = {
    launching.UnknownContainer: ("unknown-container", 404),
    launching.NameTaken: ("name-taken", 409),
    launching.NotRunning: ("not-running", 409),
    launching.ContainerFrozen: ("frozen", 409),
    launching.MissingRoot: ("missing-root", 422),
    launching.LaunchFailed: ("launch-failed", 500),
    launching.CannotInvoke: ("cannot-invoke", 422),
    launching.CommandNotFound: ("command-not-found", 422),
    networking.PortTaken: ("port-taken", 409),
    networking.AddressTaken: ("address-taken", 409),
    networking.NoAddressFree: ("no-address", 409),
    networking.NetworkUnavailable: ("not-offered", 501),
    networking.NetworkFailed: ("launch-failed", 500),
    launching.StopTimeout: ("timeout", 504),
    DriverUnavailable: ("not-offered", 501),
    launching.CannotCommit: ("conflict", 409),
    ChangesUnreadable: ("changes-unreadable", 500),
    TooDeep: ("conflict", 409),
    RootNotRemoved: ("conflict", 409),
    enforcing.OwnerConflict: ("owner-conflict", 409),
    enforcing.BelowUsage: ("below-usage", 409),
    enforcing.BadWish: ("bad-request", 422),
    reading.Refused: ("conflict", 409),
    reading.NotOffered: ("not-offered", 501),
    reading.FreezeTimeout: ("timeout", 504),
}


@pytest.mark.parametrize(("error", "told"), SLUGS.items())
def test_the_slugs_that_scripts_rely_on_stay(error: type[Exception], told: tuple[str, int]) -> None:
    kind = KINDS.get(error) or next(KINDS[base] for base in error.__mro__ if base in KINDS)

    assert (kind.slug, kind.status) == told


def test_a_problem_has_all_fields_and_its_own_type(shared: Rig) -> None:
    answer = shared.get("/api/v1/containers/ghost")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json == {
        "type": "/problems/unknown-container",
        "title": "There is no such container",
        "status": 404,
        "detail": "there is no container 'ghost'",
        "errors": [],
        "hint": "`cgwarden ps` lists them",
        "request_id": answer.json["request_id"],
    }


@pytest.mark.parametrize(
    "error",
    [
        launching.ContainerFrozen("web"),
        launching.StillRunning("web"),
        launching.NameTaken("web"),
        enforcing.UnknownTarget("web"),
        enforcing.OwnerConflict("pids_max", "policy:x"),
        enforcing.BelowUsage("memory_max_bytes", 1, 2),
        enforcing.ContainerBusy("web"),
    ],
)
def test_a_hint_does_not_repeat_what_the_error_says_already(error: Exception) -> None:
    assert document(kind_of(error), str(error), "1")["hint"] is None


def test_a_401_says_how_to_prove_oneself(shared: Rig) -> None:
    assert shared.get("/api/v1/host", tcp=True).headers["www-authenticate"].startswith("Bearer")


def test_what_should_not_happen_is_logged_under_the_request_id_and_not_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.launcher.add("web")
    rig.launcher.cgroups["web"].fields["memory_max_bytes"] = object()

    with caplog.at_level(logging.ERROR):
        answer = rig.get("/api/v1/containers/web/limits")

    assert (answer.status, answer.slug) == (500, "internal")
    assert "object" not in answer.json["detail"]
    assert answer.json["request_id"] in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert rig.get("/healthz").status == 200
